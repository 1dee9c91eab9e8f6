"""The artifact service with a database and a blob folder of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from greenroomd.application import start
from greenroomd.artifact.blobs.filesystem import FilesystemBlobStore
from greenroomd.artifact.convert import resource_bytes
from greenroomd.artifact.reaper import Reaper
from greenroomd.artifact.stores.postgres import PostgresArtifactStore
from greenroomd.artifact.turns import Turns
from greenroomd.artifact.uploads import Uploads
from greenroomd.artifact.usecases import Artifacts
from greenroomd.config import Config
from greenroomd.embedded import Endpoints
from greenroomd.platform.changelog.log import ChangeLog
from greenroomd.platform.context import Call, Principal, enter_call
from greenroomd.platform.database import Database
from greenroomd.platform.migrations import upgrade
from greenroomd.platform.server import ServerSettings
from support.processes import Identities
from support.server import RunningServer

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


class SettableClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


@dataclass(frozen=True)
class Bench:
    """The use cases of one process, and what they stand on."""

    artifacts: Artifacts
    uploads: Uploads
    reaper: Reaper
    blobs: FilesystemBlobStore
    log: ChangeLog
    clock: SettableClock
    folder: Path

    async def sql(self, statement: str) -> Any:
        """Run a statement as the service's own role; return the first column of the first row."""
        async with self.log.database.transaction() as connection:
            result = await connection.exec_driver_sql(statement)
            return result.scalar() if result.returns_rows else result.rowcount


def open_bench(database: Database, folder: Path, clock: SettableClock) -> Bench:
    """Return the use cases as one process has them."""
    log = ChangeLog(database, resource_bytes)
    store = PostgresArtifactStore(log)
    blobs = FilesystemBlobStore(folder)
    uploads = Uploads(store, blobs, clock, timedelta(hours=24), Turns(patience=0.2))
    return Bench(Artifacts(store, blobs, clock), uploads, Reaper(uploads), blobs, log, clock, folder)


@pytest.fixture
def somebody() -> Iterator[None]:
    """Make the test's calls on behalf of a user."""
    enter_call(Call(method="", principal=Principal("ada", "user", ("*",))))
    yield
    enter_call(Call(method="", principal=None))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await upgrade(database_url, "artifact")
    database = Database(database_url, "artifact")
    yield database
    await database.close()


@pytest.fixture
async def bench(database: Database, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = open_bench(database, tmp_path / "blobs", SettableClock())
    yield bench
    await bench.blobs.close()


@pytest.fixture
async def restarted(bench: Bench, database: Database) -> AsyncIterator[Bench]:
    """A second process over the same database and folder."""
    other = open_bench(database, bench.folder, bench.clock)
    yield other
    await other.blobs.close()


@pytest.fixture
async def installation(embedded: Endpoints, database_url: str, tmp_path: Path) -> tuple[Identities, dict[str, str]]:
    """Principals, and the environment of a process that serves the artifact service."""
    await upgrade(database_url, "artifact")
    identities = Identities.create(tmp_path)
    return identities, identities.environment(database_url, embedded.redis_url)


@pytest.fixture
async def served(installation: tuple[Identities, dict[str, str]]) -> AsyncIterator[RunningServer]:
    """The artifact service alone, behind the real interceptors on a real port."""
    identities, environment = installation
    config = Config.from_environment(environment)
    application = await start(config, ("artifact",), ServerSettings(port=0, grace_seconds=1))
    running = RunningServer(application, config, identities)
    yield running
    await running.close()

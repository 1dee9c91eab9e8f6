"""What every test can ask for: running databases, a fresh migrated database, a server of all services."""

from __future__ import annotations

import asyncio
import io
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TextIO, cast
from uuid import uuid4

import asyncpg
import pytest

from greenroomd.application import start
from greenroomd.config import Config
from greenroomd.embedded import EmbeddedStack, Endpoints
from greenroomd.platform.context import enter_call
from greenroomd.platform.logs import configure_logs
from greenroomd.platform.migrations import upgrade
from greenroomd.platform.server import ServerSettings
from support.processes import Identities
from support.server import RunningServer

SERVICES = ("artifact", "catalog", "lifecycle", "search")

TEMPLATE = "greenroom_template"


class CurrentStderr(io.TextIOBase):
    """Standard error as it is at the moment of writing: pytest puts another in its place for each test."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)


@pytest.fixture(autouse=True)
def logs() -> None:
    """Log as a server does, whatever an earlier test has configured.

    structlog's own default renders every local variable of a stack, which takes seconds.
    """
    configure_logs("INFO", json_lines=True, stream=cast(TextIO, CurrentStderr()))


@pytest.fixture(autouse=True)
def no_call_in_progress() -> None:
    """Forget the call that an earlier test has entered: without one, the system itself acts."""
    enter_call(None)


@pytest.fixture(scope="session")
def embedded() -> Iterator[Endpoints]:
    """A PostgreSQL and a Valkey for the whole run, fast rather than durable."""
    # Not tmp_path: as root that is a folder which the databases' own user cannot pass through.
    folder = Path(tempfile.mkdtemp(prefix="greenroom-tests-"))
    folder.chmod(0o755)
    with EmbeddedStack(folder / "data", durable=False) as stack:
        yield stack.endpoints
    shutil.rmtree(folder, ignore_errors=True)


def url_of(endpoints: Endpoints, database: str) -> str:
    """Return the URL of another database of the same server."""
    return endpoints.database_url.replace("/greenroom?", f"/{database}?")


async def execute(endpoints: Endpoints, statement: str) -> None:
    """Run one statement outside of any transaction, as the owner."""
    connection = await asyncpg.connect(endpoints.database_url.replace("+asyncpg", ""))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def template(embedded: Endpoints) -> str:
    """The name of a database in which every service's migrations have run."""

    async def build() -> None:
        await execute(embedded, f"CREATE DATABASE {TEMPLATE}")
        for service in SERVICES:
            await upgrade(url_of(embedded, TEMPLATE), service)

    asyncio.run(build())
    return TEMPLATE


@pytest.fixture
async def database_url(embedded: Endpoints, template: str) -> AsyncIterator[str]:
    """The URL of an empty, migrated database of this test's own."""
    name = f"test_{uuid4().hex}"
    await execute(embedded, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield url_of(embedded, name)
    await execute(embedded, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def server(embedded: Endpoints, database_url: str, tmp_path: Path) -> AsyncIterator[RunningServer]:
    """All services in this process, with a database, blobs and principals of this test's own."""
    identities = Identities.create(tmp_path)
    config = Config.from_environment(identities.environment(database_url, embedded.redis_url))
    application = await start(config, SERVICES, ServerSettings(port=0, grace_seconds=1))
    running = RunningServer(application, config, identities)
    yield running
    await running.close()

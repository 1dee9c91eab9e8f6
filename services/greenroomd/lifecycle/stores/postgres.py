"""The lifecycle's store on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from sqlalchemy import text

from greenroomd.lifecycle.stores import renaming
from greenroomd.lifecycle.stores.reading import PostgresLifecycleReader
from greenroomd.lifecycle.stores.writing import PostgresLifecycleWriter, lock_key
from greenroomd.platform.changelog.log import ChangeLog
from greenroomd.platform.redirects import Redirect

# Outside of a transaction the lock is given back at once: having been able to take it is all that is wanted.
SETTLE = text("SELECT pg_advisory_xact_lock_shared(:model)")


class PostgresLifecycleStore:
    """Implements `ports.LifecycleStore`."""

    def __init__(self, log: ChangeLog) -> None:
        self._log = log

    @asynccontextmanager
    async def read(self) -> AsyncIterator[PostgresLifecycleReader]:
        async with self._log.database.read() as connection:
            yield PostgresLifecycleReader(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgresLifecycleReader]:
        async with self._log.database.snapshot() as connection:
            yield PostgresLifecycleReader(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[PostgresLifecycleWriter]:
        async with self._log.write() as transaction:
            writer = PostgresLifecycleWriter(transaction)
            yield writer
            await writer.flush()

    async def redirects(self, models: Collection[str]) -> Mapping[str, Redirect]:
        """Return where those of the names lead that are former ones."""
        async with self._log.database.read() as connection:
            return await renaming.redirects(connection, models)

    async def settle(self, model: str) -> None:
        async with self._log.database.read() as connection:
            await connection.execute(SETTLE, {"model": lock_key(model)})

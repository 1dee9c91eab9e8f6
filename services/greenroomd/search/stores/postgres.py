"""The index on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from greenroomd.platform.changelog.log import ChangeLog, Recorded, WriteTransaction
from greenroomd.platform.failures import sqlstate
from greenroomd.platform.redirects import Redirect
from greenroomd.search.domain import SOURCES, Effects, Found, Hit, Index, IndexState, Position, Query
from greenroomd.search.errors import SearchTooSlow
from greenroomd.search.renames import Rename
from greenroomd.search.stores import renaming
from greenroomd.search.stores.queries import search_statement
from greenroomd.search.stores.writing import write_effects

QUERY_CANCELED = "57014"

STATE = text("SELECT generation, rebuild_time FROM index_state")
LOCKED_STATE = text("SELECT generation, rebuild_time FROM index_state FOR UPDATE")
SAVE_STATE = text("UPDATE index_state SET generation = :generation, rebuild_time = :rebuild_time")
POSITIONS = text("SELECT source, revision FROM positions")
POSITION = text("SELECT revision, resume_token FROM positions WHERE source = :source")
SAVE_POSITION = text(
    "INSERT INTO positions (source, revision, resume_token) VALUES (:source, :revision, :resume_token)"
    " ON CONFLICT (source) DO UPDATE SET revision = excluded.revision, resume_token = excluded.resume_token"
)
COUNT = text("SELECT count(*) FROM versions WHERE known")

# `versions` first: a search locks it first too, so that the two can wait for each other in one order only.
CLEAR = (
    text(
        "TRUNCATE versions, models, first_stages, metrics, params, tags, datasets, aliases, deployments, former_names"
    ),
    text("DELETE FROM positions"),
)

# A table that was emptied by TRUNCATE is empty for every snapshot: with the lock taken before the snapshot, the
# positions read from it belong to the rows.
HOLD = text("LOCK TABLE versions IN ACCESS SHARE MODE")
BEGIN_SEARCH = text(
    "SELECT set_config('statement_timeout', :milliseconds, true),"
    # Statements differ in their values more than in their text: a plan made for others would be worth little.
    " set_config('plan_cache_mode', 'force_custom_plan', true),"
    " ARRAY(SELECT source FROM positions ORDER BY source) AS sources,"
    " ARRAY(SELECT revision FROM positions ORDER BY source) AS revisions"
)


class PostgresIndexStore:
    """Implements `ports.IndexStore`."""

    def __init__(self, log: ChangeLog) -> None:
        self._log = log

    @asynccontextmanager
    async def read(self) -> AsyncIterator[PostgresIndexReader]:
        async with self._log.database.read() as connection:
            yield PostgresIndexReader(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[PostgresIndexWriter]:
        async with self._log.write() as transaction:
            yield PostgresIndexWriter(transaction)

    async def search(self, query: Query, timeout: float) -> Found:
        try:
            async with self._log.database.snapshot() as connection:
                await connection.execute(HOLD)
                milliseconds = str(max(int(timeout * 1000), 1))
                begun = (await connection.execute(BEGIN_SEARCH, {"milliseconds": milliseconds})).one()
                rows = (await connection.execute(search_statement(query))).all()
        except DBAPIError as error:
            if sqlstate(error) == QUERY_CANCELED:
                raise SearchTooSlow(timeout) from error
            raise
        reached = dict(zip(begun.sources, begun.revisions, strict=True))
        return Found([to_hit(row, len(query.order)) for row in rows], every_source(reached))

    async def redirects(self, models: Collection[str]) -> Mapping[str, Redirect]:
        async with self._log.database.read() as connection:
            return await renaming.redirects(connection, models)


def to_hit(row: Row[Any], sort_count: int) -> Hit:
    return Hit(
        version=row.message,
        stage=row.stage,
        aliases=row.aliases or (),
        deployments=row.deployments or (),
        score=row.score,
        sort_values=tuple(row[-sort_count:]),
    )


def every_source(revisions: Mapping[str, int]) -> Mapping[str, int]:
    return {source: revisions.get(source, 0) for source in SOURCES}


class PostgresIndexReader:
    """Implements `ports.IndexReader`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def state(self) -> IndexState:
        row = (await self._connection.execute(STATE)).one()
        return IndexState(row.generation, row.rebuild_time)

    async def positions(self) -> Mapping[str, int]:
        rows = await self._connection.execute(POSITIONS)
        return every_source({row.source: row.revision for row in rows})

    async def position(self, source: str) -> Position:
        row = (await self._connection.execute(POSITION, {"source": source})).one_or_none()
        return Position() if row is None else Position(row.revision, row.resume_token)

    async def index(self) -> Index:
        count: int = (await self._connection.execute(COUNT)).scalar_one()
        return Index(await self.state(), await self.positions(), count)


class PostgresIndexWriter(PostgresIndexReader):
    """Implements `ports.IndexWriter`."""

    def __init__(self, transaction: WriteTransaction) -> None:
        super().__init__(transaction.connection)
        self._transaction = transaction

    @property
    def revision(self) -> int:
        return self._transaction.revision

    def record(self, change: Recorded) -> None:
        self._transaction.record(change)

    async def lock(self) -> IndexState:
        row = (await self._connection.execute(LOCKED_STATE)).one()
        return IndexState(row.generation, row.rebuild_time)

    async def apply(self, effects: Effects) -> None:
        await write_effects(self._connection, await renaming.with_current_names(self._connection, effects))

    async def rename(self, rename: Rename) -> None:
        await renaming.apply_rename(self._connection, rename)

    async def save_position(self, source: str, position: Position) -> None:
        values = {"source": source, "revision": position.revision, "resume_token": position.resume_token}
        await self._connection.execute(SAVE_POSITION, values)

    async def clear(self, state: IndexState) -> None:
        for statement in CLEAR:
            await self._connection.execute(statement)
        values = {"generation": state.generation, "rebuild_time": state.rebuild_time}
        await self._connection.execute(SAVE_STATE, values)

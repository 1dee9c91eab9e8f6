"""Writing the log in the transaction of the change itself, and reading it back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from greenroomd.platform.context import ActorKind, current_call
from greenroomd.platform.database import Database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A change as a use case states it."""

    type: str
    """`<noun>.<past participle>`, such as `model.created`."""
    resource: str
    """Resource name of what changed."""
    namespace: str
    """Id of the namespace it belongs to; empty when it belongs to none."""
    after: object | None
    """The resource after the change, as a domain object."""
    before: object | None = None
    """The resource before it; None when it is new."""
    related: tuple[str, ...] = ()
    """Names of other resources that the change is about; a watch on one of them delivers it too."""


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """A resource after a mutation, and the revision that the mutation made."""

    value: T
    revision: int


@dataclass(frozen=True, slots=True)
class StoredChange:
    """One entry of the log as it stands in the database. `before` and `after` are serialised resources."""

    revision: int
    id: UUID
    type: str
    resource: str
    related: list[str]
    namespace: str
    actor_id: str
    actor_kind: ActorKind
    time: datetime
    request_id: str
    request_hash: bytes
    method: str
    trace_parent: str
    before: bytes | None
    after: bytes | None
    transaction_last_revision: int
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class FoundRequest:
    """What an earlier call with the same request id did."""

    request_hash: bytes
    revision: int
    """Last revision of its transaction: what its answer said."""
    after: bytes
    """The serialised resource that its answer carried."""


COLUMNS = ", ".join(StoredChange.__dataclass_fields__)

READ_AFTER = text(f"SELECT {COLUMNS} FROM changes WHERE revision > :after ORDER BY revision LIMIT :limit")  # noqa: S608
READ_RANGE = text(
    f"SELECT {COLUMNS} FROM changes WHERE revision > :after AND revision <= :through ORDER BY revision"  # noqa: S608
)
APPEND = text(
    "SELECT append_changes(:ids, :types, :resources, :related, :namespaces, :befores, :afters,"
    " :actor_id, :actor_kind, :request_id, :request_hash, :method, :trace_parent)"
)
FIND_REQUEST = text(
    "SELECT request_hash, transaction_last_revision AS revision, after FROM changes WHERE actor_id = :actor_id"
    " AND method = :method AND request_id = :request_id AND request_id <> '' AND first_of_transaction"
)
HEAD = text("SELECT revision FROM log_head")
LOG_ID = text("SELECT log_id FROM log_head")


class WriteTransaction:
    """A transaction of one service that ends with its changes in the log. See `ChangeLog.write`."""

    def __init__(self, connection: AsyncConnection, encode: Callable[[object], bytes]) -> None:
        self.connection = connection
        self.revision = 0
        """Last revision that this transaction made; 0 while nothing was appended."""
        self._encode = encode
        self._recorded: list[Recorded] = []

    def record(self, change: Recorded) -> None:
        """State a change. The first one's `after` is what the call answers, also when the call is repeated."""
        self._recorded.append(change)

    async def append(self) -> int:
        """Append what was recorded so far and return the last revision.

        Takes the log's lock, which is held until commit, so it is called last: by the transaction itself, or by a
        store whose rows need the revision and that then has at most one more statement to run.
        """
        if not self._recorded:
            return self.revision
        recorded, self._recorded = self._recorded, []
        call = current_call()
        actor = call.principal
        if actor is None:
            raise RuntimeError("a change can only be written on behalf of an authenticated principal")
        result = await self.connection.execute(
            APPEND,
            {
                "ids": [uuid4() for _ in recorded],
                "types": [change.type for change in recorded],
                "resources": [change.resource for change in recorded],
                "related": ["\n".join(change.related) for change in recorded],
                "namespaces": [change.namespace for change in recorded],
                "befores": [None if change.before is None else self._encode(change.before) for change in recorded],
                "afters": [None if change.after is None else self._encode(change.after) for change in recorded],
                "actor_id": actor.id,
                "actor_kind": actor.kind,
                "request_id": call.request_id,
                "request_hash": call.request_hash,
                "method": call.method,
                "trace_parent": call.trace_parent,
            },
        )
        self.revision = result.scalar_one()
        return self.revision


class ChangeLog:
    """The log of one service.

    Args:
        database: where it lives.
        encode: turns a domain object into the bytes of the service's `<Service>Resource` message.
    """

    def __init__(self, database: Database, encode: Callable[[object], bytes]) -> None:
        self.database = database
        self.service = database.service
        self._encode = encode
        self._on_commit: list[Callable[[int], None]] = []
        self._log_id: UUID | None = None

    def on_commit(self, callback: Callable[[int], None]) -> None:
        """Call `callback(revision)` in this process after every commit that made a revision."""
        self._on_commit.append(callback)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteTransaction]:
        """Run a transaction: its statements, then its changes appended to the log, then COMMIT, as one.

        Raises whatever the block raises, after rolling back: then neither rows nor changes exist.
        """
        async with self.database.transaction() as connection:
            transaction = WriteTransaction(connection, self._encode)
            yield transaction
            await transaction.append()
        if transaction.revision:
            for callback in self._on_commit:
                callback(transaction.revision)

    async def head(self) -> int:
        """Return the last committed revision; 0 when the log is empty."""
        async with self.database.read() as connection:
            return int((await connection.execute(HEAD)).scalar_one())

    async def log_id(self) -> UUID:
        """Return the identity of this log: another installation, or another service, has another."""
        if self._log_id is None:
            async with self.database.read() as connection:
                self._log_id = (await connection.execute(LOG_ID)).scalar_one()
        return self._log_id

    async def read_after(self, revision: int, limit: int = 500) -> Sequence[StoredChange]:
        """Return up to `limit` changes after `revision` in order, and more where a transaction would be cut."""
        async with self.database.read() as connection:
            return await read_after(connection, revision, limit)

    async def find_request(self, principal_id: str, method: str, request_id: str) -> FoundRequest | None:
        """Return what an earlier call of the same principal and RPC with this request id did; None if none did."""
        async with self.database.read() as connection:
            parameters = {"actor_id": principal_id, "method": method, "request_id": request_id}
            row = (await connection.execute(FIND_REQUEST, parameters)).one_or_none()
        return None if row is None else FoundRequest(row.request_hash, row.revision, row.after)


async def read_after(connection: AsyncConnection, revision: int, limit: int) -> Sequence[StoredChange]:
    """Return changes after `revision` on a given connection; whole transactions only."""
    rows = list(await connection.execute(READ_AFTER, {"after": revision, "limit": limit}))
    if rows and rows[-1].revision < rows[-1].transaction_last_revision:
        rest = {"after": rows[-1].revision, "through": rows[-1].transaction_last_revision}
        rows += list(await connection.execute(READ_RANGE, rest))
    return [StoredChange(**row._mapping) for row in rows]

"""One service's view of PostgreSQL: its schema, its role, its pool.

Every connection runs as the role `greenroom_<service>`, which can reach that service's schema only, and has that
schema as its search path, so SQL names tables without a schema.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine


def role_of(service: str) -> str:
    """Return the database role that a service runs as."""
    return f"greenroom_{service}"


class Database:
    """Connections for one service.

    Args:
        url: SQLAlchemy URL with the asyncpg driver, such as `postgresql+asyncpg://user@host/greenroom`.
        service: name of the service, which is also the name of its schema.
        pool_size: connections kept open; as many again are opened under load.
        patience: seconds that a statement may take. A server that does not answer is as good as away; more than
            `lock_timeout`, so that a lock is told from that.
    """

    def __init__(self, url: str, service: str, *, pool_size: int = 10, patience: float = 15.0) -> None:
        self.service = service
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=10,
            connect_args={
                "timeout": 10,
                "command_timeout": patience,
                "server_settings": {
                    "search_path": service,
                    "role": role_of(service),
                    "application_name": f"greenroom-{service}",
                    # A lock that nobody releases becomes an error that the caller can retry, not a hang.
                    "lock_timeout": "10s",
                    "idle_in_transaction_session_timeout": "60s",
                },
            },
        )
        event.listen(self.engine.sync_engine, "handle_error", _give_up_silent_connection)
        # One statement a read needs neither BEGIN nor COMMIT, which would be two more round trips.
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._repeatable_read = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection on which every statement sees the newest committed state by itself."""
        async with self._autocommit.connect() as connection:
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Yield a read-only connection on which all statements see one committed state."""
        async with self._repeatable_read.connect() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection in a READ COMMITTED transaction: committed at the end, rolled back on an exception."""
        async with self.engine.begin() as connection:
            yield connection

    async def ping(self) -> None:
        """Raise when the database does not answer."""
        async with self.read() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.engine.dispose()


def _give_up_silent_connection(context: ExceptionContext) -> None:
    """After a statement that took too long, let nobody use its connection, which may still be waiting for it."""
    if isinstance(context.original_exception, TimeoutError):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False


def violated_constraint(error: IntegrityError) -> str | None:
    """Return the name of the constraint or unique index that refused a row; None when the driver does not say."""
    cause = error.orig.__cause__ if error.orig is not None else None
    name = getattr(cause, "constraint_name", None)
    return name if isinstance(name, str) else None

"""What an exception of a driver means to a caller. The driver's own words stay in the log."""

from __future__ import annotations

import time
from types import TracebackType

import asyncpg
import grpc.aio
import redis.exceptions
import sqlalchemy.exc

from greenroomd.platform.context import Call
from greenroomd.platform.errors import (
    DeadlineExceeded,
    GreenroomError,
    Internal,
    ResourceExhausted,
    Unavailable,
    conflict,
)
from greenroomd.platform.status import dependency_unavailable, from_rpc_error

POSTGRES = "postgresql"
REDIS = "redis"

AWAY = ("08", "57P", "53300", "53200", "53400", "25006", "57014")
"""SQLSTATE prefixes of a server that is away, starting, stopping, full of connections, read-only or too slow."""

LOST_RACE = ("40001", "40P01", "55P03", "23505")
"""Serialisation failure, deadlock, lock timeout, and a unique key that another writer took first."""

DISK_FULL = "53100"


def classify(error: Exception, call: Call) -> GreenroomError:
    """Return what the caller of `call` is told about an exception that no service expected."""
    if isinstance(error, GreenroomError):
        return error
    if isinstance(error, grpc.aio.AioRpcError):
        return from_rpc_error(error)
    if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
        return dependency_unavailable(REDIS)
    if isinstance(error, TimeoutError) and call.deadline is not None and time.monotonic() >= call.deadline:
        return deadline_exceeded()
    if is_lost_race(error):
        return conflict()
    if sqlstate(error) == DISK_FULL:
        return ResourceExhausted("STORAGE_FULL", "the database has no space left; nothing was written")
    if _postgres_is_away(error):
        return outcome_unknown() if _may_have_committed(error) else dependency_unavailable(POSTGRES)
    return Internal(
        "INTERNAL",
        f"the server failed in a way that it should not; its log says why under request id {call.correlation_id}",
        request_id=call.correlation_id,
    )


def in_words(error: BaseException) -> str:
    """Return an error in one line for the log, without the SQL and the parameters that SQLAlchemy adds."""
    cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None else error
    return " ".join(f"{type(cause).__name__}: {cause}".split())


def deadline_exceeded() -> DeadlineExceeded:
    """Return the error for an answer that was not ready in the time that the caller gave."""
    return DeadlineExceeded("DEADLINE_EXCEEDED", "the answer was not ready before the deadline that the caller set")


def outcome_unknown() -> Unavailable:
    """Return the error for a write whose COMMIT was not answered."""
    return Unavailable(
        "DEPENDENCY_UNAVAILABLE",
        f"{POSTGRES} went away before it confirmed; what was to be written may be there: repeat the call with the same"
        " request_id, which never writes twice",
        dependency=POSTGRES,
    )


def is_lost_race(error: Exception) -> bool:
    """Return whether the database refused a write because another one came first."""
    return sqlstate(error) in LOST_RACE


def sqlstate(error: BaseException) -> str:
    """Return the five-character SQLSTATE of a database error, through SQLAlchemy or not; empty when there is none."""
    seen = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    state = getattr(seen, "sqlstate", None) or getattr(seen, "pgcode", None)
    return state if isinstance(state, str) else ""


def _postgres_is_away(error: Exception) -> bool:
    if isinstance(error, sqlalchemy.exc.TimeoutError):  # no connection of the pool became free
        return True
    if sqlstate(error).startswith(AWAY):
        return True
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return error.connection_invalidated or _says_closed(error.orig)
    if isinstance(error, asyncpg.InterfaceError):
        return _says_closed(error)
    # A refused or timed-out connection attempt is a plain OSError: only where it came from tells what was tried.
    return isinstance(error, OSError) and _passed_through(error.__traceback__, "asyncpg")


def _may_have_committed(error: Exception) -> bool:
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        return error.statement is None  # SQLAlchemy names every statement but BEGIN, COMMIT and ROLLBACK
    connecting = _passed_through(error.__traceback__, "asyncpg.connect_utils")
    return isinstance(error, TimeoutError | asyncpg.InterfaceError) and not connecting


def _says_closed(error: BaseException | None) -> bool:
    text = str(error)
    return "connection is closed" in text or "connection was closed" in text


def _passed_through(traceback: TracebackType | None, package: str) -> bool:
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        if module == package or module.startswith(package + "."):
            return True
        traceback = traceback.tb_next
    return False

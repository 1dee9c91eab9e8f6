"""Turns what a call raised into `google.rpc.Status`, and writes the call's one line into the log."""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar, Self

import grpc.aio
import structlog
from grpc_status import rpc_status

from greenroomd.platform import failures
from greenroomd.platform.context import Call
from greenroomd.platform.errors import Code, GreenroomError
from greenroomd.platform.interceptors.link import Context, Proceed, Wiring
from greenroomd.platform.interceptors.methods import Method
from greenroomd.platform.interceptors.request_id import HEADER
from greenroomd.platform.status import to_status

logger = structlog.get_logger("greenroomd.calls")


class Errors:
    """The only place where a call fails towards its caller: a driver's or a defect's own words end here."""

    name: ClassVar[str] = "errors"

    @classmethod
    def of(cls, method: Method, wiring: Wiring) -> Self:
        return cls()

    async def __call__(self, call: Call, request: Any, context: Context, proceed: Proceed) -> Any:
        started = time.perf_counter()
        try:
            response = await proceed(call, request, context)
        except asyncio.CancelledError:
            expired = call.deadline is not None and time.monotonic() >= call.deadline
            call.code = "DEADLINE_EXCEEDED" if expired else "CANCELLED"
            _log_call(call, started)
            raise
        except grpc.aio.AbortError:  # a handler has ended the call by itself
            call.code = str(context.code())
            _log_call(call, started)
            raise
        except Exception as error:
            raised, failure = error, failures.classify(error, call)
        else:
            _log_call(call, started)
            return response
        call.code, call.reason = failure.code.name, failure.reason
        if failure.code is Code.UNAVAILABLE and failure is not raised:
            # Every call meets it while a dependency is away: its name is enough, a stack each would be a flood.
            call.log_fields["cause"] = failures.in_words(raised)
            raised = failure
        _log_call(call, started, raised)
        status: Any = rpc_status.to_status(to_status(failure))
        trailers = (*status.trailing_metadata, (HEADER, call.correlation_id))
        return await context.abort(status.code, status.details, trailers)


def _log_call(call: Call, started: float, raised: Exception | None = None) -> None:
    """Write the access log line. An exception that nobody expected brings its traceback along."""
    expected = raised is None or isinstance(raised, GreenroomError | grpc.aio.AioRpcError)
    write = logger.error if call.code == Code.INTERNAL.name else logger.info if expected else logger.warning
    write(
        "call",
        method=call.method,
        code=call.code,
        reason=call.reason,
        principal=call.principal.id if call.principal is not None else "",
        duration_ms=round((time.perf_counter() - started) * 1000, 3),
        **call.log_fields,
        **({} if expected and call.code != Code.INTERNAL.name else {"exc_info": raised}),
    )

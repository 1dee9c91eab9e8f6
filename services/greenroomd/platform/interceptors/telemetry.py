"""Makes the call's span and counts it. Not in the chain at all when telemetry is off."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar, Self

from greenroomd.platform.context import Call
from greenroomd.platform.interceptors.link import Context, Proceed, Wiring
from greenroomd.platform.interceptors.methods import Method

if TYPE_CHECKING:
    from greenroomd.platform.tracing import Tracing

HEADER = "traceparent"


class CallTelemetry:
    """A server span with the caller's span as its parent, the duration of every call, and how many are in progress."""

    name: ClassVar[str] = "telemetry"

    def __init__(self, method: Method, tracing: Tracing) -> None:
        from opentelemetry.trace import SpanKind, StatusCode

        from greenroomd.platform.tracing import current_trace_parent

        self._tracing = tracing
        self._kind = SpanKind.SERVER
        self._error = StatusCode.ERROR
        self._current_trace_parent = current_trace_parent
        self._span_name = f"{method.service}/{method.name}"
        self._attributes = {"rpc.system": "grpc", "rpc.service": method.service, "rpc.method": method.name}
        self._duration = tracing.meter.create_histogram(
            "rpc.server.duration", unit="ms", description="How long calls took"
        )
        self._active = tracing.meter.create_up_down_counter(
            "rpc.server.active_requests", unit="{request}", description="Calls in progress"
        )

    @classmethod
    def of(cls, method: Method, wiring: Wiring) -> Self | None:
        tracing = wiring.telemetry.tracing
        return None if tracing is None else cls(method, tracing)

    async def __call__(self, call: Call, request: Any, context: Context, proceed: Proceed) -> Any:
        started = time.perf_counter()
        self._active.add(1, self._attributes)
        try:
            parent = self._tracing.context_for(call.metadata.get(HEADER))
            if parent is None:
                self._tracing.attach_untraced()
                return await proceed(call, request, context)
            with self._tracing.tracer.start_as_current_span(
                self._span_name,
                parent,
                self._kind,
                self._attributes,
                record_exception=False,  # it holds a driver's words; the log has them
                set_status_on_exception=False,
            ) as span:
                call.trace_parent = self._current_trace_parent()
                try:
                    return await proceed(call, request, context)
                finally:
                    span.set_attribute("rpc.response.status_code", call.code)
                    span.set_attribute("greenroom.request_id", call.correlation_id)
                    if call.principal is not None:
                        span.set_attribute("enduser.id", call.principal.id)
                    if call.code != "OK":
                        span.set_attribute("error.type", call.reason or call.code)
                        span.set_status(self._error, call.reason or call.code)
        finally:
            self._active.add(-1, self._attributes)
            elapsed = (time.perf_counter() - started) * 1000
            self._duration.record(elapsed, {**self._attributes, "rpc.response.status_code": call.code})

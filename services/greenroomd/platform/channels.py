"""Ways from one service to another: one channel a sibling, with credential, deadline, retries and trace included."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from greenroomd.platform.context import current_call
from greenroomd.platform.status import SiblingCallError, from_rpc_error, reason_of
from greenroomd.platform.telemetry import OFF, Telemetry

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["Channels", "from_rpc_error"]

DEADLINE = 5.0
"""Seconds a unary call may take when neither it nor the call in progress says less."""

Details = grpc.aio.ClientCallDetails

# Every RPC of ours can be repeated: it only reads, or it carries a request_id.
SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                # CANCELLED is what gRPC answers to a call that met a server just as it stopped; nobody has begun it.
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ]
}

OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    # A sibling that restarts is found again within a second or two, not after gRPC's usual two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A watch on a machine that vanished is noticed.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]


class Channels:
    """Channels to the sibling services, made when first asked for.

    Args:
        addresses: `host:port` by short service name; several may be the same.
        token: gives the bearer token of this process, asked on every call.
        telemetry: what `telemetry.configure` gave.
    """

    def __init__(self, addresses: Mapping[str, str], token: Callable[[], str], telemetry: Telemetry = OFF) -> None:
        self._addresses = addresses
        self._token = token
        self._telemetry = telemetry
        self._channels: dict[str, grpc.aio.Channel] = {}

    def to(self, service: str) -> grpc.aio.Channel:
        """Return the channel to a service. A stub on it needs neither metadata nor timeout.

        Failed unary calls raise `SiblingCallError`, an `AioRpcError` that `from_rpc_error` reads.

        Raises:
            KeyError: no address was given for that service.
        """
        channel = self._channels.get(service)
        if channel is None:
            if service not in self._addresses:
                raise KeyError(f"no address for the {service} service; known: {', '.join(self._addresses)}")
            outgoing = _Outgoing(service, self._token, self._telemetry)
            channel = self._channels[service] = grpc.aio.insecure_channel(
                self._addresses[service],
                options=OPTIONS,
                interceptors=[_Unary(outgoing), _Streaming(outgoing)],
            )
        return channel

    async def close(self) -> None:
        """Close every channel; calls in progress are cancelled."""
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            await channel.close()


class _Outgoing:
    """What every call to one sibling carries."""

    def __init__(self, service: str, token: Callable[[], str], telemetry: Telemetry) -> None:
        self.service = service
        self._token = token
        self._tracing = telemetry.tracing

    def details(self, details: Details, default_deadline: float | None, span: Span | None) -> Details:
        call = current_call()
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata.add("authorization", f"Bearer {self._token()}")
        if call.correlation_id:
            metadata.add("x-request-id", call.correlation_id)
        if span is not None:
            position = span.get_span_context()
            flags = int(position.trace_flags)
            metadata.add("traceparent", f"00-{position.trace_id:032x}-{position.span_id:016x}-{flags:02x}")
        timeout = details.timeout if details.timeout is not None else default_deadline
        if call.deadline is not None:
            left = max(call.deadline - time.monotonic(), 0.001)
            timeout = left if timeout is None else min(timeout, left)
        return Details(details.method, timeout, metadata, details.credentials, details.wait_for_ready)

    def start_span(self, method: str | bytes) -> Span | None:
        if self._tracing is None:
            return None
        from opentelemetry.trace import SpanKind

        name = (method.decode() if isinstance(method, bytes) else method).lstrip("/")
        service, _, rpc = name.rpartition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": rpc}
        return self._tracing.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)


class _Unary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, outgoing: _Outgoing) -> None:
        self._outgoing = outgoing

    async def intercept_unary_unary(
        self, continuation: Callable[[Details, Any], Any], client_call_details: Details, request: Any
    ) -> Any:
        span = self._outgoing.start_span(client_call_details.method)
        details = self._outgoing.details(client_call_details, DEADLINE, span)
        try:
            call = await continuation(details, request)
            await call
            return call
        except grpc.aio.AioRpcError as error:
            _mark_failed(span, error)
            raise SiblingCallError(error, self._outgoing.service) from None
        finally:
            if span is not None:
                span.end()


class _Streaming(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, outgoing: _Outgoing) -> None:
        self._outgoing = outgoing

    async def intercept_unary_stream(
        self, continuation: Callable[[Details, Any], Any], client_call_details: Details, request: Any
    ) -> Any:
        span = self._outgoing.start_span(client_call_details.method)
        call = await continuation(self._outgoing.details(client_call_details, None, span), request)
        if span is not None:
            call.add_done_callback(lambda _: span.end())
        return call


def _mark_failed(span: Span | None, error: grpc.aio.AioRpcError) -> None:
    if span is not None:
        from opentelemetry.trace import Status, StatusCode

        why = reason_of(error) or error.code().name
        span.set_attribute("rpc.response.status_code", error.code().name)
        span.set_attribute("error.type", why)
        span.set_status(Status(StatusCode.ERROR, why))

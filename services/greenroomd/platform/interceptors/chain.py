"""The order of the links, and their composition into the methods of a server."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError

from greenroomd.platform.context import Call
from greenroomd.platform.errors import Unavailable
from greenroomd.platform.interceptors.authentication import Authentication
from greenroomd.platform.interceptors.authorisation import Authorisation
from greenroomd.platform.interceptors.errors import Errors
from greenroomd.platform.interceptors.freshness import Freshness
from greenroomd.platform.interceptors.idempotency import Idempotency
from greenroomd.platform.interceptors.link import UNREADABLE, Authenticator, Context, Link, Proceed, Wiring
from greenroomd.platform.interceptors.methods import Method, methods_of
from greenroomd.platform.interceptors.redirection import Redirection
from greenroomd.platform.interceptors.request_id import RequestId
from greenroomd.platform.interceptors.telemetry import CallTelemetry
from greenroomd.platform.interceptors.validation import Validation
from greenroomd.platform.service import BuiltService
from greenroomd.platform.telemetry import Telemetry

LINKS: tuple[type[Link], ...] = (
    RequestId,  # every later line of the log has the id
    CallTelemetry,  # failures of all later links are measured
    Errors,  # what later links raise reaches the caller in one form
    Authentication,
    Authorisation,  # nobody learns from a validation error what they may not call
    Validation,
    Freshness,
    Idempotency,  # of what follows, only failures can be repetitions
    Redirection,  # a repetition under a former name is still a repetition
)
"""Every call passes these from the first to the last."""

ORDER: tuple[str, ...] = tuple(link.name for link in LINKS)

OPEN_METHODS = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
)
"""What needs no token, as exact paths: health for probes, reflection for tools. They skip the chain."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Serve = Callable[[Any, Context], Awaitable[Any]]


class Chain(grpc.aio.ServerInterceptor):
    """The one interceptor of a server. A path that is neither a method of an added service nor open is not served.

    Args:
        identity: knows whose token a text is.
        telemetry: what `telemetry.configure` gave.
    """

    def __init__(self, identity: Authenticator, telemetry: Telemetry) -> None:
        self._identity = identity
        self._telemetry = telemetry
        self._links: dict[str, tuple[Method, tuple[Link, ...]]] = {}
        self._handlers: dict[str, Handler] = {}
        self._watches: set[asyncio.Task[Any]] = set()
        self._draining = False

    def add(self, service: BuiltService) -> None:
        """Make the links of a service's methods. To be called before the server starts.

        Raises:
            ServiceMisdeclaredError: an RPC has no permission, no idempotency level, or no answer that can be repeated.
        """
        wiring = Wiring(self._identity, service.requests, service.resource_type, self._telemetry, service.redirects)
        for method in methods_of(descriptor_pool.Default().FindServiceByName(service.full_name)):
            made = (link.of(method, wiring) for link in LINKS)
            self._links[method.path] = (method, tuple(link for link in made if link is not None))

    @property
    def methods(self) -> Sequence[Method]:
        """The methods that pass the chain."""
        return [method for method, _ in self._links.values()]

    def links_of(self, path: str) -> tuple[str, ...]:
        """Return the names of the links that calls of a method pass."""
        return tuple(link.name for link in self._links[path][1])

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        path = handler_call_details.method
        composed = self._handlers.get(path)
        if composed is not None:
            return composed
        entry = self._links.get(path)
        if entry is None:
            return await continuation(handler_call_details) if path in OPEN_METHODS else None
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        # The handler of a path is the same for the server's whole life, so this happens once a method.
        composed = self._handlers[path] = self._compose(entry[0], entry[1], handler)
        return composed

    def end_watches(self) -> None:
        """End the streams that would never end by themselves, so that a server can stop; refuse new ones."""
        self._draining = True
        for task in self._watches:
            task.cancel()

    def _compose(self, method: Method, links: Sequence[Link], handler: Handler) -> Handler:
        step = self._innermost(method, handler)
        for link in reversed(links):
            step = partial(link, proceed=step)
        path = method.path

        async def serve(request: Any, context: Context) -> Any:
            left: Any = context.time_remaining()  # None without a deadline, whatever the stub says
            call = Call(
                path,
                metadata=dict(context.invocation_metadata() or ()),
                deadline=None if left is None else time.monotonic() + left,
            )
            return await step(call, request, context)

        make = _MAKERS[method.request_streaming, method.response_streaming]
        deserialize = _tolerant(handler.request_deserializer)
        return make(serve, request_deserializer=deserialize, response_serializer=handler.response_serializer)

    def _innermost(self, method: Method, handler: Handler) -> Proceed:
        behavior = _behavior(handler)
        if not method.response_streaming:

            async def respond(call: Call, request: Any, context: Context) -> Any:
                return await behavior(request, context)

            return respond

        async def stream(call: Call, request: Any, context: Context) -> None:
            responses = behavior(request, context)
            if inspect.isawaitable(responses):  # a handler that writes by itself
                await responses
                return
            try:
                async for response in responses:
                    await context.write(response)
            finally:
                await responses.aclose()

        return self._ended_by_drain(stream) if method.name.startswith("Watch") else stream

    def _ended_by_drain(self, stream: Proceed) -> Proceed:
        async def watch(call: Call, request: Any, context: Context) -> None:
            task = asyncio.current_task()
            if self._draining or task is None:
                raise _stopping()
            self._watches.add(task)
            try:
                await stream(call, request, context)
            except asyncio.CancelledError:
                if not self._draining:
                    raise
                task.uncancel()
                raise _stopping() from None
            finally:
                self._watches.discard(task)

        return watch


_MAKERS: dict[tuple[bool, bool], Callable[..., Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _behavior(handler: Handler) -> Callable[[Any, Context], Any]:
    behavior: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    return behavior  # type: ignore[no-any-return]


def _tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Let a request that is no protobuf come as far as validation: gRPC itself would answer UNKNOWN."""
    if deserialize is None:
        return None

    def read(raw: bytes) -> Any:
        try:
            return deserialize(raw)
        except DecodeError:
            return UNREADABLE

    return read


def _stopping() -> Unavailable:
    return Unavailable(
        "DEPENDENCY_UNAVAILABLE",
        "this server is stopping; watch again with the last resume_token, here or at another one",
        dependency="greenroomd",
    )

"""A servicer of a real proto service under the real chain, on a real server: what a handler does is up to the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from greenroom.artifact.v1 import artifact_service_pb2, watch_pb2
from greenroom.catalog.v1 import catalog_service_pb2
from greenroom.catalog.v1 import watch_pb2 as catalog_watch_pb2
from greenroomd.platform.changelog.log import FoundRequest
from greenroomd.platform.identity import Principals, create_principal
from greenroomd.platform.server import GreenroomServer, ServerSettings
from greenroomd.platform.service import BuiltService
from greenroomd.platform.telemetry import OFF, Telemetry

CATALOG = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name
ARTIFACT = artifact_service_pb2.DESCRIPTOR.services_by_name["ArtifactService"].full_name
RESOURCES: dict[str, type[Message]] = {
    CATALOG: catalog_watch_pb2.CatalogResource,
    ARTIFACT: watch_pb2.ArtifactResource,
}

Behavior = Callable[[Any, Any], Any]


@dataclass
class RequestTable:
    """A change log as the chain sees it: a head, and what earlier requests did."""

    revision: int = 0
    done: dict[tuple[str, str, str], FoundRequest] = field(default_factory=dict)
    asked: int = 0

    async def head(self) -> int:
        return self.revision

    async def find_request(self, principal_id: str, method: str, request_id: str) -> FoundRequest | None:
        self.asked += 1
        return self.done.get((principal_id, method, request_id))


async def nothing() -> None:
    """Ready, and nothing to close."""


class Behaviors:
    """What each RPC of a service does, by name; one that a test does not set answers with an empty message."""

    def __init__(self, full_name: str) -> None:
        self.service = descriptor_pool.Default().FindServiceByName(full_name)
        self.by_name: dict[str, Behavior] = {}

    def register(self, server: grpc.aio.Server) -> None:
        handlers = {method.name: self._handler(method) for method in self.service.methods}
        generic = grpc.method_handlers_generic_handler(self.service.full_name, handlers)
        server.add_generic_rpc_handlers((generic,))

    def _handler(self, method: Any) -> Any:
        request_type = message_factory.GetMessageClass(method.input_type)
        response_type = message_factory.GetMessageClass(method.output_type)

        async def respond(request: Any, context: Any) -> Any:
            behavior = self.by_name.get(method.name)
            return response_type() if behavior is None else await behavior(request, context)

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            behavior = self.by_name.get(method.name)
            if behavior is None:
                yield response_type()
            else:
                async for response in behavior(request, context):
                    yield response

        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        behavior: Any = stream if method.server_streaming else respond
        return make(
            behavior, request_deserializer=request_type.FromString, response_serializer=response_type.SerializeToString
        )


@dataclass
class Running:
    """A server with one service, and a client's way to it."""

    address: str
    server: GreenroomServer
    channel: grpc.aio.Channel
    requests: RequestTable
    behaviors: Behaviors
    principals: Path
    token: str

    def on(self, name: str, behavior: Behavior) -> None:
        """Let an RPC do something."""
        self.behaviors.by_name[name] = behavior

    def raises(self, name: str, error: BaseException) -> None:
        """Let an RPC fail."""

        async def fail(request: Any, context: Any) -> Any:
            raise error

        self.on(name, fail)

    def bearer(self, *roles: str, id: str = "someone") -> tuple[tuple[str, str], ...]:
        """Return metadata with the token of a new principal with these roles."""
        token = create_principal(self.principals, id, roles=roles)
        self.server.chain._identity._next_look = 0.0  # type: ignore[attr-defined]
        return (("authorization", f"Bearer {token}"),)

    @property
    def admin(self) -> tuple[tuple[str, str], ...]:
        """Metadata with the administrator's token."""
        return (("authorization", f"Bearer {self.token}"),)

    def call(self, name: str, request: Message | bytes, **kwargs: Any) -> Any:
        """Call an RPC of the service; as the administrator unless `metadata` says otherwise."""
        method = self.behaviors.service.methods_by_name[name]
        path = f"/{self.behaviors.service.full_name}/{name}"
        response = message_factory.GetMessageClass(method.output_type)
        make = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        multicallable: Any = make(path, request_serializer=as_bytes, response_deserializer=response.FromString)
        kwargs.setdefault("metadata", self.admin)
        return multicallable(request, timeout=kwargs.pop("timeout", 10), **kwargs)


def as_bytes(request: Message | bytes) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


@asynccontextmanager
async def running(
    folder: Path,
    *,
    full_name: str = CATALOG,
    telemetry: Telemetry = OFF,
    settings: ServerSettings | None = None,
    ready: Callable[[], Awaitable[None]] = nothing,
    background: tuple[Callable[[], Awaitable[None]], ...] = (),
    requests: Any = None,
) -> AsyncIterator[Running]:
    """Run a server with one service whose RPCs do what the test says."""
    principals = folder / "principals.json"
    token = create_principal(principals, "admin", roles=("admin",))
    server = GreenroomServer(settings or ServerSettings(port=0, grace_seconds=1), Principals(principals), telemetry)
    behaviors, table = Behaviors(full_name), requests or RequestTable()
    service = BuiltService(
        name="catalog",
        full_name=full_name,
        register=behaviors.register,
        requests=table,
        resource_type=RESOURCES[full_name],
        ready=ready,
        close=nothing,
        background=background,
    )
    address = server.bind()
    await server.start([service])
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Running(address, server, channel, table, behaviors, principals, token)
    finally:
        await server.stop()


@dataclass(frozen=True)
class Failure:
    """What a client saw of a failed call."""

    code: grpc.StatusCode
    message: str
    reason: str
    domain: str
    metadata: dict[str, str]
    violations: dict[str, str]
    preconditions: list[tuple[str, str, str]]


async def failure(call: Any) -> Failure:
    """Await a call that must fail and return how it failed."""
    try:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return describe(error)
    raise AssertionError("the call succeeded")


def describe(error: Any) -> Failure:
    """Return a failed call's code and details."""
    status = rpc_status.from_call(error) or status_pb2.Status()
    info, bad, unmet = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.PreconditionFailure(),
    )
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(bad) or detail.Unpack(unmet)
    return Failure(
        code=error.code(),
        message=error.details(),
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        violations={violation.field: violation.description for violation in bad.field_violations},
        preconditions=[(violation.type, violation.subject, violation.description) for violation in unmet.violations],
    )

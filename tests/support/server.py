"""All services of one installation in this process, on a real port, behind the real interceptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from greenroom.artifact.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from greenroom.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from greenroom.lifecycle.v1.lifecycle_service_pb2_grpc import LifecycleServiceStub
from greenroom.search.v1.search_service_pb2_grpc import SearchServiceStub
from greenroomd.application import Application
from greenroomd.config import Config
from support.processes import Identities


class UnaryToken(grpc.aio.UnaryUnaryClientInterceptor):
    """Adds a bearer token to unary calls."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(with_token(client_call_details, self._token), request)


class StreamToken(grpc.aio.UnaryStreamClientInterceptor):
    """Adds a bearer token to calls with a stream of answers."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(with_token(client_call_details, self._token), request)


class UploadToken(grpc.aio.StreamUnaryClientInterceptor):
    """Adds a bearer token to calls with a stream of requests."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(with_token(client_call_details, self._token), request_iterator)


def with_token(details: Any, token: str) -> Any:
    metadata = grpc.aio.Metadata(*(details.metadata or ()), ("authorization", f"Bearer {token}"))
    return details._replace(metadata=metadata)


@dataclass(frozen=True)
class Stubs:
    """The four services as one principal."""

    channel: grpc.aio.Channel

    @property
    def artifact(self) -> Any:
        return ArtifactServiceStub(self.channel)

    @property
    def catalog(self) -> Any:
        return CatalogServiceStub(self.channel)

    @property
    def lifecycle(self) -> Any:
        return LifecycleServiceStub(self.channel)

    @property
    def search(self) -> Any:
        return SearchServiceStub(self.channel)


def open_stubs(address: str, token: str, options: Sequence[tuple[str, Any]] = ()) -> Stubs:
    """Return stubs that carry a token; close their channel when done. `options` are gRPC's."""
    interceptors = [UnaryToken(token), StreamToken(token), UploadToken(token)]
    return Stubs(grpc.aio.insecure_channel(address, options=options, interceptors=interceptors))


@dataclass
class RunningServer:
    """A running installation and its principals: admin, reviewer, viewer, ci."""

    application: Application
    config: Config
    identities: Identities
    opened: dict[str, Stubs] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.application.address

    def token(self, principal: str) -> str:
        return self.identities.tokens[principal]

    def as_(self, principal: str) -> Stubs:
        """Return stubs that call as a principal."""
        if principal not in self.opened:
            self.opened[principal] = open_stubs(self.address, self.token(principal))
        return self.opened[principal]

    async def close(self) -> None:
        for stubs in self.opened.values():
            await stubs.channel.close()
        await self.application.stop()


@dataclass(frozen=True)
class Refusal:
    """A failed call in the terms of the contract."""

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: dict[str, str]
    fields: dict[str, str]
    """Message by violated field path."""
    preconditions: list[str]


def refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Return code, reason and details of a failed call."""
    reason, metadata, fields, preconditions = "", {}, {}, []
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info, request, failure = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.PreconditionFailure(),
        )
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(request):
            fields = {violation.field: violation.description for violation in request.field_violations}
        elif detail.Unpack(failure):
            preconditions = [violation.description for violation in failure.violations]
    return Refusal(error.code(), reason, error.details() or "", metadata, fields, preconditions)


async def refused(call: Any) -> Refusal:
    """Await a call that must fail and return how it did."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return refusal(error)
    raise AssertionError(f"the call should have been refused, but answered {answer}")

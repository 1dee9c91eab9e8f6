"""The catalog as the lifecycle sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import grpc.aio

from greenroom.catalog.v1 import version_pb2
from greenroom.catalog.v1.catalog_service_pb2 import (
    GetModelRequest,
    GetNamespaceRequest,
    GetVersionRequest,
    LookupVersionRequest,
)
from greenroom.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from greenroomd.lifecycle.domain import VersionFacts, VersionState, parent_of
from greenroomd.platform.channels import from_rpc_error
from greenroomd.platform.wellknown import actor_from_proto, moment

ResponseT = TypeVar("ResponseT")


class GrpcCatalog:
    """Implements `ports.Catalog`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = CatalogServiceStub(channel)

    async def require_namespace(self, name: str) -> None:
        await answer(self._stub.GetNamespace(GetNamespaceRequest(name=name)))

    async def require_model(self, name: str) -> None:
        await answer(self._stub.GetModel(GetModelRequest(name=name)))

    async def version(self, name: str) -> VersionFacts:
        response = await answer(self._stub.GetVersion(GetVersionRequest(name=name)))
        return facts_from_proto(response.version, parent_of(name))

    async def versions(self, names: Sequence[str]) -> Sequence[VersionFacts]:
        if len(names) == 1:
            return [await self.version(names[0])]
        return await asyncio.gather(*(self.version(name) for name in names))

    async def latest(self, model: str) -> VersionFacts:
        return await self._lookup(LookupVersionRequest(parent=model, latest=True))

    async def by_number(self, model: str, number: int) -> VersionFacts:
        return await self._lookup(LookupVersionRequest(parent=model, number=number))

    async def by_digest(self, model: str, digest: str) -> VersionFacts:
        return await self._lookup(LookupVersionRequest(parent=model, artifact_digest=digest))

    async def by_semver(self, model: str, range: str) -> VersionFacts:
        return await self._lookup(LookupVersionRequest(parent=model, semver_range=range))

    async def _lookup(self, request: LookupVersionRequest) -> VersionFacts:
        return facts_from_proto((await answer(self._stub.LookupVersion(request))).version, request.parent)


async def answer(call: Awaitable[ResponseT]) -> ResponseT:
    """Return the response of a call; its failure as the error that it stands for."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error, "catalog") from error


def facts_from_proto(message: version_pb2.Version, model: str) -> VersionFacts:
    """Return the facts of a version, under the name of its model that was asked for.

    While a model is being renamed the catalog may know it by another name; here it has the one that it has here.
    """
    return VersionFacts(
        name=f"{model}/versions/{message.number}",
        state=VersionState(message.state),
        artifact_digest=message.artifact_digest,
        creator=actor_from_proto(message.creator),
        create_time=moment(message.create_time),
        delete_time=moment(message.delete_time) if message.HasField("delete_time") else None,
        deleter=actor_from_proto(message.deleter) if message.HasField("deleter") else None,
    )

"""The artifact service as the catalog sees it."""

from __future__ import annotations

import grpc.aio

from greenroom.artifact.v1.artifact_pb2 import Artifact
from greenroom.artifact.v1.artifact_service_pb2 import GetArtifactRequest
from greenroom.artifact.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from greenroomd.catalog.domain import ArtifactSummary
from greenroomd.platform.channels import from_rpc_error
from greenroomd.platform.errors import NotFound


class GrpcArtifacts:
    """Implements `ports.Artifacts` and `full_view.ArtifactView`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ArtifactServiceStub(channel)

    async def artifact(self, namespace: str, digest: str) -> Artifact:
        """Return an artifact with its files. Raises NotFound, Unavailable."""
        try:
            response = await self._stub.GetArtifact(GetArtifactRequest(name=f"{namespace}/artifacts/{digest}"))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "artifact") from error
        return response.artifact

    async def find(self, namespace: str, digest: str) -> ArtifactSummary | None:
        try:
            artifact = await self.artifact(namespace, digest)
        except NotFound:
            return None
        return ArtifactSummary(artifact.digest, artifact.size_bytes)

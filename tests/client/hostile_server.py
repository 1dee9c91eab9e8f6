"""A server that lies, breaks off or goes silent: an attacker or a dying machine, not a stand-in for ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc

from greenroom import AsyncClient, Credentials
from greenroom.artifact.v1 import artifact_service_pb2 as artifact
from greenroom.artifact.v1.artifact_pb2 import Artifact
from greenroom.artifact.v1.artifact_service_pb2_grpc import (
    ArtifactServiceServicer,
    add_ArtifactServiceServicer_to_server,
)
from greenroom.artifact.v1.blob_pb2 import Blob
from greenroom.artifact.v1.upload_pb2 import Upload
from greenroom.catalog.v1 import catalog_service_pb2 as catalog
from greenroom.catalog.v1 import watch_pb2 as catalog_watch
from greenroom.catalog.v1.catalog_service_pb2_grpc import CatalogServiceServicer, add_CatalogServiceServicer_to_server
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as lifecycle
from greenroom.lifecycle.v1.lifecycle_service_pb2_grpc import (
    LifecycleServiceServicer,
    add_LifecycleServiceServicer_to_server,
)
from greenroom.lifecycle.v1.resolution_pb2 import Resolution
from greenroom.manifest import ManifestFile, build, digest_of
from greenroom.roles import Role

Context = grpc.aio.ServicerContext[Any, Any]

WEIGHTS = bytes(range(256)) * 16384  # 4 MiB, more than one message
NOTES = b"trained on digits\n"
VERSION = "namespaces/demo/models/digits/versions/1"


def honest_manifest(*files: tuple[str, bytes]) -> bytes:
    return build(ManifestFile(path, digest_of(data), len(data), Role.WEIGHT) for path, data in files)[0].document


def renamed(path: str) -> bytes:
    """Return a manifest whose one file has a path that `build` would refuse."""
    document = json.loads(honest_manifest(("model.bin", WEIGHTS)))
    document["layers"][0]["annotations"]["org.cncf.model.filepath"] = path
    return json.dumps(document).encode()


# Two of them have a RenameModel, which no test calls here.
class HostileServer(  # type: ignore[misc]
    ArtifactServiceServicer, LifecycleServiceServicer, CatalogServiceServicer
):
    """Answers whatever a test puts here."""

    def __init__(self) -> None:
        self.manifest = honest_manifest(("model.bin", WEIGHTS), ("notes/readme.md", NOTES))
        self.digest: str | None = None
        self.version = VERSION
        self.blobs = {digest_of(data): data for data in (WEIGHTS, NOTES, b"")}
        self.break_after: list[int] = []
        self.reads: list[int] = []
        self.stored: dict[str, bytearray] = {}
        self.writes: list[int] = []
        self.watches: list[str] = []
        self.metadata: dict[str, str] = {}

    async def Resolve(self, request: lifecycle.ResolveRequest, context: Context) -> lifecycle.ResolveResponse:
        self.metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        digest = self.digest or digest_of(self.manifest)
        return lifecycle.ResolveResponse(resolution=Resolution(version=self.version, artifact_digest=digest))

    async def GetArtifact(self, request: artifact.GetArtifactRequest, context: Context) -> artifact.GetArtifactResponse:
        return artifact.GetArtifactResponse(artifact=Artifact(manifest=self.manifest))

    async def ReadBlob(
        self, request: artifact.ReadBlobRequest, context: Context
    ) -> AsyncIterator[artifact.ReadBlobResponse]:
        self.reads.append(request.offset)
        data = self.blobs[request.digest][request.offset :]
        end = self.break_after.pop(0) if self.break_after else None
        for start in range(0, len(data[:end]), 1 << 20):
            yield artifact.ReadBlobResponse(data=data[:end][start : start + (1 << 20)])
        if end is not None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "killed")

    async def FindMissingBlobs(
        self, request: artifact.FindMissingBlobsRequest, context: Context
    ) -> artifact.FindMissingBlobsResponse:
        return artifact.FindMissingBlobsResponse(missing=request.blobs)

    async def CreateUpload(
        self, request: artifact.CreateUploadRequest, context: Context
    ) -> artifact.CreateUploadResponse:
        name = f"namespaces/demo/uploads/{request.blob.digest[7:]}"
        stored = self.stored.setdefault(name, bytearray())
        complete = digest_of(bytes(stored)) == request.blob.digest and request.blob.size_bytes > 0
        return artifact.CreateUploadResponse(
            upload=Upload(name=name, blob=request.blob, committed_size=len(stored), complete=complete)
        )

    async def WriteUpload(
        self, requests: AsyncIterator[artifact.WriteUploadRequest], context: Context
    ) -> artifact.WriteUploadResponse:
        stored, offset = bytearray(), -1
        name = ""
        async for message in requests:
            if offset < 0:
                name, offset = message.name, message.offset
                stored = self.stored[name]
                assert offset == len(stored)
                self.writes.append(offset)
            stored += message.data
            if self.break_after and len(stored) >= self.break_after[0]:
                self.break_after.pop(0)
                await context.abort(grpc.StatusCode.UNAVAILABLE, "killed")
        complete = digest_of(bytes(stored)) == "sha256:" + name.rpartition("/")[2]
        return artifact.WriteUploadResponse(
            upload=Upload(name=name, blob=Blob(), committed_size=len(stored), complete=complete)
        )

    async def CreateArtifact(
        self, request: artifact.CreateArtifactRequest, context: Context
    ) -> artifact.CreateArtifactResponse:
        digest = self.digest or digest_of(request.manifest)
        return artifact.CreateArtifactResponse(artifact=Artifact(digest=digest, manifest=request.manifest), revision=1)

    async def GetModel(self, request: catalog.GetModelRequest, context: Context) -> catalog.GetModelResponse:
        return catalog.GetModelResponse()

    async def CreateVersion(
        self, request: catalog.CreateVersionRequest, context: Context
    ) -> catalog.CreateVersionResponse:
        response = catalog.CreateVersionResponse(version=request.version, revision=7)
        response.version.name = VERSION
        return response

    async def WatchChanges(  # type: ignore[override]
        self, request: catalog_watch.WatchChangesRequest, context: Context
    ) -> AsyncIterator[catalog_watch.WatchChangesResponse]:
        self.watches.append(request.resume_token or f"after {request.after_revision}")
        start = int(request.resume_token or request.after_revision)
        yield catalog_watch.WatchChangesResponse(through_revision=start, resume_token=str(start))
        for revision in range(start + 1, start + 4):
            response = catalog_watch.WatchChangesResponse(through_revision=revision, resume_token=str(revision))
            response.changes.add().metadata.revision = revision
            yield response
        await context.abort(grpc.StatusCode.UNAVAILABLE, "killed")


@asynccontextmanager
async def listening(hostile: HostileServer) -> AsyncIterator[str]:
    """Serve on a free port; yields the address."""
    server = grpc.aio.server()
    add_ArtifactServiceServicer_to_server(hostile, server)
    add_LifecycleServiceServicer_to_server(hostile, server)
    add_CatalogServiceServicer_to_server(hostile, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def serving(hostile: HostileServer) -> AsyncIterator[AsyncClient]:
    """Serve, and connect to it."""
    async with (
        listening(hostile) as address,
        AsyncClient(Credentials(address, "gr_test_token"), timeout=10) as client,
    ):
        yield client


def hostile_server(kind: Any = HostileServer) -> HostileServer:
    """Return a server that is honest until a test changes that."""
    # The generated base is abstract for the type checker alone: what is left out answers UNIMPLEMENTED.
    return cast(HostileServer, kind())

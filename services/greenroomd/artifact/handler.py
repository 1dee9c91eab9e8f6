"""The artifact service's proto face: parse, call a use case, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Any

from greenroom.artifact.v1 import artifact_service_pb2 as pb
from greenroom.artifact.v1.artifact_service_pb2_grpc import ArtifactServiceServicer
from greenroom.artifact.v1.watch_pb2 import WatchChangesRequest, WatchChangesResponse
from greenroomd.artifact import convert
from greenroomd.artifact.uploads import Uploads
from greenroomd.artifact.usecases import Artifacts
from greenroomd.artifact.verification import Verification
from greenroomd.platform.changelog.streams import WatchStreams
from greenroomd.platform.errors import FieldViolation, field_invalid
from greenroomd.platform.pagination import next_page_token, read_page

ALL_NAMESPACES = "namespaces/-"

LARGEST_CHUNK = 2 * 1024 * 1024
"""Most bytes of one WriteUpload message."""


class ArtifactHandler(ArtifactServiceServicer):
    """Implements `greenroom.artifact.v1.ArtifactService`; what each RPC promises stands in the proto."""

    def __init__(
        self,
        artifacts: Artifacts,
        uploads: Uploads,
        verification: Verification,
        streams: WatchStreams[WatchChangesResponse],
    ) -> None:
        self._artifacts = artifacts
        self._uploads = uploads
        self._verification = verification
        self._streams = streams

    async def FindMissingBlobs(self, request: pb.FindMissingBlobsRequest, context: Any) -> pb.FindMissingBlobsResponse:
        blobs = [convert.blob_from_proto(blob) for blob in request.blobs]
        missing = await self._artifacts.find_missing(request.parent, blobs)
        return pb.FindMissingBlobsResponse(missing=[convert.blob_to_proto(blob) for blob in missing])

    async def CreateUpload(self, request: pb.CreateUploadRequest, context: Any) -> pb.CreateUploadResponse:
        upload = await self._uploads.create(request.parent, convert.blob_from_proto(request.blob))
        return pb.CreateUploadResponse(upload=convert.upload_to_proto(upload))

    async def GetUpload(self, request: pb.GetUploadRequest, context: Any) -> pb.GetUploadResponse:
        return pb.GetUploadResponse(upload=convert.upload_to_proto(await self._uploads.get(request.name)))

    async def WriteUpload(
        self, request_iterator: AsyncIterator[pb.WriteUploadRequest], context: Any
    ) -> pb.WriteUploadResponse:
        first = await anext(request_iterator, None)
        if first is None or not first.name:
            raise field_invalid(
                FieldViolation("name", "is required in the first message: namespaces/{namespace}/uploads/{upload}")
            )
        upload = await self._uploads.write(first.name, first.offset, chunks_of(first, request_iterator))
        return pb.WriteUploadResponse(upload=convert.upload_to_proto(upload))

    async def DeleteUpload(self, request: pb.DeleteUploadRequest, context: Any) -> pb.DeleteUploadResponse:
        await self._uploads.delete(request.name)
        return pb.DeleteUploadResponse()

    async def CreateArtifact(self, request: pb.CreateArtifactRequest, context: Any) -> pb.CreateArtifactResponse:
        # Answered without the manifest, which the caller has just sent: as a repetition is, from the log.
        written = await self._artifacts.create(request.parent, request.manifest)
        return pb.CreateArtifactResponse(artifact=convert.artifact_to_proto(written.value), revision=written.revision)

    async def GetArtifact(self, request: pb.GetArtifactRequest, context: Any) -> pb.GetArtifactResponse:
        artifact = await self._artifacts.get(request.name)
        return pb.GetArtifactResponse(artifact=convert.artifact_to_proto(artifact, with_manifest=True))

    async def ListArtifacts(self, request: pb.ListArtifactsRequest, context: Any) -> pb.ListArtifactsResponse:
        page = read_page(request)
        before = (datetime.fromisoformat(page.after[0]), page.after[1]) if page.after else None
        found = await self._artifacts.list(request.parent, before, page.size)
        last = found.artifacts[-1] if found.more else None
        return pb.ListArtifactsResponse(
            artifacts=[convert.artifact_to_proto(artifact) for artifact in found.artifacts],
            next_page_token=next_page_token(
                request, None if last is None else [last.create_time.isoformat(), last.digest]
            ),
        )

    async def ReadBlob(self, request: pb.ReadBlobRequest, context: Any) -> AsyncIterator[pb.ReadBlobResponse]:
        chunks = self._artifacts.read_blob(request.parent, request.digest, request.offset, request.limit)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield pb.ReadBlobResponse(data=chunk)

    async def VerifyBlobs(self, request: pb.VerifyBlobsRequest, context: Any) -> AsyncIterator[pb.VerifyBlobsResponse]:
        namespace = None if request.parent == ALL_NAMESPACES else request.parent
        async with aclosing(self._verification.run(namespace)) as reports:
            async for report in reports:
                yield convert.report_to_proto(report)

    async def WatchChanges(self, request: WatchChangesRequest, context: Any) -> AsyncIterator[WatchChangesResponse]:
        async for response in self._streams.stream(request):
            yield response


async def chunks_of(
    first: pb.WriteUploadRequest, messages: AsyncIterator[pb.WriteUploadRequest]
) -> AsyncIterator[bytes]:
    """Yield the data of a stream. Each message's bytes are taken out once, because taking them out copies them."""
    if chunk := checked(first.data):
        yield chunk
    async for message in messages:
        if message.name or message.offset:
            raise field_invalid(
                FieldViolation("name", "belongs into the first message only, as does offset; open a stream a session")
            )
        if chunk := checked(message.data):
            yield chunk


def checked(data: bytes) -> bytes:
    """Return the data of a message, which no generic validation looks at. Raises FIELD_INVALID."""
    if len(data) > LARGEST_CHUNK:
        what = f"has {len(data)} bytes; at most {LARGEST_CHUNK} are accepted in one message"
        raise field_invalid(FieldViolation("data", what))
    return data

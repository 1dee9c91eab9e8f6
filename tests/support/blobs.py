"""Bytes, blobs and manifests for the artifact service's tests, and the ways in which they are sent."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from greenroom import manifest as modelpack
from greenroom.artifact.v1 import artifact_service_pb2 as pb
from greenroom.artifact.v1.blob_pb2 import Blob as BlobMessage
from greenroom.roles import Role
from greenroomd.artifact.domain import Blob

MIB = 1024 * 1024


def noise(size: int, seed: int = 0) -> bytes:
    """Return bytes that do not compress, the same for the same arguments."""
    return random.Random(f"{size} {seed}").randbytes(size)


def blob_of(data: bytes) -> Blob:
    return Blob(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))


def blob_message(data: bytes) -> BlobMessage:
    blob = blob_of(data)
    return BlobMessage(digest=blob.digest, size_bytes=blob.size)


def pieces(data: bytes, size: int = MIB) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


async def stream(chunks: Iterable[bytes], then: BaseException | None = None) -> AsyncIterator[bytes]:
    """Yield the chunks, and then break off when told to."""
    for chunk in chunks:
        yield chunk
    if then is not None:
        raise then


def manifest_of(files: Mapping[str, bytes], role: Role = Role.WEIGHT) -> tuple[bytes, bytes]:
    """Return a manifest of files, and its config blob."""
    entries = [modelpack.ManifestFile(path, modelpack.digest_of(data), len(data), role) for path, data in files.items()]
    manifest, config = modelpack.build(entries)
    return manifest.document, config


def layer(path: Any = "model.bin", **changes: Any) -> dict[str, Any]:
    """Return one layer of a raw manifest; a change to None removes the key."""
    entry = {
        "mediaType": Role.WEIGHT.media_type,
        "digest": "sha256:" + "a" * 64,
        "size": 3,
        "annotations": {modelpack.FILEPATH_ANNOTATION: path},
        **changes,
    }
    return {key: value for key, value in entry.items() if value is not None}


def raw_manifest(entries: Sequence[Any] = (), **changes: Any) -> bytes:
    """Return a manifest that need not be a good one; a change to None removes the key."""
    document = {
        "schemaVersion": 2,
        "mediaType": modelpack.MANIFEST_MEDIA_TYPE,
        "artifactType": modelpack.ARTIFACT_TYPE,
        "config": {"mediaType": modelpack.CONFIG_MEDIA_TYPE, "digest": "sha256:" + "f" * 64, "size": 2},
        "layers": list(entries) or [layer()],
        **changes,
    }
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def write_requests(name: str, offset: int, chunks: Iterable[bytes]) -> list[pb.WriteUploadRequest]:
    """Return the messages of a WriteUpload stream."""
    first = pb.WriteUploadRequest(name=name, offset=offset)
    return [first, *(pb.WriteUploadRequest(data=chunk) for chunk in chunks)]


async def push_blob(artifact: Any, namespace: str, data: bytes) -> None:
    """Upload bytes through gRPC, unless the namespace holds them."""
    created = await artifact.CreateUpload(pb.CreateUploadRequest(parent=namespace, blob=blob_message(data)))
    if not created.upload.complete:
        rest = data[created.upload.committed_size :]
        await artifact.WriteUpload(
            iter(write_requests(created.upload.name, created.upload.committed_size, pieces(rest)))
        )


async def push(artifact: Any, namespace: str, files: Mapping[str, bytes]) -> Any:
    """Upload files through gRPC and commit them; return the CreateArtifactResponse."""
    document, config = manifest_of(files)
    for data in {*files.values(), config}:
        await push_blob(artifact, namespace, data)
    return await artifact.CreateArtifact(pb.CreateArtifactRequest(parent=namespace, manifest=document))


async def pull_blob(artifact: Any, namespace: str, digest: str, offset: int = 0, limit: int = 0) -> bytes:
    """Read bytes through gRPC."""
    request = pb.ReadBlobRequest(parent=namespace, digest=digest, offset=offset, limit=limit)
    return b"".join([message.data async for message in artifact.ReadBlob(request)])

"""Small artifacts, uploaded through the contract itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping

from greenroom.artifact.v1 import artifact_service_pb2 as pb
from greenroom.artifact.v1.blob_pb2 import Blob
from support.server import Stubs

WEIGHT = "application/vnd.cncf.model.weight.v1.raw"
CONFIG = "application/vnd.cncf.model.config.v1+json"


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def config_of(files: Mapping[str, bytes]) -> bytes:
    layers = {"type": "layers", "diffIds": [digest_of(files[path]) for path in sorted(files)]}
    return json.dumps({"config": {}, "descriptor": {}, "modelfs": layers}).encode()


def manifest_of(files: Mapping[str, bytes]) -> bytes:
    """Return an OCI image manifest as CNCF ModelPack describes it, one weight layer a file."""
    config = config_of(files)
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.cncf.model.manifest.v1+json",
        "config": {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [
            {
                "mediaType": WEIGHT,
                "digest": digest_of(files[path]),
                "size": len(files[path]),
                "annotations": {"org.cncf.model.filepath": path},
            }
            for path in sorted(files)
        ],
    }
    return json.dumps(document).encode()


async def upload(stubs: Stubs, namespace: str, content: bytes) -> None:
    """Bring one blob."""
    blob = Blob(digest=digest_of(content), size_bytes=len(content))
    opened = await stubs.artifact.CreateUpload(pb.CreateUploadRequest(parent=namespace, blob=blob))
    if opened.upload.complete:
        return

    async def messages() -> AsyncIterator[pb.WriteUploadRequest]:
        yield pb.WriteUploadRequest(name=opened.upload.name, offset=opened.upload.committed_size)
        for start in range(opened.upload.committed_size, len(content), 1 << 20):
            yield pb.WriteUploadRequest(data=content[start : start + (1 << 20)])

    answer = await stubs.artifact.WriteUpload(messages())
    assert answer.upload.complete


async def commit(stubs: Stubs, namespace: str, files: Mapping[str, bytes]) -> str:
    """Upload files and commit their manifest; return the artifact's digest."""
    for content in (*files.values(), config_of(files)):
        await upload(stubs, namespace, content)
    request = pb.CreateArtifactRequest(parent=namespace, manifest=manifest_of(files))
    answer = await stubs.artifact.CreateArtifact(request)
    return str(answer.artifact.digest)

"""Domain objects to protobuf and back. Round-trips are tested: what goes out comes in again unchanged."""

from __future__ import annotations

from greenroom.artifact.v1 import artifact_pb2, artifact_service_pb2, blob_pb2, upload_pb2, watch_pb2
from greenroomd.artifact import domain
from greenroomd.artifact.verification import Report
from greenroomd.platform.wellknown import actor_from_proto, actor_to_proto, moment, timestamp


def resource_bytes(resource: object) -> bytes:
    """Return the serialised ArtifactResource of an artifact, as the log stores it.

    Without the manifest: its digest is in the name, and a change must stay small enough for every watcher.
    """
    if not isinstance(resource, domain.Artifact):
        raise TypeError(f"the artifact log holds no {type(resource).__name__}")
    message = watch_pb2.ArtifactResource(artifact=artifact_to_proto(resource))
    return message.SerializeToString(deterministic=True)


def blob_to_proto(blob: domain.Blob) -> blob_pb2.Blob:
    return blob_pb2.Blob(digest=blob.digest, size_bytes=blob.size)


def blob_from_proto(message: blob_pb2.Blob) -> domain.Blob:
    return domain.Blob(message.digest, message.size_bytes)


def upload_to_proto(upload: domain.Upload) -> upload_pb2.Upload:
    return upload_pb2.Upload(
        name=upload.name,
        blob=blob_to_proto(upload.blob),
        committed_size=upload.committed_size,
        complete=upload.complete,
        expire_time=timestamp(upload.expire_time),
    )


def artifact_to_proto(artifact: domain.Artifact, *, with_manifest: bool = False) -> artifact_pb2.Artifact:
    """Return the message; its description alone unless the manifest is asked for."""
    return artifact_pb2.Artifact(
        name=artifact.name,
        digest=artifact.digest,
        manifest=artifact.manifest if with_manifest else b"",
        files=[file_to_proto(file) for file in artifact.files],
        size_bytes=artifact.size,
        creator=actor_to_proto(artifact.creator),
        create_time=timestamp(artifact.create_time),
    )


def artifact_from_proto(message: artifact_pb2.Artifact, manifest: bytes = b"") -> domain.Artifact:
    """Return the artifact that a message describes, with a manifest that was kept apart from it."""
    return domain.Artifact(
        name=message.name,
        namespace=message.name.rsplit("/artifacts/", 1)[0],
        digest=message.digest,
        files=tuple(file_from_proto(file) for file in message.files),
        size=message.size_bytes,
        creator=actor_from_proto(message.creator),
        create_time=moment(message.create_time),
        manifest=manifest or message.manifest,
    )


def file_to_proto(file: domain.File) -> artifact_pb2.File:
    return artifact_pb2.File(
        path=file.path,
        blob=blob_to_proto(file.blob),
        role=artifact_pb2.File.Role.ValueType(file.role.value),
        media_type=file.media_type,
    )


def file_from_proto(message: artifact_pb2.File) -> domain.File:
    return domain.File(message.path, blob_from_proto(message.blob), domain.Role(message.role), message.media_type)


def report_to_proto(report: Report) -> artifact_service_pb2.VerifyBlobsResponse:
    return artifact_service_pb2.VerifyBlobsResponse(
        blobs_done=report.blobs_done,
        bytes_done=report.bytes_done,
        blobs_total=report.blobs_total,
        bytes_total=report.bytes_total,
        damaged=[
            artifact_service_pb2.DamagedBlob(blob=blob_to_proto(damage.blob), problem=damage.problem)
            for damage in report.damaged
        ],
    )

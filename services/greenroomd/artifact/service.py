"""Puts the artifact service together."""

from __future__ import annotations

from datetime import timedelta

from greenroom.artifact.v1.artifact_service_pb2_grpc import add_ArtifactServiceServicer_to_server
from greenroom.artifact.v1.watch_pb2 import ArtifactChange, ArtifactResource, WatchChangesResponse
from greenroomd.artifact.blobs.filesystem import FilesystemBlobStore
from greenroomd.artifact.convert import resource_bytes
from greenroomd.artifact.handler import ArtifactHandler
from greenroomd.artifact.reaper import Reaper
from greenroomd.artifact.stores.postgres import PostgresArtifactStore
from greenroomd.artifact.uploads import Uploads
from greenroomd.artifact.usecases import Artifacts
from greenroomd.artifact.verification import Verification
from greenroomd.platform.changelog.runtime import LogRuntime
from greenroomd.platform.service import BuiltService, ServiceContext

FULL_NAME = "greenroom.artifact.v1.ArtifactService"


def build(context: ServiceContext) -> BuiltService:
    """Return the artifact service, ready to run. Makes the blob folder when it does not exist."""
    runtime = LogRuntime.build(context, resource_bytes, ArtifactChange)
    store = PostgresArtifactStore(runtime.log)
    blobs = FilesystemBlobStore(context.config.blob_store)
    uploads = Uploads(store, blobs, context.clock, timedelta(seconds=context.config.upload_expiry_seconds))
    artifacts = Artifacts(store, blobs, context.clock)
    verification = Verification(store, blobs)
    handler = ArtifactHandler(artifacts, uploads, verification, runtime.streams(WatchChangesResponse))

    async def ready() -> None:
        await context.database.ping()
        await blobs.check()

    async def close() -> None:
        await blobs.close()
        await context.database.close()

    return BuiltService(
        name="artifact",
        full_name=FULL_NAME,
        register=lambda server: add_ArtifactServiceServicer_to_server(handler, server),
        requests=runtime.log,
        resource_type=ArtifactResource,
        ready=ready,
        close=close,
        background=(*runtime.background, Reaper(uploads).run),
    )

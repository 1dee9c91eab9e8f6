"""The catalog's proto face: parse, call a use case, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.catalog.v1.catalog_service_pb2_grpc import CatalogServiceServicer
from greenroom.catalog.v1.watch_pb2 import WatchChangesRequest, WatchChangesResponse
from greenroomd.catalog import convert
from greenroomd.catalog.domain import Annotations
from greenroomd.catalog.full_view import ArtifactView, LifecycleView
from greenroomd.catalog.usecases import Catalog
from greenroomd.platform.changelog.streams import WatchStreams
from greenroomd.platform.errors import FieldViolation, field_invalid
from greenroomd.platform.pagination import cut, next_page_token, read_page
from greenroomd.platform.wellknown import values_from_proto

ALL_NAMESPACES = "namespaces/-"

BEYOND_EVERY_NUMBER = 2**63 - 1


class CatalogHandler(CatalogServiceServicer):
    """Implements `greenroom.catalog.v1.CatalogService`; what each RPC promises stands in the proto."""

    def __init__(
        self,
        catalog: Catalog,
        artifacts: ArtifactView,
        lifecycle: LifecycleView,
        streams: WatchStreams[WatchChangesResponse],
    ) -> None:
        self._catalog = catalog
        self._artifacts = artifacts
        self._lifecycle = lifecycle
        self._streams = streams

    async def CreateNamespace(self, request: pb.CreateNamespaceRequest, context: Any) -> pb.CreateNamespaceResponse:
        written = await self._catalog.models.create_namespace(request.namespace.name, request.namespace.description)
        return pb.CreateNamespaceResponse(
            namespace=convert.namespace_to_proto(written.value), revision=written.revision
        )

    async def GetNamespace(self, request: pb.GetNamespaceRequest, context: Any) -> pb.GetNamespaceResponse:
        namespace = await self._catalog.models.get_namespace(request.name)
        return pb.GetNamespaceResponse(namespace=convert.namespace_to_proto(namespace))

    async def ListNamespaces(self, request: pb.ListNamespacesRequest, context: Any) -> pb.ListNamespacesResponse:
        page = read_page(request)
        rows = await self._catalog.models.list_namespaces(page.after[0] if page.after else "", page.size + 1)
        rows, last = cut(rows, page.size)
        return pb.ListNamespacesResponse(
            namespaces=[convert.namespace_to_proto(row) for row in rows],
            next_page_token=next_page_token(request, None if last is None else [last.name]),
        )

    async def CreateModel(self, request: pb.CreateModelRequest, context: Any) -> pb.CreateModelResponse:
        model = request.model
        written = await self._catalog.models.create_model(
            model.name, model.description, values_from_proto(model.tags), model.owner
        )
        return pb.CreateModelResponse(model=convert.model_to_proto(written.value), revision=written.revision)

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:
        model = await self._catalog.models.get_model(request.name)
        response = pb.GetModelResponse(model=convert.model_to_proto(model))
        if request.view == pb.VIEW_FULL:
            response.state.CopyFrom(await self._lifecycle.model_state(model.name))
            if latest := await self._catalog.lookup.latest_if_any(model.name):
                response.latest_version.CopyFrom(convert.version_to_proto(latest))
        return response

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        page = read_page(request)
        namespace = None if request.parent == ALL_NAMESPACES else request.parent
        rows = await self._catalog.models.list_models(namespace, page.after[0] if page.after else "", page.size + 1)
        rows, last = cut(rows, page.size)
        return pb.ListModelsResponse(
            models=[convert.model_to_proto(row) for row in rows],
            next_page_token=next_page_token(request, None if last is None else [last.name]),
        )

    async def UpdateModel(self, request: pb.UpdateModelRequest, context: Any) -> pb.UpdateModelResponse:
        model = request.model
        new = new_annotations(model, request.update_mask, ("description", "tags", "owner"))
        written = await self._catalog.models.update_model(model.name, model.etag, new)
        return pb.UpdateModelResponse(model=convert.model_to_proto(written.value), revision=written.revision)

    async def RenameModel(self, request: pb.RenameModelRequest, context: Any) -> pb.RenameModelResponse:
        written = await self._catalog.renamings.rename(request.name, request.model_id, request.etag)
        return pb.RenameModelResponse(model=convert.model_to_proto(written.value), revision=written.revision)

    async def CreateVersion(self, request: pb.CreateVersionRequest, context: Any) -> pb.CreateVersionResponse:
        written = await self._catalog.versions.create_version(
            request.parent,
            convert.new_version_from_proto(request.version),
            allow_duplicate_artifact=request.allow_duplicate_artifact,
        )
        return pb.CreateVersionResponse(version=convert.version_to_proto(written.value), revision=written.revision)

    async def GetVersion(self, request: pb.GetVersionRequest, context: Any) -> pb.GetVersionResponse:
        version = await self._catalog.versions.get_version(request.name)
        response = pb.GetVersionResponse(version=convert.version_to_proto(version))
        if request.view == pb.VIEW_FULL:
            response.artifact.CopyFrom(await self._artifacts.artifact(version.namespace, version.artifact_digest))
            (state,) = await self._lifecycle.version_states(version.model, [version.name])
            response.state.CopyFrom(state)
        return response

    async def LookupVersion(self, request: pb.LookupVersionRequest, context: Any) -> pb.LookupVersionResponse:
        match request.WhichOneof("by"):
            case "number":
                version = await self._catalog.lookup.with_number(request.parent, request.number)
            case "semver_range":
                version = await self._catalog.lookup.in_range(request.parent, request.semver_range)
            case "artifact_digest":
                version = await self._catalog.lookup.with_artifact(request.parent, request.artifact_digest)
            case "latest" if request.latest:
                version = await self._catalog.lookup.latest(request.parent)
            case _:
                message = "set latest to true, or number, semver_range or artifact_digest"
                raise field_invalid(FieldViolation("by", message))
        return pb.LookupVersionResponse(version=convert.version_to_proto(version))

    async def ListVersions(self, request: pb.ListVersionsRequest, context: Any) -> pb.ListVersionsResponse:
        page = read_page(request)
        before = int(page.after[0]) if page.after else BEYOND_EVERY_NUMBER
        rows = await self._catalog.versions.list_versions(
            request.parent, before, page.size + 1, with_deleted=request.show_deleted
        )
        rows, last = cut(rows, page.size)
        response = pb.ListVersionsResponse(
            versions=[convert.version_to_proto(row) for row in rows],
            next_page_token=next_page_token(request, None if last is None else [str(last.number)]),
        )
        if request.view == pb.VIEW_FULL and rows:
            states = await self._lifecycle.version_states(request.parent, [row.name for row in rows])
            response.states.extend(states)
        return response

    async def UpdateVersion(self, request: pb.UpdateVersionRequest, context: Any) -> pb.UpdateVersionResponse:
        version = request.version
        new = new_annotations(version, request.update_mask, ("description", "tags"))
        written = await self._catalog.versions.update_version(version.name, version.etag, new)
        return pb.UpdateVersionResponse(version=convert.version_to_proto(written.value), revision=written.revision)

    async def DeleteVersion(self, request: pb.DeleteVersionRequest, context: Any) -> pb.DeleteVersionResponse:
        written = await self._catalog.deletion.delete(request.name, request.etag)
        return pb.DeleteVersionResponse(version=convert.version_to_proto(written.value), revision=written.revision)

    async def WatchChanges(self, request: WatchChangesRequest, context: Any) -> AsyncIterator[WatchChangesResponse]:
        async for response in self._streams.stream(request):
            yield response


def new_annotations(message: Any, mask: FieldMask, allowed: tuple[str, ...]) -> Annotations:
    """Return the new values that an update names: the masked fields, or without a mask those that are not empty.

    Raises InvalidArgument FIELD_INVALID for a field in the mask that cannot change.
    """
    if refused := [path for path in mask.paths if path not in allowed]:
        accepted = ", ".join(allowed)
        raise field_invalid(
            *(FieldViolation("update_mask", f"{path!r} cannot be changed; accepted are {accepted}") for path in refused)
        )
    chosen = set(mask.paths) or {name for name in allowed if getattr(message, name)}
    return Annotations(
        description=message.description if "description" in chosen else None,
        tags=values_from_proto(message.tags) if "tags" in chosen else None,
        owner=message.owner if "owner" in chosen else None,
    )

"""Calls about namespaces, models and versions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from google.protobuf.field_mask_pb2 import FieldMask

from greenroom._calls import Calls, pages
from greenroom._facts import ParamValue, to_values
from greenroom._naming import AnyModel, AnyNamespace, AnyVersion, model_name, namespace_name, resource_name
from greenroom.catalog.v1.catalog_service_pb2 import (
    VIEW_FULL,
    CreateModelRequest,
    CreateNamespaceRequest,
    DeleteVersionRequest,
    GetModelRequest,
    GetModelResponse,
    GetNamespaceRequest,
    GetNamespaceResponse,
    GetVersionRequest,
    GetVersionResponse,
    ListModelsRequest,
    ListNamespacesRequest,
    ListVersionsRequest,
    LookupVersionRequest,
    RenameModelRequest,
    UpdateModelRequest,
    UpdateVersionRequest,
)
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.errors import FieldInvalid
from greenroom.lifecycle.v1.state_pb2 import VersionState
from greenroom.names import ModelName, NamespaceName


class ListedVersion(NamedTuple):
    """A version of a list, with where it stands."""

    version: Version
    """The version."""
    state: VersionState
    """Its stage, aliases, checks and deployments."""


class CatalogCalls(Calls):
    """Namespaces, models and versions."""

    async def create_namespace(self, namespace: AnyNamespace, *, description: str = "") -> Namespace:
        """Create a namespace. Raises NamespaceExists."""
        resource = Namespace(name=str(namespace_name(namespace)), description=description)
        request = CreateNamespaceRequest(namespace=resource)
        return (await self._connection.unary(self._connection.catalog.CreateNamespace, request)).namespace

    async def get_namespace(self, namespace: AnyNamespace, *, min_revision: int = 0) -> Namespace:
        """Return a namespace. Raises NamespaceNotFound."""
        request = GetNamespaceRequest(name=str(namespace_name(namespace)), min_revision=min_revision)
        return (await self._connection.unary(self._connection.catalog.GetNamespace, request)).namespace

    async def list_namespaces(self, *, min_revision: int = 0) -> AsyncIterator[Namespace]:
        """Yield all namespaces by name."""
        request = ListNamespacesRequest(min_revision=min_revision)
        async for page in pages(self._connection.catalog.ListNamespaces, request, self._connection):
            for namespace in page.namespaces:
                yield namespace

    async def create_model(
        self,
        model: AnyModel,
        *,
        description: str = "",
        tags: Mapping[str, ParamValue] | None = None,
        owner: str = "",
    ) -> Model:
        """Create a model in a namespace that exists. Raises NamespaceNotFound, ModelExists."""
        resource = Model(
            name=str(model_name(model)),
            description=description,
            tags=to_values(tags or {}, "tags"),
            owner=owner,
        )
        request = CreateModelRequest(model=resource)
        return (await self._connection.unary(self._connection.catalog.CreateModel, request)).model

    async def get_model(self, model: AnyModel, *, min_revision: int = 0) -> Model:
        """Return a model. Raises ModelNotFound."""
        request = GetModelRequest(name=str(model_name(model)), min_revision=min_revision)
        return (await self._connection.unary(self._connection.catalog.GetModel, request)).model

    async def list_models(self, namespace: AnyNamespace = "-", *, min_revision: int = 0) -> AsyncIterator[Model]:
        """Yield the models of a namespace, or of all, by name. Raises NamespaceNotFound."""
        parent = NamespaceName("-") if namespace == "-" else namespace_name(namespace)
        request = ListModelsRequest(parent=str(parent), min_revision=min_revision)
        async for page in pages(self._connection.catalog.ListModels, request, self._connection):
            for model in page.models:
                yield model

    async def update_model(
        self,
        model: AnyModel,
        *,
        description: str | None = None,
        tags: Mapping[str, ParamValue] | None = None,
        owner: str | None = None,
        etag: str = "",
    ) -> Model:
        """Change what is not None; `tags` replaces all tags. Raises ModelNotFound, EtagStale."""
        resource = Model(
            name=str(model_name(model)),
            description=description or "",
            tags=to_values(tags or {}, "tags"),
            owner=owner or "",
            etag=etag,
        )
        mask = _mask(description=description, tags=tags, owner=owner)
        request = UpdateModelRequest(model=resource, update_mask=mask)
        return (await self._connection.unary(self._connection.catalog.UpdateModel, request)).model

    async def rename_model(self, model: AnyModel, model_id: str, *, etag: str = "") -> Model:
        """Give a model another id in its namespace; its former name goes on to work until `Model.former_names` says.

        Raises:
            ModelNotFound, EtagStale.
            ModelExists: the id is, or was, that of a model of the namespace.
        """
        request = RenameModelRequest(name=str(model_name(model)), model_id=model_id, etag=etag)
        return (await self._connection.unary(self._connection.catalog.RenameModel, request)).model

    async def get_version(self, version: AnyVersion, *, min_revision: int = 0) -> Version:
        """Return a version, a deleted one as a tombstone. Raises VersionNotFound."""
        request = GetVersionRequest(name=str(await self._version(version)), min_revision=min_revision)
        return (await self._connection.unary(self._connection.catalog.GetVersion, request)).version

    async def show(self, name: str) -> GetNamespaceResponse | GetModelResponse | GetVersionResponse:
        """Return everything that is known of a namespace, model or version, in one call.

        Args:
            name: `demo`, `demo/digits`, `demo/digits/3`, or a selector such as `demo/digits@production`.

        Raises:
            NamespaceNotFound, ModelNotFound, VersionNotFound.
        """
        found = await self._version(name) if "@" in name else resource_name(name)
        catalog = self._connection.catalog
        if isinstance(found, NamespaceName):
            return await self._connection.unary(catalog.GetNamespace, GetNamespaceRequest(name=str(found)))
        if isinstance(found, ModelName):
            return await self._connection.unary(catalog.GetModel, GetModelRequest(name=str(found), view=VIEW_FULL))
        return await self._connection.unary(catalog.GetVersion, GetVersionRequest(name=str(found), view=VIEW_FULL))

    async def list_versions(
        self, model: AnyModel, *, show_deleted: bool = False, min_revision: int = 0
    ) -> AsyncIterator[Version]:
        """Yield the versions of a model, newest first. Raises ModelNotFound."""
        request = ListVersionsRequest(
            parent=str(model_name(model)), show_deleted=show_deleted, min_revision=min_revision
        )
        async for page in pages(self._connection.catalog.ListVersions, request, self._connection):
            for version in page.versions:
                yield version

    async def list_versions_with_state(
        self, model: AnyModel, *, show_deleted: bool = False, min_revision: int = 0
    ) -> AsyncIterator[ListedVersion]:
        """Yield the versions of a model with where each stands, newest first. Raises ModelNotFound."""
        request = ListVersionsRequest(
            parent=str(model_name(model)), view=VIEW_FULL, show_deleted=show_deleted, min_revision=min_revision
        )
        async for page in pages(self._connection.catalog.ListVersions, request, self._connection):
            for version, state in zip(page.versions, page.states, strict=True):
                yield ListedVersion(version, state)

    async def lookup_version(
        self,
        model: AnyModel,
        *,
        number: int | None = None,
        semver_range: str | None = None,
        artifact_digest: str | None = None,
        min_revision: int = 0,
    ) -> Version:
        """Return the one READY version that is described; the newest when nothing is said of it.

        Args:
            model: the model.
            number: its number.
            semver_range: the highest semantic version in a range such as `^1.2`.
            artifact_digest: the newest with this artifact.
            min_revision: answer from a state at least as new as this revision of the catalog log.

        Raises:
            ModelNotFound, VersionNotFound, VersionDeleted.
            FieldInvalid: more than one description is given.
        """
        request = LookupVersionRequest(parent=str(model_name(model)), min_revision=min_revision)
        given = [one for one in (number, semver_range, artifact_digest) if one is not None]
        if len(given) > 1:
            raise FieldInvalid("describe the version by number, semver_range or artifact_digest, not by several")
        if number is not None:
            request.number = number
        elif semver_range is not None:
            request.semver_range = semver_range
        elif artifact_digest is not None:
            request.artifact_digest = artifact_digest
        else:
            request.latest = True
        return (await self._connection.unary(self._connection.catalog.LookupVersion, request)).version

    async def update_version(
        self,
        version: AnyVersion,
        *,
        description: str | None = None,
        tags: Mapping[str, ParamValue] | None = None,
        etag: str = "",
    ) -> Version:
        """Change what is not None; `tags` replaces all tags. Raises VersionNotFound, VersionDeleted, EtagStale."""
        resource = Version(
            name=str(await self._version(version)),
            description=description or "",
            tags=to_values(tags or {}, "tags"),
            etag=etag,
        )
        request = UpdateVersionRequest(version=resource, update_mask=_mask(description=description, tags=tags))
        return (await self._connection.unary(self._connection.catalog.UpdateVersion, request)).version

    async def delete_version(self, version: AnyVersion, *, etag: str = "") -> Version:
        """Turn a version into a tombstone. Raises VersionNotFound, VersionInUse, EtagStale."""
        request = DeleteVersionRequest(name=str(await self._version(version)), etag=etag)
        return (await self._connection.unary(self._connection.catalog.DeleteVersion, request)).version


def _mask(**fields: object) -> FieldMask:
    paths = [name for name, value in fields.items() if value is not None]
    if not paths:
        raise FieldInvalid(f"name at least one field to change: {', '.join(fields)}")
    return FieldMask(paths=paths)

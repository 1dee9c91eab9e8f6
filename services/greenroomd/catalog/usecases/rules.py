"""What several use cases of the catalog need to know before they go on."""

from __future__ import annotations

from greenroomd.catalog.domain import Model, Namespace, Version, VersionState
from greenroomd.catalog.errors import ModelNotFound, NamespaceNotFound, VersionDeleted, VersionNotFound
from greenroomd.catalog.ports import CatalogReader, CatalogWriter


def namespace_id(name: str) -> str:
    return name.removeprefix("namespaces/")


async def existing_namespace(reader: CatalogReader, name: str) -> Namespace:
    namespace = await reader.namespace(name)
    if namespace is None:
        raise NamespaceNotFound(name)
    return namespace


async def existing_model(reader: CatalogReader, name: str) -> Model:
    model = await reader.model(name)
    if model is None:
        raise ModelNotFound(name)
    return model


async def living_version(transaction: CatalogWriter, name: str) -> Version:
    version = await transaction.lock_version(name)
    if version is None:
        raise VersionNotFound(name)
    if version.state is VersionState.DELETED:
        raise VersionDeleted(name, version.delete_time, version.deleter.id if version.deleter else "")
    return version


async def check_parents(reader: CatalogReader, parents: tuple[str, ...]) -> None:
    if not parents:
        return
    known = await reader.existing_versions(parents)
    for parent in parents:
        if parent not in known:
            raise VersionNotFound(parent)

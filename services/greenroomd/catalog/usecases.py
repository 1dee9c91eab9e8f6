"""What the catalog does: one function for each RPC that needs a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from greenroomd.catalog import semver
from greenroomd.catalog.domain import Model, Namespace, NewVersion, Version, VersionState
from greenroomd.catalog.errors import (
    ArtifactMissing,
    ArtifactRegistered,
    ModelNotFound,
    NamespaceNotFound,
    VersionDeleted,
    VersionInUse,
    VersionNotFound,
)
from greenroomd.catalog.ports import Artifacts, CatalogReader, CatalogStore, CatalogWriter, Lifecycle
from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.context import caller
from greenroomd.platform.errors import FieldViolation, field_invalid
from greenroomd.platform.etags import check_etag, new_etag
from greenroomd.platform.values import Value


@dataclass(frozen=True, slots=True)
class Annotations:
    """New values of what can change on a model or a version; None leaves a field as it is."""

    description: str | None = None
    tags: Mapping[str, Value] | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """The use cases. Raises the errors of `catalog/errors.py`, which carry what the proto comments promise."""

    store: CatalogStore
    artifacts: Artifacts
    lifecycle: Lifecycle
    clock: Clock

    async def create_namespace(self, name: str, description: str) -> Written[Namespace]:
        now = self.clock.now()
        namespace = Namespace(name, uuid4(), description, caller(), now, now, new_etag())
        async with self.store.write() as transaction:
            await transaction.insert_namespace(namespace)
            transaction.record(Recorded("namespace.created", name, namespace_id(name), namespace))
        return Written(namespace, transaction.revision)

    async def get_namespace(self, name: str) -> Namespace:
        async with self.store.read() as reader:
            return await existing_namespace(reader, name)

    async def list_namespaces(self, after: str, limit: int) -> Sequence[Namespace]:
        async with self.store.read() as reader:
            return await reader.namespaces(after, limit)

    async def create_model(self, name: str, description: str, tags: Mapping[str, Value], owner: str) -> Written[Model]:
        now = self.clock.now()
        namespace = name.rsplit("/models/", 1)[0]
        model = Model(name, uuid4(), namespace, description, tags, owner, caller(), now, now, new_etag())
        async with self.store.write() as transaction:
            await transaction.insert_model(model)
            transaction.record(Recorded("model.created", name, namespace_id(namespace), model))
        return Written(model, transaction.revision)

    async def get_model(self, name: str) -> Model:
        async with self.store.read() as reader:
            return await existing_model(reader, name)

    async def latest_version(self, model: str) -> Version | None:
        async with self.store.read() as reader:
            return await reader.latest_version(model)

    async def list_models(self, namespace: str | None, after: str, limit: int) -> Sequence[Model]:
        """List the models of one namespace, or of all when it is None."""
        async with self.store.read() as reader:
            if namespace is not None:
                await existing_namespace(reader, namespace)
            return await reader.models(namespace, after, limit)

    async def update_model(self, name: str, etag: str, new: Annotations) -> Written[Model]:
        async with self.store.write() as transaction:
            before = await transaction.lock_model(name)
            if before is None:
                raise ModelNotFound(name)
            check_etag(name, etag, before.etag)
            after = replace(
                before,
                description=before.description if new.description is None else new.description,
                tags=before.tags if new.tags is None else new.tags,
                owner=before.owner if new.owner is None else new.owner,
                update_time=self.clock.now(),
                etag=new_etag(),
            )
            await transaction.save_model(after)
            transaction.record(Recorded("model.updated", name, namespace_id(after.namespace), after, before))
        return Written(after, transaction.revision)

    async def create_version(self, model: str, new: NewVersion, *, allow_duplicate_artifact: bool) -> Written[Version]:
        namespace = model.rsplit("/models/", 1)[0]
        artifact = await self.artifacts.find(namespace, new.artifact_digest)
        if artifact is None:
            raise ArtifactMissing(namespace, new.artifact_digest)
        async with self.store.write() as transaction:
            await check_parents(transaction, new.facts.parents)
            # From here the model is locked: numbers are given in commit order and none is lost to a failure.
            number = await transaction.next_number(model)
            if number is None:
                raise ModelNotFound(model)
            twin = await transaction.version_with_artifact(model, new.artifact_digest)
            if twin is not None and not allow_duplicate_artifact:
                raise ArtifactRegistered(new.artifact_digest, twin.name)
            now = self.clock.now()
            version = Version(
                name=f"{model}/versions/{number}",
                uid=uuid4(),
                namespace=namespace,
                model=model,
                number=number,
                state=VersionState.READY,
                artifact_digest=artifact.digest,
                artifact_size_bytes=artifact.size_bytes,
                semver=new.semver,
                facts=new.facts,
                description=new.description,
                tags=new.tags,
                creator=caller(),
                create_time=now,
                update_time=now,
                delete_time=None,
                deleter=None,
                etag=new_etag(),
            )
            await transaction.insert_version(version)
            transaction.record(Recorded("version.created", version.name, namespace_id(namespace), version))
        return Written(version, transaction.revision)

    async def get_version(self, name: str) -> Version:
        """Return a version; a deleted one as its tombstone."""
        async with self.store.read() as reader:
            version = await reader.version(name)
        if version is None:
            raise VersionNotFound(name)
        return version

    async def lookup_latest(self, model: str) -> Version:
        async with self.store.read() as reader:
            await existing_model(reader, model)
            version = await reader.latest_version(model)
        if version is None:
            raise VersionNotFound(f"{model}/versions/latest")
        return version

    async def lookup_number(self, model: str, number: int) -> Version:
        version = await self.get_version(f"{model}/versions/{number}")
        if version.state is VersionState.DELETED:
            raise VersionDeleted(version.name, version.delete_time, version.deleter.id if version.deleter else "")
        return version

    async def lookup_artifact(self, model: str, digest: str) -> Version:
        async with self.store.read() as reader:
            await existing_model(reader, model)
            version = await reader.version_with_artifact(model, digest)
        if version is None:
            raise VersionNotFound(f"{model}@{digest}")
        return version

    async def lookup_semver(self, model: str, range_text: str) -> Version:
        try:
            wanted = semver.parse_range(range_text)
        except ValueError as error:
            raise field_invalid(FieldViolation("semver_range", str(error))) from None
        async with self.store.read() as reader:
            await existing_model(reader, model)
            candidates = [(semver.parse(text), name) for text, name in await reader.semvers(model)]
            matching = [(version, name) for version, name in candidates if version in wanted]
            if not matching:
                raise VersionNotFound(f"{model}@{range_text}")
            version = await reader.version(max(matching)[1])
        if version is None:
            raise VersionNotFound(f"{model}@{range_text}")
        return version

    async def list_versions(self, model: str, before: int, limit: int, *, with_deleted: bool) -> Sequence[Version]:
        async with self.store.read() as reader:
            await existing_model(reader, model)
            return await reader.versions(model, before, limit, with_deleted=with_deleted)

    async def update_version(self, name: str, etag: str, new: Annotations) -> Written[Version]:
        async with self.store.write() as transaction:
            before = await living_version(transaction, name)
            check_etag(name, etag, before.etag)
            after = replace(
                before,
                description=before.description if new.description is None else new.description,
                tags=before.tags if new.tags is None else new.tags,
                update_time=self.clock.now(),
                etag=new_etag(),
            )
            await transaction.save_version(after)
            transaction.record(Recorded("version.updated", name, namespace_id(after.namespace), after, before))
        return Written(after, transaction.revision)

    async def delete_version(self, name: str, etag: str) -> Written[Version]:
        """Turn a version into a tombstone, unless the lifecycle service says that it is in use.

        The version is DELETING, committed, before lifecycle is asked, and lifecycle answers only after transitions
        that it is deciding: either such a transition sees DELETING and refuses, or the answer here sees its outcome.
        """
        async with self.store.read() as reader:
            version = await reader.version(name)
        if version is None:
            raise VersionNotFound(name)
        if version.state is VersionState.DELETED:
            return Written(version, 0)
        check_etag(name, etag, version.etag)
        await self._set_state(name, VersionState.DELETING)
        try:
            usage = await self.lifecycle.usage(name)
        except BaseException:
            await self._set_state(name, VersionState.READY)
            raise
        if usage.in_use:
            await self._set_state(name, VersionState.READY)
            raise VersionInUse(name, usage.stage, usage.aliases)
        async with self.store.write() as transaction:
            before = await living_version(transaction, name)
            now = self.clock.now()
            after = replace(
                before,
                state=VersionState.DELETED,
                delete_time=now,
                update_time=now,
                deleter=caller(),
                etag=new_etag(),
            )
            await transaction.save_version(after)
            before = replace(before, state=VersionState.READY)
            transaction.record(Recorded("version.deleted", name, namespace_id(after.namespace), after, before))
        return Written(after, transaction.revision)

    async def _set_state(self, name: str, state: VersionState) -> None:
        """Move between READY and DELETING: a lease that readers see but that is no change of the version."""
        async with self.store.write() as transaction:
            version = await living_version(transaction, name)
            await transaction.save_version(replace(version, state=state))


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

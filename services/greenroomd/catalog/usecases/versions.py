"""Registering, reading and annotating versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from greenroomd.catalog.domain import Annotations, NewVersion, Version, VersionState
from greenroomd.catalog.errors import ArtifactMissing, ArtifactRegistered, ModelNotFound, VersionNotFound
from greenroomd.catalog.ports import Artifacts, CatalogStore
from greenroomd.catalog.usecases.rules import check_parents, existing_model, living_version, namespace_id
from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.context import caller
from greenroomd.platform.etags import check_etag, new_etag


@dataclass(frozen=True, slots=True)
class Versions:
    """Raises the errors of `catalog/errors.py`, which carry what the proto comments promise."""

    store: CatalogStore
    artifacts: Artifacts
    clock: Clock

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

    async def list_versions(self, model: str, before: int, limit: int, *, with_deleted: bool) -> Sequence[Version]:
        async with self.store.read() as reader:
            found = await reader.versions(model, before, limit, with_deleted=with_deleted)
            if not found:
                # Asked last: a model that is renamed in between is found out too.
                await existing_model(reader, model)
        return found

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

"""Finding one version of a model by what is known of it."""

from __future__ import annotations

from dataclasses import dataclass

from greenroomd.catalog import semver
from greenroomd.catalog.domain import Version, VersionState
from greenroomd.catalog.errors import VersionDeleted, VersionNotFound
from greenroomd.catalog.ports import CatalogStore
from greenroomd.catalog.usecases.rules import existing_model
from greenroomd.platform.errors import FieldViolation, field_invalid


@dataclass(frozen=True, slots=True)
class Lookup:
    """READY versions only. Raises ModelNotFound, VersionNotFound."""

    store: CatalogStore

    async def latest_if_any(self, model: str) -> Version | None:
        async with self.store.read() as reader:
            version = await reader.latest_version(model)
            if version is None:
                await existing_model(reader, model)
        return version

    async def latest(self, model: str) -> Version:
        async with self.store.read() as reader:
            await existing_model(reader, model)
            version = await reader.latest_version(model)
        if version is None:
            raise VersionNotFound(f"{model}@latest", f"{model} has no version")
        return version

    async def with_number(self, model: str, number: int) -> Version:
        name = f"{model}/versions/{number}"
        async with self.store.read() as reader:
            version = await reader.version(name)
        if version is None:
            raise VersionNotFound(name)
        if version.state is VersionState.DELETED:
            raise VersionDeleted(version.name, version.delete_time, version.deleter.id if version.deleter else "")
        return version

    async def with_artifact(self, model: str, digest: str) -> Version:
        async with self.store.read() as reader:
            await existing_model(reader, model)
            version = await reader.version_with_artifact(model, digest)
        if version is None:
            raise VersionNotFound(f"{model}@{digest}", f"no version of {model} has the artifact {digest}")
        return version

    async def in_range(self, model: str, range_text: str) -> Version:
        try:
            wanted = semver.parse_range(range_text)
        except ValueError as error:
            raise field_invalid(FieldViolation("semver_range", str(error))) from None
        missing = f"{model} has no semantic version in {range_text}"
        if range_text.isdecimal():
            missing += f", and the version with that number is {model}/versions/{range_text}"
        nothing = VersionNotFound(f"{model}@{range_text}", missing)
        async with self.store.read() as reader:
            await existing_model(reader, model)
            candidates = [(semver.parse(text), name) for text, name in await reader.semvers(model)]
            matching = [(version, name) for version, name in candidates if version in wanted]
            if not matching:
                raise nothing
            version = await reader.version(max(matching)[1])
        if version is None:
            raise nothing
        return version

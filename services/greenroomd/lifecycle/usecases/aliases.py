"""Aliases: names that point to one version of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenroomd.lifecycle.domain import Alias, last_segment, namespace_id, namespace_of, parent_of
from greenroomd.lifecycle.errors import AliasNotFound, AliasReserved
from greenroomd.lifecycle.ports import Catalog, LifecycleStore
from greenroomd.lifecycle.selectors import is_reserved
from greenroomd.lifecycle.usecases.completion import require_ready
from greenroomd.lifecycle.usecases.renaming import check_not_renamed
from greenroomd.lifecycle.usecases.requests import check_expected
from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.context import caller
from greenroomd.platform.errors import FieldViolation, field_invalid
from greenroomd.platform.etags import check_etag, new_etag


@dataclass(frozen=True, slots=True)
class Aliases:
    store: LifecycleStore
    catalog: Catalog
    clock: Clock

    async def set(self, name: str, version: str, expected: str, etag: str) -> Written[Alias]:
        """Point an alias to a version of its model.

        Args:
            expected: the version that it must point to now; empty when the caller expects nothing.
            etag: the alias's etag that the caller has read; empty when it has read none.
        """
        model = parent_of(name)
        check_same_model(model, version=version, expected_version=expected)
        async with self.store.write() as transaction:
            await transaction.lock(namespace_of(model), [model])
            if is_reserved(last_segment(name), (await transaction.rules(namespace_of(model))).graph):
                raise AliasReserved(last_segment(name))
            before = await transaction.alias(name)
            check_expected(name, expected, before.version if before else "")
            check_etag(name, etag, before.etag if before else "")
            facts = await self.catalog.version(version)
            require_ready(facts)
            alias = Alias(name, version, facts.artifact_digest, caller(), self.clock.now(), new_etag())
            await transaction.save_alias(alias)
            related = (version, before.version) if before and before.version != version else (version,)
            transaction.record(Recorded("alias.set", name, namespace_id(name), alias, before, related))
        return Written(alias, transaction.revision)

    async def delete(self, name: str, etag: str) -> Written[Alias]:
        """Remove an alias; the answer is the alias as it was."""
        async with self.store.write() as transaction:
            await transaction.lock(namespace_of(name), [parent_of(name)])
            alias = await transaction.alias(name)
            if alias is None:
                raise AliasNotFound(name)
            check_etag(name, etag, alias.etag)
            await transaction.delete_alias(name)
            transaction.record(Recorded("alias.deleted", name, namespace_id(name), alias, alias, (alias.version,)))
        return Written(alias, transaction.revision)

    async def list(self, model: str) -> Sequence[Alias]:
        async with self.store.read() as reader:
            found = await reader.aliases(model)
            if not found:
                await check_not_renamed(reader, model)
        return found


def check_same_model(model: str, **versions: str) -> None:
    """Raises InvalidArgument FIELD_INVALID for each field that names a version of another model; empty ones pass."""
    violations = [
        FieldViolation(field, f"is not a version of {model}")
        for field, version in versions.items()
        if version and parent_of(version) != model
    ]
    if violations:
        raise field_invalid(*violations)

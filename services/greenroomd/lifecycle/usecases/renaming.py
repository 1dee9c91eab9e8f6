"""Following the catalog when it renames a model."""

from __future__ import annotations

from dataclasses import dataclass

from greenroomd.lifecycle.domain import ModelRename, namespace_id, namespace_of
from greenroomd.lifecycle.errors import ModelRenamed
from greenroomd.lifecycle.ports import LifecycleReader, LifecycleStore
from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.errors import FieldViolation, conflict, field_invalid


@dataclass(frozen=True, slots=True)
class Renamings:
    store: LifecycleStore

    async def follow(self, rename: ModelRename) -> Written[ModelRename]:
        """Move everything of a model to its new name, and lead the former one there.

        Holds the locks of both names, so whatever else writes there is before or after it: what comes after finds the
        former name out when it has its lock. A repetition moves nothing, and prolongs the redirect. A call that is
        older than what was followed since, of a catalog that was held up for long, is refused.
        """
        namespace = namespace_of(rename.name)
        if namespace_of(rename.former_name) != namespace or rename.former_name == rename.name:
            message = f"is not another name in {namespace}; a model stays in its namespace"
            raise field_invalid(FieldViolation("model_rename.former_name", message))
        async with self.store.write() as transaction:
            await transaction.lock_renaming(namespace, [rename.former_name, rename.name])
            redirect = (await transaction.redirects([rename.former_name])).get(rename.former_name)
            if redirect is None and await transaction.renames(rename.former_name) < rename.sequence:
                await transaction.rename_model(rename)
                names = (rename.former_name, rename.name)
                transaction.record(Recorded("model.renamed", rename.name, namespace_id(namespace), rename, None, names))
            elif redirect is None or redirect.current != rename.name:
                raise conflict(f"a later renaming of {rename.former_name} was followed already")
            else:
                await transaction.extend_redirect(rename)
        return Written(rename, transaction.revision)


async def check_not_renamed(reader: LifecycleReader, model: str) -> None:
    """Raises ModelRenamed when nothing was found under a name because it is a former one."""
    redirect = (await reader.redirects([model])).get(model)
    if redirect is not None:
        raise ModelRenamed(model, redirect.current)

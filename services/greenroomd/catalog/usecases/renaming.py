"""Renaming a model: a decision of the catalog that the lifecycle service follows before it is visible here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from greenroomd.catalog.domain import FormerName, Model, Renaming
from greenroomd.catalog.errors import ModelExists, ModelNotFound
from greenroomd.catalog.ports import CatalogStore, Lifecycle
from greenroomd.catalog.usecases.rules import namespace_id
from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.errors import conflict
from greenroomd.platform.etags import check_etag, new_etag


@dataclass(frozen=True, slots=True)
class Renamings:
    """Raises ModelNotFound, ModelExists, Aborted, Unavailable."""

    store: CatalogStore
    lifecycle: Lifecycle
    clock: Clock
    redirect: timedelta
    """How long a former name leads to the current one."""

    async def rename(self, name: str, model_id: str, etag: str) -> Written[Model]:
        """Give a model another id. Three steps, each of which can be repeated:

        1. The catalog commits the intention: the new name is the model's, and leads to it under its present name.
        2. Lifecycle re-keys its rows and redirects the old name. From here on both names work in both services, each
           of which knows for itself which of the two its rows carry.
        3. The catalog re-keys its rows, redirects the old name, and records the change.

        After step 1 there is only forward: whoever repeats the call after a crash finishes it, several may try at the
        same time, and another target is refused until then.
        """
        new_name = f"{name.rsplit('/', 1)[0]}/{model_id}"
        renaming = await self._begin(name, new_name, etag)
        expire_time = self.clock.now() + self.redirect
        await self.lifecycle.rename_model(name, renaming, expire_time)
        return await self._finish(name, renaming, FormerName(name, expire_time))

    async def _begin(self, name: str, new_name: str, etag: str) -> Renaming:
        async with self.store.write() as transaction:
            model = await transaction.lock_model(name)
            if model is None:
                raise ModelNotFound(name)
            if name == new_name:
                raise ModelExists(name)
            check_etag(name, etag, model.etag)
            under_way = await transaction.renaming(name)
            if under_way is not None and under_way.target != new_name:
                raise conflict(
                    f"{name} is being renamed to {under_way.target}; repeat that RenameModel to finish it, then rename"
                    " the model again"
                )
            # An intention, which readers do not see: nothing is recorded.
            return under_way or await transaction.begin_renaming(model, new_name)

    async def _finish(self, name: str, renaming: Renaming, former: FormerName) -> Written[Model]:
        async with self.store.write() as transaction:
            before = await transaction.lock_model(name)
            if before is None or await transaction.renaming(name) != renaming:
                raise conflict(f"another RenameModel of {name} was faster; read the model to see its name")
            after = replace(
                before,
                name=renaming.target,
                former_names=(former, *(one for one in before.former_names if one.name != renaming.target)),
                update_time=self.clock.now(),
                etag=new_etag(),
            )
            await transaction.rename_model(before, after)
            names = (before.name, after.name)
            namespace = namespace_id(after.namespace)
            transaction.record(Recorded("model.renamed", after.name, namespace, after, before, names))
        return Written(after, transaction.revision)

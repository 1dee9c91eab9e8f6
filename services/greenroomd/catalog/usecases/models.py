"""Namespaces and models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from greenroomd.catalog.domain import Annotations, Model, Namespace
from greenroomd.catalog.errors import ModelNotFound
from greenroomd.catalog.ports import CatalogStore
from greenroomd.catalog.usecases.rules import existing_model, existing_namespace, namespace_id
from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.context import caller
from greenroomd.platform.etags import check_etag, new_etag
from greenroomd.platform.values import Value


@dataclass(frozen=True, slots=True)
class Models:
    """Raises the errors of `catalog/errors.py`, which carry what the proto comments promise."""

    store: CatalogStore
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

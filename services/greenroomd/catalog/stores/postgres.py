"""The catalog's store on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Select, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from greenroom.catalog.v1 import model_pb2, namespace_pb2, version_pb2
from greenroomd.catalog import convert
from greenroomd.catalog.domain import Model, Namespace, Renaming, Version, VersionState
from greenroomd.catalog.errors import ModelExists, NamespaceExists, NamespaceNotFound, SemverTaken
from greenroomd.catalog.stores import renaming
from greenroomd.catalog.stores.tables import models, namespaces, versions
from greenroomd.platform.changelog.log import ChangeLog, Recorded, WriteTransaction
from greenroomd.platform.database import violated_constraint
from greenroomd.platform.redirects import Redirect


class PostgresCatalogStore:
    """Implements `ports.CatalogStore`."""

    def __init__(self, log: ChangeLog) -> None:
        self._log = log

    @asynccontextmanager
    async def read(self) -> AsyncIterator[PostgresCatalogReader]:
        async with self._log.database.read() as connection:
            yield PostgresCatalogReader(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[PostgresCatalogWriter]:
        async with self._log.write() as transaction:
            yield PostgresCatalogWriter(transaction)

    async def redirects(self, models: Collection[str]) -> Mapping[str, Redirect]:
        """Return where those of the names lead that a model had, or is being given."""
        async with self._log.database.read() as connection:
            return await renaming.redirects(connection, models)


def to_namespace(message: bytes) -> Namespace:
    return convert.namespace_from_proto(namespace_pb2.Namespace.FromString(message))


def to_model(message: bytes) -> Model:
    return convert.model_from_proto(model_pb2.Model.FromString(message))


def to_version(message: bytes) -> Version:
    return convert.version_from_proto(version_pb2.Version.FromString(message))


class PostgresCatalogReader:
    """Implements `ports.CatalogReader`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def namespace(self, name: str) -> Namespace | None:
        row = await self._message(select(namespaces.c.message).where(namespaces.c.name == name))
        return None if row is None else to_namespace(row)

    async def namespaces(self, after: str, limit: int) -> Sequence[Namespace]:
        query = select(namespaces.c.message).where(namespaces.c.name > after).order_by(namespaces.c.name).limit(limit)
        return [to_namespace(message) for message in await self._messages(query)]

    async def model(self, name: str) -> Model | None:
        row = await self._message(select(models.c.message).where(models.c.name == name))
        return None if row is None else to_model(row)

    async def models(self, namespace: str | None, after: str, limit: int) -> Sequence[Model]:
        query = select(models.c.message).where(models.c.name > after).order_by(models.c.name).limit(limit)
        if namespace is not None:
            query = query.where(models.c.namespace == namespace)
        return [to_model(message) for message in await self._messages(query)]

    async def version(self, name: str) -> Version | None:
        row = await self._message(select(versions.c.message).where(versions.c.name == name))
        return None if row is None else to_version(row)

    async def versions(self, model: str, before: int, limit: int, *, with_deleted: bool) -> Sequence[Version]:
        query = (
            select(versions.c.message)
            .where(versions.c.model == model, versions.c.number < before)
            .order_by(versions.c.number.desc())
            .limit(limit)
        )
        if not with_deleted:
            query = query.where(versions.c.state != VersionState.DELETED.value)
        return [to_version(message) for message in await self._messages(query)]

    async def latest_version(self, model: str) -> Version | None:
        row = await self._message(self._ready(model).order_by(versions.c.number.desc()).limit(1))
        return None if row is None else to_version(row)

    async def version_with_artifact(self, model: str, digest: str) -> Version | None:
        query = self._ready(model).where(versions.c.artifact_digest == digest)
        row = await self._message(query.order_by(versions.c.number.desc()).limit(1))
        return None if row is None else to_version(row)

    async def semvers(self, model: str) -> Sequence[tuple[str, str]]:
        query = select(versions.c.semver, versions.c.name).where(
            versions.c.model == model, versions.c.semver != "", versions.c.state == VersionState.READY.value
        )
        return [(row.semver, row.name) for row in await self._connection.execute(query)]

    async def existing_versions(self, names: Sequence[str]) -> set[str]:
        query = select(versions.c.name).where(versions.c.name.in_(names))
        return set(await self._connection.scalars(query))

    def _ready(self, model: str) -> Select[bytes]:
        return select(versions.c.message).where(versions.c.model == model, versions.c.state == VersionState.READY.value)

    async def _message(self, query: Select[bytes]) -> bytes | None:
        return (await self._connection.execute(query)).scalar_one_or_none()

    async def _messages(self, query: Select[bytes]) -> Sequence[bytes]:
        return (await self._connection.scalars(query)).all()


class PostgresCatalogWriter(PostgresCatalogReader):
    """Implements `ports.CatalogWriter`."""

    def __init__(self, transaction: WriteTransaction) -> None:
        super().__init__(transaction.connection)
        self._transaction = transaction

    @property
    def revision(self) -> int:
        return self._transaction.revision

    def record(self, change: Recorded) -> None:
        self._transaction.record(change)

    async def insert_namespace(self, namespace: Namespace) -> None:
        message = convert.namespace_to_proto(namespace).SerializeToString()
        try:
            await self._execute(insert(namespaces).values(name=namespace.name, uid=namespace.uid, message=message))
        except IntegrityError as error:
            if violated_constraint(error) == "namespaces_pkey":
                raise NamespaceExists(namespace.name) from None
            raise

    async def insert_model(self, model: Model) -> None:
        row = {"name": model.name, "uid": model.uid, "namespace": model.namespace, "last_number": 0, "renames": 0}
        message = convert.model_to_proto(model).SerializeToString()
        try:
            await self._execute(insert(models).values(**row, message=message))
        except IntegrityError as error:
            match violated_constraint(error):
                case "models_pkey":
                    raise ModelExists(model.name) from None
                case "models_namespace":
                    raise NamespaceNotFound(model.namespace) from None
            raise
        # After the insert: it has waited for a renaming that gives the name away or takes it.
        await renaming.check_never_used(self._connection, model.name)

    async def lock_model(self, name: str) -> Model | None:
        row = await self._message(select(models.c.message).where(models.c.name == name).with_for_update())
        return None if row is None else to_model(row)

    async def save_model(self, model: Model) -> None:
        message = convert.model_to_proto(model).SerializeToString()
        await self._execute(update(models).where(models.c.name == model.name).values(message=message))

    async def renaming(self, name: str) -> Renaming | None:
        return await renaming.renaming(self._connection, name)

    async def begin_renaming(self, model: Model, target: str) -> Renaming:
        return await renaming.begin(self._connection, model, target)

    async def rename_model(self, before: Model, after: Model) -> None:
        await renaming.finish(self._connection, before, after)

    async def next_number(self, model: str) -> int | None:
        statement = (
            update(models)
            .where(models.c.name == model)
            .values(last_number=models.c.last_number + 1)
            .returning(models.c.last_number)
        )
        number: int | None = (await self._connection.execute(statement)).scalar_one_or_none()
        return number

    async def insert_version(self, version: Version) -> None:
        row = {
            "name": version.name,
            "uid": version.uid,
            "model": version.model,
            "number": version.number,
            "state": version.state.value,
            "semver": version.semver,
            "artifact_digest": version.artifact_digest,
            "message": convert.version_to_proto(version).SerializeToString(),
        }
        # Asked under the model's lock rather than found out by a violation, so that the answer can name the holder.
        taken = select(versions.c.name).where(versions.c.model == version.model, versions.c.semver == version.semver)
        holder = None if not version.semver else (await self._connection.scalars(taken)).one_or_none()
        if holder is not None:
            raise SemverTaken(version.semver, holder)
        await self._execute(insert(versions).values(**row))

    async def lock_version(self, name: str) -> Version | None:
        row = await self._message(select(versions.c.message).where(versions.c.name == name).with_for_update())
        return None if row is None else to_version(row)

    async def save_version(self, version: Version) -> None:
        message = convert.version_to_proto(version).SerializeToString()
        statement = update(versions).where(versions.c.name == version.name)
        await self._execute(statement.values(state=version.state.value, message=message))

    async def deletion_lease(self, name: str) -> UUID | None:
        query = select(versions.c.deletion_lease).where(versions.c.name == name)
        return (await self._connection.scalars(query)).one_or_none()

    async def lock_leased_version(self, lease: UUID) -> Version | None:
        query = select(versions.c.message).where(versions.c.deletion_lease == lease).with_for_update()
        row = await self._message(query)
        return None if row is None else to_version(row)

    async def save_leased_version(self, version: Version, lease: UUID | None) -> None:
        # One statement: at a second update of the row PostgreSQL locks the model's, which a renaming locks first.
        message = convert.version_to_proto(version).SerializeToString()
        values = {"state": version.state.value, "message": message, "deletion_lease": lease}
        await self._execute(update(versions).where(versions.c.name == version.name).values(**values))

    async def _execute(self, statement: Any) -> None:
        await self._connection.execute(statement)

"""The artifact service's rows on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    LargeBinary,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    delete,
    func,
    literal,
    null,
    select,
    text,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from greenroom.artifact.v1 import artifact_pb2
from greenroomd.artifact import convert
from greenroomd.artifact.domain import Artifact, ArtifactPage, Blob, Readable, Upload
from greenroomd.artifact.stores.tables import artifact_blobs, artifacts, blobs, namespace_blobs, uploads
from greenroomd.platform.changelog.log import ChangeLog, Recorded, WriteTransaction

PAGE_BYTES = 2 * 1024 * 1024
"""Descriptions on one page of a list; the last one may go beyond. Messages end at 4 MiB."""

COMMIT_REVISION = text(
    "SELECT revision FROM changes WHERE resource = :name AND type = 'artifact.created' ORDER BY revision DESC LIMIT 1"
)
INSERT_ARTIFACT_BLOBS = text(
    "INSERT INTO artifact_blobs (namespace, artifact, blob)"
    " SELECT :namespace, :artifact, unnest(CAST(:blobs AS text[]))"
)


class PostgresArtifactStore:
    """Implements `ports.ArtifactStore`."""

    def __init__(self, log: ChangeLog) -> None:
        self._log = log

    @asynccontextmanager
    async def read(self) -> AsyncIterator[PostgresArtifactReader]:
        async with self._log.database.read() as connection:
            yield PostgresArtifactReader(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[PostgresArtifactWriter]:
        async with self._log.write() as transaction:
            yield PostgresArtifactWriter(transaction)


def parts(name: str) -> tuple[str, str]:
    """Split `namespaces/{namespace}/<collection>/{id}` into the namespace's name and the id."""
    namespace, _, last = name.rsplit("/", 2)
    return namespace, last


def one_of(column: ColumnElement[Any], values: Collection[str], kind: Any = Text) -> ColumnElement[bool]:
    """Return `column = ANY(values)`, which is one parameter however many there are."""
    return column == any_(bindparam(None, sorted(values), type_=ARRAY(kind)))


def ids_of(texts: Collection[str]) -> dict[UUID, str]:
    """Return the ids that can be a session's; anything else names none."""
    found = {}
    for text_id in texts:
        try:
            found[UUID(text_id)] = text_id
        except ValueError:
            continue
    return found


def to_upload(row: Any) -> Upload:
    name = f"{row.namespace}/uploads/{row.id}"
    blob = Blob(row.digest, row.size)
    return Upload(name, row.namespace, blob, row.committed_size, row.complete, row.expire_time)


class PostgresArtifactReader:
    """Implements `ports.ArtifactReader`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def held(self, namespace: str, digests: Collection[str]) -> Mapping[str, int]:
        return await self._sizes(self._held(namespace, digests))

    async def blob_totals(self, namespace: str | None) -> tuple[int, int]:
        stored = self._stored(namespace).subquery()
        query = select(func.count(), func.coalesce(func.sum(stored.c.size), 0)).select_from(stored)
        count, size = (await self._connection.execute(query)).one()
        return count, int(size)

    async def blobs_after(self, namespace: str | None, digest: str, limit: int) -> Sequence[Blob]:
        query = self._stored(namespace).where(blobs.c.digest > digest).order_by(blobs.c.digest).limit(limit)
        return [Blob(row.digest, row.size) for row in await self._connection.execute(query)]

    def _stored(self, namespace: str | None) -> Select[str, int]:
        query = select(blobs.c.digest, blobs.c.size)
        if namespace is None:
            return query
        held = namespace_blobs.c.digest == blobs.c.digest
        return query.join(namespace_blobs, held).where(namespace_blobs.c.namespace == namespace)

    async def readable(self, namespace: str, digest: str) -> Readable | None:
        blob = (
            select(blobs.c.size, cast(null(), LargeBinary).label("manifest"))
            .join(artifact_blobs, artifact_blobs.c.blob == blobs.c.digest)
            .where(artifact_blobs.c.namespace == namespace, artifact_blobs.c.blob == digest)
            .limit(1)
        )
        manifest = select(func.octet_length(artifacts.c.manifest), artifacts.c.manifest).where(
            artifacts.c.namespace == namespace, artifacts.c.digest == digest
        )
        row = (await self._connection.execute(union_all(blob.subquery().select(), manifest))).first()
        return None if row is None else Readable(Blob(digest, row.size), row.manifest)

    async def upload(self, name: str) -> Upload | None:
        namespace, text_id = parts(name)
        for upload_id in ids_of((text_id,)):
            query = select(uploads).where(uploads.c.id == upload_id, uploads.c.namespace == namespace)
            row = (await self._connection.execute(query)).one_or_none()
            return None if row is None else to_upload(row)
        return None

    async def unfinished_uploads(self, ids: Collection[str]) -> set[str]:
        known = ids_of(ids)
        query = select(uploads.c.id).where(one_of(uploads.c.id, known.values(), Uuid), ~uploads.c.complete)
        return {known[found] for found in await self._connection.scalars(query)}

    async def artifact(self, name: str) -> Artifact | None:
        namespace, digest = parts(name)
        query = select(artifacts.c.message, artifacts.c.manifest).where(
            artifacts.c.namespace == namespace, artifacts.c.digest == digest
        )
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            return None
        return convert.artifact_from_proto(artifact_pb2.Artifact.FromString(row.message), row.manifest)

    async def artifacts(self, namespace: str, before: tuple[datetime, str] | None, limit: int) -> ArtifactPage:
        position = (artifacts.c.create_time.desc(), artifacts.c.digest.desc())
        wanted = select(
            artifacts.c.message,
            artifacts.c.create_time,
            artifacts.c.digest,
            func.octet_length(artifacts.c.message).label("bytes"),
        ).where(artifacts.c.namespace == namespace)
        if before is not None:
            wanted = wanted.where(tuple_(artifacts.c.create_time, artifacts.c.digest) < tuple_(*map(literal, before)))
        found = wanted.order_by(*position).limit(limit + 1).subquery()
        newest_first = (found.c.create_time.desc(), found.c.digest.desc())
        measured = select(
            found,
            func.row_number().over(order_by=newest_first).label("number"),
            func.sum(found.c.bytes).over(order_by=newest_first, rows=(None, 0)).label("running"),
            func.count().over().label("total"),
        ).subquery()
        query = (
            select(measured.c.message, measured.c.total)
            .where(measured.c.number <= limit, measured.c.running - measured.c.bytes < PAGE_BYTES)
            .order_by(measured.c.number)
        )
        rows = (await self._connection.execute(query)).all()
        described = (artifact_pb2.Artifact.FromString(row.message) for row in rows)
        page = tuple(convert.artifact_from_proto(message) for message in described)
        return ArtifactPage(page, bool(rows) and rows[0].total > len(rows))

    async def commit_revision(self, name: str) -> int:
        return int((await self._connection.execute(COMMIT_REVISION, {"name": name})).scalar_one())

    def _held(self, namespace: str, digests: Collection[str]) -> Select[str, int]:
        return (
            select(namespace_blobs.c.digest, blobs.c.size)
            .join(blobs, blobs.c.digest == namespace_blobs.c.digest)
            .where(namespace_blobs.c.namespace == namespace, one_of(namespace_blobs.c.digest, digests))
        )

    async def _sizes(self, query: Select[str, int]) -> Mapping[str, int]:
        return {row.digest: row.size for row in await self._connection.execute(query)}


class PostgresArtifactWriter(PostgresArtifactReader):
    """Implements `ports.ArtifactWriter`."""

    def __init__(self, transaction: WriteTransaction) -> None:
        super().__init__(transaction.connection)
        self._transaction = transaction

    @property
    def revision(self) -> int:
        return self._transaction.revision

    def record(self, change: Recorded) -> None:
        self._transaction.record(change)

    async def open_upload(self, upload: Upload) -> Upload:
        row = {
            "id": UUID(upload.id),
            "namespace": upload.namespace,
            "digest": upload.blob.digest,
            "size": upload.blob.size,
            "committed_size": upload.committed_size,
            "complete": upload.complete,
            "expire_time": upload.expire_time,
        }
        statement = upsert(uploads).values(row)
        statement = statement.on_conflict_do_update(
            constraint="uploads_blob", set_={"expire_time": statement.excluded.expire_time}
        )
        return to_upload((await self._connection.execute(statement.returning(uploads))).one())

    async def save_upload(self, upload: Upload) -> None:
        await self._connection.execute(
            update(uploads)
            .where(uploads.c.id == UUID(upload.id))
            .values(committed_size=upload.committed_size, complete=upload.complete, expire_time=upload.expire_time)
        )

    async def advance_upload(self, upload: Upload, committed_size: int) -> bool:
        return await self._move(upload, committed_size, complete=False)

    async def complete_upload(self, upload: Upload, committed_size: int) -> bool:
        if not await self._move(upload, committed_size, complete=True):
            return False
        blob = upsert(blobs).values(digest=upload.blob.digest, size=upload.blob.size)
        # An update that changes nothing, because it locks the row also where another namespace has made it.
        await self._connection.execute(
            blob.on_conflict_do_update(index_elements=["digest"], set_={"size": blob.excluded.size})
        )
        right = upsert(namespace_blobs).values(namespace=upload.namespace, digest=upload.blob.digest)
        await self._connection.execute(right.on_conflict_do_nothing())
        return True

    async def _move(self, upload: Upload, expected: int, *, complete: bool) -> bool:
        moved = await self._connection.execute(
            update(uploads)
            .where(uploads.c.id == UUID(upload.id), uploads.c.committed_size == expected, ~uploads.c.complete)
            .values(committed_size=upload.committed_size, complete=complete, expire_time=upload.expire_time)
        )
        return moved.rowcount == 1

    async def delete_upload(self, name: str) -> None:
        namespace, text_id = parts(name)
        for upload_id in ids_of((text_id,)):
            await self._connection.execute(
                delete(uploads).where(uploads.c.id == upload_id, uploads.c.namespace == namespace)
            )

    async def delete_expired_uploads(self, now: datetime, spared: Collection[str]) -> Sequence[str]:
        statement = delete(uploads).where(uploads.c.expire_time < now)
        if spared:
            statement = statement.where(~one_of(uploads.c.id, ids_of(spared).values(), Uuid))
        return [str(found) for found in await self._connection.scalars(statement.returning(uploads.c.id))]

    async def lock_held(self, namespace: str, digests: Collection[str]) -> Mapping[str, int]:
        # In one order everywhere, so that two transactions wait for each other instead of in a circle.
        query = self._held(namespace, digests).order_by(namespace_blobs.c.digest)
        return await self._sizes(query.with_for_update(key_share=True, read=True, of=namespace_blobs))

    async def insert_artifact(self, artifact: Artifact, blobs: Collection[str]) -> bool:
        row = {
            "namespace": artifact.namespace,
            "digest": artifact.digest,
            "create_time": artifact.create_time,
            "manifest": artifact.manifest,
            "message": convert.artifact_to_proto(artifact).SerializeToString(),
        }
        statement = upsert(artifacts).values(row).on_conflict_do_nothing().returning(true())
        if (await self._connection.execute(statement)).first() is None:
            return False
        parameters = {"namespace": artifact.namespace, "artifact": artifact.digest, "blobs": sorted(blobs)}
        await self._connection.execute(INSERT_ARTIFACT_BLOBS, parameters)
        return True

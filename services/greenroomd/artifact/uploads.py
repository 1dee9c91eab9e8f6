"""Upload sessions: how the bytes of a blob come in, and what is told about them.

    CreateUpload ─> [ open ] ── WriteUpload, offset = committed size ──> [ open, further ] ── last byte ──> verified?
                       ^                                                                     │ no        │ yes
                       └──────────────────── starts over at 0 ───────────────────────────────┘      [ complete ]

The committed size in the row is the truth. It is written after the bytes were fsynced, and bytes beyond it are cut off
when the session is continued, so a crash at any point loses at most what was never acknowledged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

from greenroomd.artifact.domain import Blob, Upload
from greenroomd.artifact.errors import DigestMismatch, UploadNotFound, UploadOffsetMismatch
from greenroomd.artifact.ports import ArtifactStore, BlobStore, BlobUpload
from greenroomd.artifact.turns import Turns, uninterrupted
from greenroomd.platform.clock import Clock
from greenroomd.platform.errors import FieldViolation, field_invalid

COMMIT_INTERVAL = 64 * 1024 * 1024
"""Bytes after which what has arrived is made durable while a stream goes on."""

CHEAP_TO_RESEND = 8 * 1024 * 1024
"""Blobs above this have all their bytes recorded before they are published: a crash in between costs no resending."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """The use cases of sessions. They are not in the change log: they change nothing that a reader can see."""

    store: ArtifactStore
    blobs: BlobStore
    clock: Clock
    expiry: timedelta
    """How long a session lives after its last progress."""
    turns: Turns = field(default_factory=Turns)

    async def create(self, namespace: str, blob: Blob) -> Upload:
        """Return the namespace's session for the blob: an open one, or a complete one when it holds the blob.

        Naturally idempotent: one session a blob, whatever the request id. That another namespace holds the blob makes
        no difference, so the answer tells nothing about others.
        """
        fresh = Upload(f"{namespace}/uploads/{uuid4()}", namespace, blob, 0, False, self.clock.now() + self.expiry)
        async with self.store.write() as transaction:
            upload = await transaction.open_upload(fresh)
            held = (await transaction.held(namespace, [blob.digest])).get(blob.digest)
            if held is not None and held != blob.size:
                what = f"{namespace} holds {blob.digest} with {held} bytes, so it cannot have {blob.size}"
                raise field_invalid(FieldViolation("blob.size_bytes", what))
            now_complete = held is not None
            if upload.complete != now_complete:
                # Held without this session's doing; or collected as garbage since the session completed.
                upload = replace(upload, complete=now_complete, committed_size=blob.size if now_complete else 0)
                await transaction.save_upload(upload)
        if blob.size == 0 and not upload.complete:
            return await self.write(upload.name, 0, _nothing())
        return upload

    async def get(self, name: str) -> Upload:
        async with self.store.read() as reader:
            upload = await reader.upload(name)
        if upload is None:
            raise UploadNotFound(name)
        return upload

    async def delete(self, name: str) -> None:
        async with self.store.write() as transaction:
            upload = await transaction.upload(name)
            await transaction.delete_upload(name)
        if upload is not None:
            await self.blobs.abort(upload.id)

    async def write(self, name: str, offset: int, chunks: AsyncIterator[bytes]) -> Upload:
        """Append chunks from `offset` on, and complete the blob when its last byte has come.

        When `chunks` breaks off, what it gave is committed and its exception raised.
        """
        upload = await self.get(name)
        async with self.turns.take(upload.id, name) as turn:
            upload = await self.get(name)  # as the writer before left it
            if upload.complete:
                return await self._already_complete(upload, offset, turn.receive(chunks))
            async with self.blobs.upload(upload.id, upload.blob) as target:
                upload = await self.get(name)  # as another process left it
                await target.resume(upload.committed_size)
                if target.position != upload.committed_size:  # the store lost bytes that it had made durable
                    upload = await self._restart(upload)
                if offset != upload.committed_size:
                    raise UploadOffsetMismatch(name, offset, upload.committed_size)
                return await _Session(self, target, upload).receive(turn.receive(chunks))

    async def _already_complete(self, upload: Upload, offset: int, chunks: AsyncIterator[bytes]) -> Upload:
        """Answer a client that has not heard that it was done; it may say so again, but not send more."""
        if offset == upload.committed_size:
            async for _ in chunks:
                break
            else:
                return upload
        raise UploadOffsetMismatch(upload.name, offset, upload.committed_size)

    async def _restart(self, upload: Upload) -> Upload:
        if upload.committed_size:
            upload = await self._advance(upload, 0)
        return upload

    async def _advance(self, upload: Upload, committed_size: int) -> Upload:
        """Record how far a session has come, unless somebody else has moved or removed it meanwhile."""
        after = replace(upload, committed_size=committed_size, expire_time=self.clock.now() + self.expiry)
        async with self.store.write() as transaction:
            moved = await transaction.advance_upload(after, upload.committed_size)
        if not moved:
            await self._lost(upload)
        return after

    async def _complete(self, upload: Upload, target: BlobUpload) -> Upload:
        done = replace(
            upload, committed_size=upload.blob.size, complete=True, expire_time=self.clock.now() + self.expiry
        )
        async with self.store.write() as transaction:
            completed = await transaction.complete_upload(done, upload.committed_size)
            if completed:
                # Inside the transaction, whose lock on the blob's row keeps a garbage collector away.
                await target.publish()
        if not completed:
            await self._lost(upload)
        return done

    async def _lost(self, upload: Upload) -> None:
        current = await self.get(upload.name)
        raise UploadOffsetMismatch(upload.name, upload.committed_size, current.committed_size)


class _Session:
    """One stream into one session."""

    def __init__(self, uploads: Uploads, target: BlobUpload, upload: Upload) -> None:
        self._uploads = uploads
        self._target = target
        self._upload = upload

    async def receive(self, chunks: AsyncIterator[bytes]) -> Upload:
        size = self._upload.blob.size
        try:
            async for chunk in chunks:
                if self._target.position + len(chunk) > size:
                    await uninterrupted(self._start_over())
                    raise DigestMismatch(f"{size} bytes", f"more than {size} bytes")
                await self._target.append(chunk)
                if self._target.position - self._upload.committed_size >= COMMIT_INTERVAL:
                    await uninterrupted(self._commit())
        except BaseException:
            # After a failure of the store or of ourselves there is nothing left to commit, or it fails again.
            with suppress(Exception):
                await uninterrupted(self._commit())
            raise
        if self._target.position == size:
            await uninterrupted(self._complete())
        else:
            await uninterrupted(self._commit())
        return self._upload

    async def _commit(self) -> None:
        durable = await self._target.commit()
        if durable != self._upload.committed_size:
            self._upload = await self._uploads._advance(self._upload, durable)

    async def _complete(self) -> None:
        expected = self._upload.blob.digest
        if self._upload.blob.size > CHEAP_TO_RESEND:
            await self._commit()
        actual = await self._target.verify()
        if actual != expected:
            await self._start_over()
            raise DigestMismatch(expected, actual)
        self._upload = await self._uploads._complete(self._upload, self._target)

    async def _start_over(self) -> None:
        # The row first: should the process die in between, the bytes beyond it are cut off by the next writer.
        self._upload = await self._uploads._restart(self._upload)
        await self._target.discard()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield

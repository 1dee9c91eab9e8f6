"""What the artifact service needs from outside: a store for rows, and one for bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from greenroomd.artifact.domain import Artifact, ArtifactPage, Blob, Readable, Upload
from greenroomd.platform.changelog.log import Recorded


class ArtifactReader(Protocol):
    """Reads of one connection. What is not there is None."""

    async def held(self, namespace: str, digests: Collection[str]) -> Mapping[str, int]:
        """Return the sizes of those of the blobs that the namespace holds: what it may build artifacts from."""
        ...

    async def readable(self, namespace: str, digest: str) -> Readable | None:
        """Return what an artifact of the namespace names by this digest, the artifact's own manifest included."""
        ...

    async def blob_totals(self, namespace: str | None) -> tuple[int, int]:
        """Return number and bytes of the blobs that a namespace holds, or of all when it is None."""
        ...

    async def blobs_after(self, namespace: str | None, digest: str, limit: int) -> Sequence[Blob]:
        """Return the same blobs in the order of their digests, those after `digest`."""
        ...

    async def upload(self, name: str) -> Upload | None: ...

    async def unfinished_uploads(self, ids: Collection[str]) -> set[str]:
        """Return those of the ids that are sessions which are not complete."""
        ...

    async def artifact(self, name: str) -> Artifact | None:
        """Return an artifact with its manifest."""
        ...

    async def artifacts(self, namespace: str, before: tuple[datetime, str] | None, limit: int) -> ArtifactPage:
        """Return artifacts older than the creation time and digest `before`, the newest first.

        At most `limit`; fewer where their descriptions would not fit into one answer.
        """
        ...

    async def commit_revision(self, name: str) -> int:
        """Return the revision at which an artifact was committed."""
        ...


class ArtifactWriter(ArtifactReader, Protocol):
    """A transaction: what it writes and records becomes visible together, at `revision`, or not at all."""

    @property
    def revision(self) -> int:
        """The revision that the transaction made; known after it has ended."""
        ...

    def record(self, change: Recorded) -> None: ...

    async def open_upload(self, upload: Upload) -> Upload:
        """Insert a session, or return the one that the namespace has for the same blob, which then lives longer.

        The session is locked until the transaction ends.
        """
        ...

    async def save_upload(self, upload: Upload) -> None:
        """Store a session that this transaction has locked."""
        ...

    async def advance_upload(self, upload: Upload, committed_size: int) -> bool:
        """Store how far a session has come, if it still is open at `committed_size`; return whether it was."""
        ...

    async def complete_upload(self, upload: Upload, committed_size: int) -> bool:
        """Let the namespace hold the blob and store the session as complete, if it still is open at `committed_size`.

        Returns whether it was. The blob's row is locked until the transaction ends: what removes blobs waits.
        """
        ...

    async def delete_upload(self, name: str) -> None: ...

    async def delete_expired_uploads(self, now: datetime, spared: Collection[str]) -> Sequence[str]:
        """Delete sessions that have expired, but for the spared ids; return the ids of the deleted."""
        ...

    async def lock_held(self, namespace: str, digests: Collection[str]) -> Mapping[str, int]:
        """Return what `held` does; none of these can be dropped until the transaction ends."""
        ...

    async def insert_artifact(self, artifact: Artifact, blobs: Collection[str]) -> bool:
        """Insert an artifact and what it names; return False when the namespace has it already."""
        ...


class ArtifactStore(Protocol):
    def read(self) -> AbstractAsyncContextManager[ArtifactReader]: ...

    def write(self) -> AbstractAsyncContextManager[ArtifactWriter]: ...


class Hasher(Protocol):
    """Takes bytes: what `hashlib` gives."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class BlobUpload(Protocol):
    """The bytes of one session while one writer has them.

    A failed call leaves the bytes as they were at the last `commit`, and `position` there. Raises StorageFull when
    there is no space, BlobStoreUnavailable when the store fails in another way.
    """

    @property
    def position(self) -> int:
        """Where the next byte goes."""
        ...

    async def resume(self, committed_size: int) -> None:
        """Keep exactly the first `committed_size` bytes; when they are not all there, keep none. Called once, first."""
        ...

    async def append(self, data: bytes) -> None:
        """Take the next bytes. A failure may be raised by a later call instead."""
        ...

    async def commit(self) -> int:
        """Make what was taken survive any crash; return how many bytes from the start do."""
        ...

    async def verify(self) -> str:
        """Commit, and return the digest of all bytes, as `sha256:<64 hex digits>`."""
        ...

    async def publish(self) -> None:
        """Make the bytes, verified before, readable under their digest, in place of what was there."""
        ...

    async def discard(self) -> None:
        """Forget every byte."""
        ...


class BlobStore(Protocol):
    """Keeps bytes by digest. Never blocks the event loop."""

    def upload(self, upload_id: str, blob: Blob) -> AbstractAsyncContextManager[BlobUpload]:
        """Have the bytes of a session for writing, alone among the processes that share this store.

        Raises UploadBusy when another process has them.
        """
        ...

    async def abort(self, upload_id: str) -> None:
        """Free what an unfinished session takes; nothing when it takes nothing."""
        ...

    async def unfinished(self) -> Sequence[str]:
        """Return the ids of sessions that take space."""
        ...

    async def size(self, digest: str) -> int | None:
        """Return the size of what is stored under a digest; None when nothing is."""
        ...

    def read(self, blob: Blob, offset: int, length: int, hasher: Hasher | None = None) -> AsyncGenerator[bytes]:
        """Yield the bytes of a range that lies within the blob, at most 1 MiB at a time.

        A hasher is given every chunk before it is yielded. Raises BlobCorrupt when what is stored has another size.
        """
        ...

    async def check(self) -> None:
        """Raise BlobStoreUnavailable when nothing can be written."""
        ...

"""The file of one upload session while it is written."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from greenroomd.artifact.domain import Blob
from greenroomd.artifact.errors import BlobStoreUnavailable, StorageFull

if TYPE_CHECKING:
    from hashlib import _Hash


class Run(Protocol):
    """Runs blocking work in a thread, to its end also when the caller is cancelled."""

    def __call__(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]: ...


@dataclass(frozen=True, slots=True)
class HashState:
    """SHA-256 of the first `size` bytes of a file, to be continued. Not to be updated: copied first."""

    size: int
    hasher: _Hash


class UploadFile:
    """Implements `ports.BlobUpload`. Made by `FilesystemBlobStore.upload`, with the file open and locked."""

    def __init__(
        self, run: Run, descriptor: int, path: Path, published: Path, blob: Blob, known: HashState | None
    ) -> None:
        self._run = run
        self._descriptor = descriptor
        self._path = path
        self._published_path = published
        self._blob = blob
        self._known = known
        """Hash of what is durable; None when this process does not know it."""
        self._hasher: _Hash | None = None
        """Hash of everything written; None when it will be computed from the file."""
        self._durable = 0
        self._position = 0
        self._pending: asyncio.Task[None] | None = None
        """The write in progress: one chunk is written and hashed while the next one is received."""
        self._recovered = False
        """Whether the bytes have their final name already, given by a process that then died."""
        self._published = False

    @property
    def position(self) -> int:
        return self._position

    async def resume(self, committed_size: int) -> None:
        self._durable = await self._run(self._cut, committed_size)
        self._position = self._durable
        if self._durable == 0:
            self._known = HashState(0, hashlib.sha256())
        elif self._known is not None and self._known.size != self._durable:
            self._known = None
        self._hasher = None if self._known is None else self._known.hasher.copy()

    async def append(self, data: bytes) -> None:
        await self._settle()
        self._pending = asyncio.ensure_future(self._run(self._write, data, self._position))
        self._position += len(data)

    async def commit(self) -> int:
        await self._settle()
        if self._position != self._durable:
            try:
                await self._run(os.fsync, self._descriptor)
            except (StorageFull, BlobStoreUnavailable):
                await self._roll_back()
                raise
            self._durable = self._position
            self._known = None if self._hasher is None else HashState(self._durable, self._hasher.copy())
        return self._durable

    async def verify(self) -> str:
        await self.commit()
        if self._hasher is None:
            hasher = self._hasher = await self._run(self._hash_file)
            self._known = HashState(self._durable, hasher.copy())
        return f"sha256:{self._hasher.hexdigest()}"

    async def publish(self) -> None:
        await self._run(self._rename)
        self._published = True

    async def discard(self) -> None:
        with suppress(StorageFull, BlobStoreUnavailable):
            await self._settle()
        self._recovered = False
        self._durable = 0
        self._known = HashState(0, hashlib.sha256())
        await self._roll_back()

    async def close(self) -> HashState | None:
        """Give the file back; return the hash state with which a later stream can continue."""
        if self._pending is not None:
            await asyncio.wait((self._pending,))
            self._pending.exception()
        os.close(self._descriptor)  # releases the lock
        return None if self._published else self._known

    async def _settle(self) -> None:
        """Wait for the write in progress; when it failed, go back to what is durable."""
        if self._pending is None:
            return
        try:
            await asyncio.shield(self._pending)
        except (StorageFull, BlobStoreUnavailable):
            self._pending = None
            await self._roll_back()
            raise
        self._pending = None

    async def _roll_back(self) -> None:
        # After a failed write or fsync nobody knows what the disk has: keep only what an earlier fsync confirmed.
        self._position = self._durable
        self._hasher = None if self._known is None else self._known.hasher.copy()
        await self._run(os.ftruncate, self._descriptor, self._durable)

    def _write(self, data: bytes, offset: int) -> None:
        written = os.pwrite(self._descriptor, data, offset)
        while written < len(data):  # a disk that gets full first writes less than asked
            written += os.pwrite(self._descriptor, memoryview(data)[written:], offset + written)
        if self._hasher is not None:
            self._hasher.update(data)

    def _cut(self, committed_size: int) -> int:
        """Return how many of the committed bytes are here, all or none, with nothing behind them."""
        size = os.fstat(self._descriptor).st_size
        if size == 0 and committed_size == self._blob.size and self._has_final_name():
            # Only publishing takes the file of a session with all its bytes away. They are verified again.
            self._recovered = True
            return committed_size
        if size < committed_size:
            committed_size = 0
        if size != committed_size:
            os.ftruncate(self._descriptor, committed_size)
        return committed_size

    def _has_final_name(self) -> bool:
        try:
            return self._blob.size > 0 and self._published_path.stat().st_size == self._blob.size
        except FileNotFoundError:
            return False

    def _hash_file(self) -> _Hash:
        path = self._published_path if self._recovered else self._path
        with path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256")

    def _rename(self) -> None:
        if self._recovered:
            self._path.unlink(missing_ok=True)
            return
        folder = self._published_path.parent
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)
        self._path.rename(self._published_path)
        sync_folder(folder)


def open_locked(path: Path) -> int | None:
    """Open a session's file, made when it is not there, and lock it. None when another process has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_CREAT, 0o600)
        sync_folder(path.parent)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, the one who had it may have published or removed it.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a crash."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Blobs in a folder of the local file system.

    <folder>/sha256/ab/<64 hex digits>   a blob: complete, verified, never changed in place
    <folder>/uploads/<id>                what a session has so far

A blob gets its name by rename, after its bytes were fsynced; then the folder is fsynced. Several processes of one
machine may share the folder: a session's file is locked while it is written.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from greenroomd.artifact.blobs.failures import translated
from greenroomd.artifact.blobs.upload_file import HashState, UploadFile, open_locked, sync_folder
from greenroomd.artifact.domain import Blob
from greenroomd.artifact.errors import BlobCorrupt, UploadBusy
from greenroomd.artifact.ports import Hasher
from greenroomd.artifact.turns import uninterrupted

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", int, int | None)

CHUNK = 1024 * 1024
"""Bytes read at a time."""

LOCK_ATTEMPTS = 100
LOCK_PAUSE = 0.05
"""How often and in which distance, in seconds, a file that another process writes is tried."""

REMEMBERED = 1024
"""Sessions whose hash state is kept between their streams; those of others are hashed from the file at the end."""


class FilesystemBlobStore:
    """Implements `ports.BlobStore`.

    Args:
        folder: where everything is kept; made when it does not exist.
        threads: reads, writes and fsyncs that run at the same time.
    """

    def __init__(self, folder: Path, *, threads: int = 16) -> None:
        self._blobs = folder / "sha256"
        self._uploads = folder / "uploads"
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="blobs")
        self._hash_states: OrderedDict[str, HashState] = OrderedDict()
        with translated():
            for path in (self._blobs, self._uploads):
                if not path.is_dir():
                    path.mkdir(mode=0o700, parents=True, exist_ok=True)
                    sync_folder(folder.parent)
                    sync_folder(folder)

    async def close(self) -> None:
        """End the threads, once work in progress is finished."""
        await asyncio.to_thread(self._threads.shutdown)

    @asynccontextmanager
    async def upload(self, upload_id: str, blob: Blob) -> AsyncIterator[UploadFile]:
        path = self._uploads / upload_id
        descriptor = await self._open(path, upload_id)
        known = self._hash_states.pop(upload_id, None)
        target = UploadFile(self.run, descriptor, path, self.path_of(blob.digest), blob, known)
        try:
            yield target
        finally:
            state = await uninterrupted(target.close())
            if state is not None:
                self._hash_states[upload_id] = state
                while len(self._hash_states) > REMEMBERED:
                    self._hash_states.popitem(last=False)

    async def abort(self, upload_id: str) -> None:
        self._hash_states.pop(upload_id, None)
        await self.run((self._uploads / upload_id).unlink, missing_ok=True)

    async def unfinished(self) -> Sequence[str]:
        return await self.run(os.listdir, self._uploads)

    async def size(self, digest: str) -> int | None:
        try:
            status = await asyncio.get_running_loop().run_in_executor(self._threads, self.path_of(digest).stat)
        except FileNotFoundError:
            return None
        return status.st_size

    async def read(self, blob: Blob, offset: int, length: int, hasher: Hasher | None = None) -> AsyncGenerator[bytes]:
        descriptor = await self._descriptor(self._open_blob, blob)
        pending: asyncio.Future[bytes] | None = None
        try:
            end = offset + length
            while offset < end or pending is not None:
                # The next chunk is read while the one before is on its way to the client.
                chunk = None if pending is None else await asyncio.shield(pending)
                pending = None
                if chunk is not None:
                    offset += len(chunk)
                if offset < end:
                    want = min(CHUNK, end - offset)
                    pending = self._start(self._read_chunk, descriptor, blob, offset, want, hasher)
                if chunk is not None:
                    yield chunk
        finally:
            if pending is not None:
                await asyncio.wait((pending,))
                pending.exception()
            os.close(descriptor)

    async def check(self) -> None:
        await self.run(self._touch)

    def path_of(self, digest: str) -> Path:
        """Return where a blob is kept."""
        hexdigest = digest.removeprefix("sha256:")
        return self._blobs / hexdigest[:2] / hexdigest

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work in a thread, to its end also when the caller is cancelled; OSErrors become ours."""
        with translated():
            return await asyncio.shield(self._start(work, *args, **kwargs))

    def _start(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))

    async def _open(self, path: Path, upload_id: str) -> int:
        for _ in range(LOCK_ATTEMPTS):
            descriptor = await self._descriptor(open_locked, path)
            if descriptor is not None:
                return descriptor
            await asyncio.sleep(LOCK_PAUSE)
        raise UploadBusy(f"upload {upload_id}")

    async def _descriptor(self, opening: Callable[P, D], /, *args: P.args, **kwargs: P.kwargs) -> D:
        """Run what opens a file; when the caller is cancelled meanwhile, the file is closed again."""
        opened = self._start(opening, *args, **kwargs)
        try:
            with translated():
                return await asyncio.shield(opened)
        except asyncio.CancelledError:
            opened.add_done_callback(_close_result)
            raise

    def _open_blob(self, blob: Blob) -> int:
        try:
            descriptor = os.open(self.path_of(blob.digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise BlobCorrupt(blob.digest, "no longer there") from None
        size = os.fstat(descriptor).st_size
        if size != blob.size:
            os.close(descriptor)
            raise BlobCorrupt(blob.digest, f"{size} bytes long instead of {blob.size}")
        return descriptor

    def _read_chunk(self, descriptor: int, blob: Blob, offset: int, want: int, hasher: Hasher | None) -> bytes:
        with translated():
            chunk = os.pread(descriptor, want, offset)
        if len(chunk) < want:  # cut off since it was opened; a regular file gives no other short reads
            raise BlobCorrupt(blob.digest, f"only {offset + len(chunk)} bytes long instead of {blob.size}")
        if hasher is not None:
            hasher.update(chunk)
        return chunk

    def _touch(self) -> None:
        os.close(os.open(self._uploads.parent / ".writable", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _close_result(opened: asyncio.Future[Any]) -> None:
    if not opened.cancelled() and opened.exception() is None and opened.result() is not None:
        os.close(opened.result())

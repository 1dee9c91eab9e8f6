"""The folder backend: the contract, and what only a file system can do wrong."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contracts.blob_store import ID, BlobStoreContract, content, fill, send
from greenroomd.artifact.blobs import filesystem
from greenroomd.artifact.blobs.filesystem import FilesystemBlobStore
from greenroomd.artifact.errors import BlobStoreUnavailable, StorageFull, UploadBusy
from greenroomd.artifact.ports import BlobStore
from support.blobs import MIB, blob_of, noise, pieces


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FilesystemBlobStore]:
    store = FilesystemBlobStore(tmp_path / "blobs")
    yield store
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root, to mount a small tmpfs; the file-size limit test covers part of it")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class TestFilesystemBlobStore(BlobStoreContract):
    def reopened(self, store: BlobStore) -> BlobStore:
        assert isinstance(store, FilesystemBlobStore)
        return FilesystemBlobStore(store.path_of("sha256:" + "0" * 64).parents[2])

    def damage(self, store: BlobStore, digest: str, stored: bytes | None) -> None:
        assert isinstance(store, FilesystemBlobStore)
        path = store.path_of(digest)
        if stored is None:
            path.unlink()
        else:
            path.write_bytes(stored)


async def test_the_layout(store: FilesystemBlobStore, tmp_path: Path) -> None:
    await fill(store, b"abc")
    hexdigest = blob_of(b"abc").digest.removeprefix("sha256:")
    assert files_below(tmp_path) == {f"blobs/sha256/{hexdigest[:2]}/{hexdigest}"}


async def test_the_same_bytes_take_space_once(store: FilesystemBlobStore, tmp_path: Path) -> None:
    await fill(store, b"abc", upload_id=ID)
    await fill(store, b"abc", upload_id="1" + ID[1:])
    assert len(files_below(tmp_path)) == 1


async def test_a_full_disk_loses_nothing_that_was_committed(small_disk: Path) -> None:
    store = FilesystemBlobStore(small_disk)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2 * MIB))
    data = noise(3 * MIB)
    async with store.upload(ID, blob_of(data)) as upload:
        await upload.resume(0)
        await upload.append(data[:MIB])
        assert await upload.commit() == MIB
        with pytest.raises(StorageFull):
            await send(upload, pieces(data[MIB:], 300_000))
            await upload.commit()
        assert upload.position == MIB
        assert await upload.commit() == MIB
        ballast.unlink()
        await send(upload, pieces(data[MIB:], 300_000))
        assert await upload.verify() == blob_of(data).digest
        await upload.publish()
    assert await content(store, data) == data
    await store.close()


async def test_reads_go_on_while_the_disk_is_full(small_disk: Path) -> None:
    store = FilesystemBlobStore(small_disk)
    await fill(store, noise(MIB))
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(bytes(8 * MIB))
    assert await content(store, noise(MIB)) == noise(MIB)
    await store.check()
    await store.close()


async def test_a_file_size_limit_is_a_full_disk(store: FilesystemBlobStore) -> None:
    data = noise(MIB)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with store.upload(ID, blob_of(data)) as upload:
        await upload.resume(0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
        try:
            with pytest.raises(StorageFull):  # after a short write, which is what comes first
                await send(upload, pieces(data, 200_000))
                await upload.commit()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert upload.position == 0
        await upload.append(data)
        assert await upload.verify() == blob_of(data).digest


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
async def test_bytes_that_could_not_be_fsynced_are_not_kept(
    store: FilesystemBlobStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    data = noise(1000)
    expected = BlobStoreUnavailable if number == errno.EIO else StorageFull

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    async with store.upload(ID, blob_of(data)) as upload:
        await upload.resume(0)
        await upload.append(data[:600])
        assert await upload.commit() == 600
        await upload.append(data[600:])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(expected) as caught:
                await upload.commit()
        assert isinstance(caught.value.__cause__, OSError)
        assert upload.position == 600
        assert await upload.commit() == 600
        await upload.append(data[600:])
        assert await upload.verify() == blob_of(data).digest


async def test_a_blob_whose_folder_could_not_be_fsynced_is_not_acknowledged(
    store: FilesystemBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store.upload(ID, blob_of(b"abc")) as upload:
        await upload.resume(0)
        await upload.append(b"abc")
        await upload.verify()

        def fail(descriptor: int) -> None:
            raise OSError(errno.EIO, "EIO")

        with monkeypatch.context() as patch, pytest.raises(BlobStoreUnavailable):
            patch.setattr(os, "fsync", fail)
            await upload.publish()


async def test_another_process_is_kept_out(
    store: FilesystemBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "LOCK_PAUSE", 0.001)
    other = FilesystemBlobStore(tmp_path / "blobs")
    async with store.upload(ID, blob_of(b"abc")):
        with pytest.raises(UploadBusy):
            async with other.upload(ID, blob_of(b"abc")):
                raise AssertionError("both have it")
    async with other.upload(ID, blob_of(b"abc")) as upload:
        await upload.resume(0)
    await other.close()


async def test_who_waited_for_a_published_session_gets_a_fresh_file(store: FilesystemBlobStore, tmp_path: Path) -> None:
    other = FilesystemBlobStore(tmp_path / "blobs")
    entered = asyncio.Event()

    async def wait_for_it() -> int:
        async with other.upload(ID, blob_of(b"abc")) as upload:
            entered.set()
            await upload.resume(0)
            await upload.append(b"xyz")
            return await upload.commit()

    async with store.upload(ID, blob_of(b"abc")) as upload:
        waiting = asyncio.create_task(wait_for_it())
        await upload.resume(0)
        await upload.append(b"abc")
        await upload.verify()
        await asyncio.sleep(0.1)
        assert not entered.is_set()
        await upload.publish()
    assert await waiting == 3
    assert await content(store, b"abc") == b"abc"
    await other.close()


async def test_cancelled_work_leaves_no_file_open(store: FilesystemBlobStore) -> None:
    data = noise(2 * MIB)
    await fill(store, data)
    before = open_files()

    async def read() -> None:
        await content(store, data)

    async def write() -> None:
        async with store.upload(ID, blob_of(data)) as upload:
            await upload.resume(0)
            await send(upload, pieces(data, 4096))
            await upload.commit()

    for moment in range(40):
        for work in (read, write):
            task = asyncio.create_task(work())
            for _ in range(moment):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert open_files() == before


async def test_a_folder_that_cannot_be_written_to_is_not_ready(store: FilesystemBlobStore, tmp_path: Path) -> None:
    (tmp_path / "blobs").rename(tmp_path / "away")
    with pytest.raises(BlobStoreUnavailable):
        await store.check()
    (tmp_path / "away").rename(tmp_path / "blobs")
    await store.check()

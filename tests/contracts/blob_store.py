"""What every blob store owes the artifact service. A backend's test module subclasses `BlobStoreContract`."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable

import pytest

from greenroomd.artifact.domain import Blob
from greenroomd.artifact.errors import BlobCorrupt
from greenroomd.artifact.ports import BlobStore, BlobUpload
from support.blobs import MIB, blob_of, noise, pieces

ID = "0b7a8a52-5ed0-4b3e-9c5d-6f1f0a1c2d3e"


async def fill(store: BlobStore, data: bytes, upload_id: str = ID) -> None:
    """Bring a whole blob into the store."""
    async with store.upload(upload_id, blob_of(data)) as upload:
        await upload.resume(0)
        await send(upload, pieces(data))
        assert await upload.verify() == blob_of(data).digest
        await upload.publish()


async def send(upload: BlobUpload, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        await upload.append(chunk)


async def content(store: BlobStore, data: bytes, offset: int = 0, length: int | None = None) -> bytes:
    """Read what is stored for a blob."""
    blob = blob_of(data)
    length = blob.size - offset if length is None else length
    return b"".join([chunk async for chunk in store.read(blob, offset, length)])


class BlobStoreContract:
    """Needs a `store` fixture, and ways to start over and to do damage."""

    @abstractmethod
    def reopened(self, store: BlobStore) -> BlobStore:
        """Return a new store over the same bytes, as another process would have it."""

    @abstractmethod
    def damage(self, store: BlobStore, digest: str, stored: bytes | None) -> None:
        """Put other bytes under a digest; None takes them away."""

    async def test_what_is_published_can_be_read(self, store: BlobStore) -> None:
        data = noise(2 * MIB + 17)
        await fill(store, data)
        assert await store.size(blob_of(data).digest) == len(data)
        assert await content(store, data) == data
        assert await content(self.reopened(store), data) == data

    async def test_nothing_is_there_before_it_is_published(self, store: BlobStore) -> None:
        data = noise(1000)
        async with store.upload(ID, blob_of(data)) as upload:
            await upload.resume(0)
            await upload.append(data)
            assert await upload.commit() == 1000
            assert await upload.verify() == blob_of(data).digest
            assert await store.size(blob_of(data).digest) is None
            await upload.publish()
        assert await store.size(blob_of(data).digest) == 1000
        assert await store.unfinished() == []

    @pytest.mark.parametrize("size", [1, 4095, 65536, 300_001])
    async def test_chunks_of_any_size_give_the_same_bytes(self, store: BlobStore, size: int) -> None:
        data = noise(300_000)
        async with store.upload(ID, blob_of(data)) as upload:
            await upload.resume(0)
            await send(upload, pieces(data[:5000], min(size, 997)))
            await send(upload, pieces(data[5000:], max(size, 997)))
            assert upload.position == len(data)
            assert await upload.verify() == blob_of(data).digest
            await upload.publish()
        assert await content(store, data) == data

    async def test_an_empty_blob_is_a_blob(self, store: BlobStore) -> None:
        await fill(store, b"")
        assert await store.size(blob_of(b"").digest) == 0
        assert await content(store, b"") == b""

    async def test_a_session_goes_on_where_it_was_committed(self, store: BlobStore) -> None:
        data = noise(MIB)
        for start in range(0, MIB, MIB // 4):
            async with store.upload(ID, blob_of(data)) as upload:
                await upload.resume(start)
                assert upload.position == start
                await upload.append(data[start : start + MIB // 4])
                assert await upload.commit() == start + MIB // 4
        async with store.upload(ID, blob_of(data)) as upload:
            await upload.resume(MIB)
            assert await upload.verify() == blob_of(data).digest
            await upload.publish()
        assert await content(store, data) == data

    async def test_another_process_goes_on_and_hashes_all_of_it(self, store: BlobStore) -> None:
        data = noise(MIB)
        async with store.upload(ID, blob_of(data)) as upload:
            await upload.resume(0)
            await upload.append(data[:400_000])
            assert await upload.commit() == 400_000
        other = self.reopened(store)
        async with other.upload(ID, blob_of(data)) as upload:
            await upload.resume(400_000)
            assert upload.position == 400_000
            await upload.append(data[400_000:])
            assert await upload.verify() == blob_of(data).digest
            await upload.publish()
        assert await content(store, data) == data

    @pytest.mark.parametrize("restart", [False, True])
    async def test_what_was_not_recorded_is_cut_off(self, store: BlobStore, restart: bool) -> None:
        data = noise(MIB)
        async with store.upload(ID, blob_of(data)) as upload:
            await upload.resume(0)
            await upload.append(data[:300_000])
            await upload.commit()
            await upload.append(b"never recorded" * 1000)
            await upload.commit()
            await upload.append(b"never even committed" * 1000)
        other = self.reopened(store) if restart else store
        async with other.upload(ID, blob_of(data)) as upload:
            await upload.resume(300_000)
            assert upload.position == 300_000
            await upload.append(data[300_000:])
            assert await upload.verify() == blob_of(data).digest

    async def test_bytes_that_are_gone_mean_starting_over(self, store: BlobStore) -> None:
        data = noise(1000)
        async with store.upload(ID, blob_of(data)) as upload:
            await upload.resume(0)
            await upload.append(data[:500])
            await upload.commit()
        await store.abort(ID)
        async with store.upload(ID, blob_of(data)) as upload:
            await upload.resume(500)
            assert upload.position == 0
            await upload.append(data)
            assert await upload.verify() == blob_of(data).digest

    async def test_wrong_bytes_are_found_out_and_can_be_replaced(self, store: BlobStore) -> None:
        data, wrong = noise(1000), noise(1000, seed=1)
        async with store.upload(ID, blob_of(data)) as upload:
            await upload.resume(0)
            await upload.append(wrong)
            assert await upload.verify() == blob_of(wrong).digest
            await upload.discard()
            assert upload.position == 0
            await upload.append(data)
            assert await upload.verify() == blob_of(data).digest
            await upload.publish()
        assert await content(store, data) == data

    async def test_publishing_again_replaces_what_was_damaged(self, store: BlobStore) -> None:
        data = noise(1000)
        await fill(store, data)
        self.damage(store, blob_of(data).digest, noise(1000, seed=1))
        await fill(store, data, upload_id="1" + ID[1:])
        assert await content(store, data) == data

    async def test_a_death_between_publishing_and_recording_costs_nothing(self, store: BlobStore) -> None:
        data = noise(100_000)
        await fill(store, data)
        other = self.reopened(store)
        async with other.upload(ID, blob_of(data)) as upload:
            await upload.resume(len(data))
            assert upload.position == len(data)
            assert await upload.verify() == blob_of(data).digest
            await upload.publish()
        assert await content(other, data) == data
        assert await other.unfinished() == []

    async def test_what_was_damaged_after_such_a_death_is_not_trusted(self, store: BlobStore) -> None:
        data = noise(100_000)
        await fill(store, data)
        self.damage(store, blob_of(data).digest, noise(100_000, seed=1))
        async with self.reopened(store).upload(ID, blob_of(data)) as upload:
            await upload.resume(len(data))
            assert await upload.verify() != blob_of(data).digest
            await upload.discard()
            await upload.append(data)
            assert await upload.verify() == blob_of(data).digest
            await upload.publish()
        assert await content(store, data) == data

    async def test_bytes_of_others_do_not_stand_in_for_missing_ones(self, store: BlobStore) -> None:
        data = noise(1000)
        await fill(store, data)
        async with store.upload("1" + ID[1:], blob_of(data)) as upload:
            await upload.resume(999)
            assert upload.position == 0

    async def test_an_aborted_session_takes_no_space(self, store: BlobStore) -> None:
        async with store.upload(ID, blob_of(b"abc")) as upload:
            await upload.resume(0)
            await upload.append(b"ab")
            await upload.commit()
        assert await store.unfinished() == [ID]
        await store.abort(ID)
        assert await store.unfinished() == []
        await store.abort(ID)

    @pytest.mark.parametrize(
        ("offset", "length"),
        [(0, 0), (0, 1), (0, MIB), (1, MIB), (MIB - 1, 2), (MIB, MIB), (2 * MIB + 4, 1), (2 * MIB + 5, 0)],
    )
    async def test_ranges(self, store: BlobStore, offset: int, length: int) -> None:
        data = noise(2 * MIB + 5)
        await fill(store, data)
        blob = blob_of(data)
        chunks = [chunk async for chunk in store.read(blob, offset, length)]
        assert b"".join(chunks) == data[offset : offset + length]
        assert all(0 < len(chunk) <= MIB for chunk in chunks)

    async def test_a_hasher_sees_every_byte(self, store: BlobStore) -> None:
        data = noise(3 * MIB)
        await fill(store, data)
        hasher = hashlib.sha256()
        async for _ in store.read(blob_of(data), 0, len(data), hasher):
            pass
        assert f"sha256:{hasher.hexdigest()}" == blob_of(data).digest

    async def test_reading_can_stop_early(self, store: BlobStore) -> None:
        data = noise(4 * MIB)
        await fill(store, data)
        chunks = store.read(blob_of(data), 0, len(data))
        assert await anext(chunks) == data[:MIB]
        await chunks.aclose()

    @pytest.mark.parametrize("stored", [None, b"", b"too short", noise(1001)])
    async def test_another_size_than_recorded_is_never_read(self, store: BlobStore, stored: bytes | None) -> None:
        data = noise(1000)
        await fill(store, data)
        self.damage(store, blob_of(data).digest, stored)
        with pytest.raises(BlobCorrupt):
            await content(store, data)

    async def test_what_was_never_there_is_not_there(self, store: BlobStore) -> None:
        blob = Blob("sha256:" + "0" * 64, 10)
        assert await store.size(blob.digest) is None
        with pytest.raises(BlobCorrupt):
            await anext(store.read(blob, 0, 10))

    async def test_it_can_be_written_to(self, store: BlobStore) -> None:
        await store.check()

"""Upload sessions on the real database and a real folder."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from artifact.conftest import NOW, Bench
from greenroomd.artifact import uploads as uploads_module
from greenroomd.artifact.domain import Blob, Upload
from greenroomd.artifact.errors import (
    BlobStoreUnavailable,
    DigestMismatch,
    StorageFull,
    UploadBusy,
    UploadNotFound,
    UploadOffsetMismatch,
)
from greenroomd.platform.errors import InvalidArgument
from support.blobs import MIB, blob_of, noise, pieces, stream

TEAM, OTHERS = "namespaces/team", "namespaces/others"

DATA = noise(300_000)
BLOB = blob_of(DATA)


class Cut(Exception):
    """The stream broke."""


async def send(bench: Bench, upload: Upload, data: bytes, offset: int | None = None) -> Upload:
    at = upload.committed_size if offset is None else offset
    return await bench.uploads.write(upload.name, at, stream(pieces(data, 64 * 1024)))


async def brought(bench: Bench, namespace: str, data: bytes) -> Upload:
    return await send(bench, await bench.uploads.create(namespace, blob_of(data)), data)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_a_new_session_is_empty_and_lives_for_a_day(bench: Bench) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)
    assert upload.name.startswith("namespaces/team/uploads/")
    assert (upload.blob, upload.committed_size, upload.complete) == (BLOB, 0, False)
    assert upload.expire_time == NOW + timedelta(hours=24)
    assert await bench.uploads.get(upload.name) == upload


async def test_one_session_a_blob(bench: Bench) -> None:
    opened = await asyncio.gather(*(bench.uploads.create(TEAM, BLOB) for _ in range(8)))
    assert len({upload.name for upload in opened}) == 1
    assert (await bench.uploads.create(OTHERS, BLOB)).name != opened[0].name


async def test_a_wrong_size_does_not_stand_in_the_way_of_the_right_one(bench: Bench) -> None:
    wrong = await bench.uploads.create(TEAM, Blob(BLOB.digest, 7))
    right = await bench.uploads.create(TEAM, BLOB)
    assert wrong.name != right.name
    assert (await send(bench, right, DATA)).complete


async def test_the_last_byte_completes(bench: Bench) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)
    upload = await send(bench, upload, DATA[:100_000])
    assert (upload.committed_size, upload.complete) == (100_000, False)
    upload = await send(bench, upload, DATA[100_000:])
    assert (upload.committed_size, upload.complete) == (BLOB.size, True)
    assert await bench.uploads.get(upload.name) == upload
    assert files_in(bench.folder) == [BLOB.digest.removeprefix("sha256:")]


async def test_a_blob_that_the_namespace_holds_is_complete_at_once(bench: Bench) -> None:
    first = await brought(bench, TEAM, DATA)
    again = await bench.uploads.create(TEAM, BLOB)
    assert (again.name, again.complete, again.committed_size) == (first.name, True, BLOB.size)
    assert await bench.uploads.write(again.name, BLOB.size, stream([])) == again
    with pytest.raises(UploadOffsetMismatch):
        await send(bench, again, DATA, offset=0)
    with pytest.raises(UploadOffsetMismatch):
        await send(bench, again, b"more")


async def test_a_held_blob_cannot_have_another_size(bench: Bench) -> None:
    await brought(bench, TEAM, DATA)
    with pytest.raises(InvalidArgument) as caught:
        await bench.uploads.create(TEAM, Blob(BLOB.digest, 1))
    assert caught.value.violations[0].path == "blob.size_bytes"


async def test_a_blob_of_another_namespace_must_be_sent_in_full(bench: Bench) -> None:
    await brought(bench, OTHERS, DATA)
    upload = await bench.uploads.create(TEAM, BLOB)
    assert (upload.committed_size, upload.complete) == (0, False)
    upload = await send(bench, upload, DATA[:-1])
    assert not upload.complete
    assert await bench.artifacts.find_missing(TEAM, [BLOB]) == [BLOB]
    assert (await send(bench, upload, DATA[-1:])).complete
    assert files_in(bench.folder) == [BLOB.digest.removeprefix("sha256:")]
    assert await bench.sql("SELECT count(*) FROM namespace_blobs") == 2


async def test_an_empty_blob_needs_no_stream(bench: Bench) -> None:
    upload = await bench.uploads.create(TEAM, blob_of(b""))
    assert upload.complete
    with pytest.raises(DigestMismatch):
        await bench.uploads.create(TEAM, Blob(BLOB.digest, 0))


async def test_a_completed_session_of_a_collected_blob_starts_over(bench: Bench) -> None:
    done = await brought(bench, TEAM, DATA)
    await bench.sql("DELETE FROM namespace_blobs")
    again = await bench.uploads.create(TEAM, BLOB)
    assert (again.name, again.complete, again.committed_size) == (done.name, False, 0)
    assert (await send(bench, again, DATA)).complete


@pytest.mark.parametrize("offset", [0, 1, 99_999, 100_001, 300_000])
async def test_bytes_for_another_offset_are_refused(bench: Bench, offset: int) -> None:
    upload = await send(bench, await bench.uploads.create(TEAM, BLOB), DATA[:100_000])
    with pytest.raises(UploadOffsetMismatch) as caught:
        await send(bench, upload, DATA, offset=offset)
    assert caught.value.metadata == {"offset": str(offset), "committed_size": "100000"}
    assert (await send(bench, upload, DATA[100_000:])).complete


async def test_wrong_bytes_start_the_session_over(bench: Bench) -> None:
    upload = await send(bench, await bench.uploads.create(TEAM, BLOB), DATA[:100_000])
    wrong = noise(200_000, seed=9)
    with pytest.raises(DigestMismatch) as caught:
        await send(bench, upload, wrong)
    actual = hashlib.sha256(DATA[:100_000] + wrong).hexdigest()
    assert caught.value.metadata == {"expected": BLOB.digest, "actual": f"sha256:{actual}"}
    upload = await bench.uploads.get(upload.name)
    assert (upload.committed_size, upload.complete) == (0, False)
    assert (await send(bench, upload, DATA)).complete


@pytest.mark.parametrize("extra", [DATA + b"!", DATA + noise(70_000)])
async def test_more_bytes_than_announced_are_refused(bench: Bench, extra: bytes) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)
    with pytest.raises(DigestMismatch):
        await send(bench, upload, extra)
    upload = await bench.uploads.get(upload.name)
    assert (upload.committed_size, upload.complete) == (0, False)
    assert (await send(bench, upload, DATA)).complete


@pytest.mark.parametrize("failure", [Cut(), asyncio.CancelledError()])
async def test_what_came_before_a_broken_stream_is_kept(bench: Bench, failure: BaseException) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)
    with pytest.raises(type(failure)):
        await bench.uploads.write(upload.name, 0, stream(pieces(DATA[:200_000], 50_000), then=failure))
    upload = await bench.uploads.get(upload.name)
    assert upload.committed_size == 200_000
    assert (await send(bench, upload, DATA[200_000:])).complete


async def test_all_bytes_may_have_come_when_the_stream_breaks(bench: Bench) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)
    with pytest.raises(Cut):
        await bench.uploads.write(upload.name, 0, stream([DATA], then=Cut()))
    upload = await bench.uploads.get(upload.name)
    assert (upload.committed_size, upload.complete) == (BLOB.size, False)
    assert (await send(bench, upload, b"")).complete


async def test_another_process_continues(bench: Bench, restarted: Bench) -> None:
    upload = await send(bench, await bench.uploads.create(TEAM, BLOB), DATA[:123_456])
    assert (await send(restarted, await restarted.uploads.get(upload.name), DATA[123_456:])).complete


async def test_twenty_breaks_resend_little(bench: Bench, restarted: Bench) -> None:
    data, sent = noise(4 * MIB), 0
    upload = await bench.uploads.create(TEAM, blob_of(data))
    for turn in range(20):
        until = min(len(data) - 1, upload.committed_size + 200_000)
        chunks = pieces(data[upload.committed_size : until], 30_000)
        sent += sum(map(len, chunks))
        process = (bench, restarted)[turn % 2]
        with pytest.raises(Cut):
            await process.uploads.write(upload.name, upload.committed_size, stream(chunks, then=Cut()))
        upload = await bench.uploads.get(upload.name)
    rest = data[upload.committed_size :]
    assert (await send(bench, upload, rest)).complete
    assert sent + len(rest) <= len(data) * 1.05


async def test_long_streams_are_committed_on_their_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_module, "COMMIT_INTERVAL", 100_000)
    upload = await bench.uploads.create(TEAM, BLOB)
    seen = []

    async def slowly() -> AsyncIterator[bytes]:
        for chunk in pieces(DATA, 60_000):
            yield chunk
            seen.append((await bench.uploads.get(upload.name)).committed_size)

    assert (await bench.uploads.write(upload.name, 0, slowly())).complete
    assert seen == [0, 120_000, 120_000, 240_000, 240_000]


async def test_bytes_that_the_row_does_not_know_are_cut_off(bench: Bench, restarted: Bench) -> None:
    upload = await send(bench, await bench.uploads.create(TEAM, BLOB), DATA[:200_000])
    # As if the process had died between fsync and the update of the row.
    await bench.sql("UPDATE uploads SET committed_size = 150000")
    upload = await restarted.uploads.get(upload.name)
    assert (await send(restarted, upload, DATA[150_000:])).complete


async def test_bytes_that_the_folder_lost_are_asked_for_again(bench: Bench) -> None:
    upload = await send(bench, await bench.uploads.create(TEAM, BLOB), DATA[:200_000])
    os.truncate(bench.folder / "uploads" / upload.id, 10)
    with pytest.raises(UploadOffsetMismatch) as caught:
        await send(bench, upload, DATA[200_000:])
    assert caught.value.metadata["committed_size"] == "0"
    assert (await send(bench, upload, DATA, offset=0)).complete


FAIL_AT_COMMIT = """
CREATE FUNCTION artifact.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'failed at commit'; END $$;
CREATE CONSTRAINT TRIGGER fail AFTER INSERT OR UPDATE ON artifact.blobs DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION artifact.fail();
"""


@pytest.mark.parametrize("size", [300_000, 9 * MIB])
async def test_a_commit_that_fails_after_the_blob_got_its_name(
    bench: Bench, restarted: Bench, database_url: str, size: int
) -> None:
    data = noise(size)
    upload = await bench.uploads.create(TEAM, blob_of(data))
    owner = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    await owner.execute(FAIL_AT_COMMIT)
    with pytest.raises(DBAPIError, match="failed at commit"):
        await send(bench, upload, data)
    await owner.execute("DROP FUNCTION artifact.fail CASCADE")
    await owner.close()
    assert files_in(bench.folder) == [upload.blob.digest.removeprefix("sha256:")]
    assert await restarted.artifacts.find_missing(TEAM, [upload.blob]) == [upload.blob]
    upload = await restarted.uploads.get(upload.name)
    # A small blob is sent again, a large one is only verified again.
    assert upload.committed_size == (size if size > uploads_module.CHEAP_TO_RESEND else 0)
    assert (await send(restarted, upload, data[upload.committed_size :])).complete
    assert files_in(bench.folder) == [upload.blob.digest.removeprefix("sha256:")]


async def test_two_clients_one_wins(bench: Bench) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)
    results = await asyncio.gather(*(send(bench, upload, DATA) for _ in range(5)), return_exceptions=True)
    won = [result for result in results if isinstance(result, Upload)]
    lost = [result for result in results if isinstance(result, UploadOffsetMismatch)]
    assert (len(won), len(lost)) == (1, 4)
    assert won[0].complete
    assert all(error.metadata["committed_size"] == str(BLOB.size) for error in lost)


async def test_two_processes_one_wins(bench: Bench, restarted: Bench) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)
    results = await asyncio.gather(
        *(send(process, upload, DATA) for process in (bench, restarted)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Upload", "UploadOffsetMismatch"]
    assert (await bench.uploads.get(upload.name)).complete


async def test_a_silent_client_makes_room_for_the_next(bench: Bench) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)

    async def then_nothing() -> AsyncIterator[bytes]:
        yield DATA[:100_000]
        await asyncio.Event().wait()

    silent = asyncio.create_task(bench.uploads.write(upload.name, 0, then_nothing()))
    await asyncio.sleep(0.05)
    with pytest.raises(UploadOffsetMismatch) as caught:
        await send(bench, upload, DATA)
    assert caught.value.metadata["committed_size"] == "100000"
    with pytest.raises(UploadBusy):
        await silent
    assert (await send(bench, upload, DATA[100_000:], offset=100_000)).complete


async def test_a_slow_client_is_waited_for(bench: Bench) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)

    async def slowly() -> AsyncIterator[bytes]:
        for chunk in pieces(DATA, 50_000):
            await asyncio.sleep(0.1)
            yield chunk

    slow = asyncio.create_task(bench.uploads.write(upload.name, 0, slowly()))
    await asyncio.sleep(0.05)
    with pytest.raises(UploadOffsetMismatch):
        await send(bench, upload, DATA)
    assert (await slow).complete


async def test_a_deleted_session_is_gone(bench: Bench) -> None:
    upload = await send(bench, await bench.uploads.create(TEAM, BLOB), DATA[:100])
    await bench.uploads.delete(upload.name)
    assert files_in(bench.folder) == []
    for _ in range(2):
        await bench.uploads.delete(upload.name)
    with pytest.raises(UploadNotFound):
        await bench.uploads.get(upload.name)
    with pytest.raises(UploadNotFound):
        await send(bench, upload, DATA)
    assert (await bench.uploads.create(TEAM, BLOB)).committed_size == 0


async def test_a_session_deleted_while_it_is_written_completes_nothing(bench: Bench) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)

    async def deleting() -> AsyncIterator[bytes]:
        yield DATA[:100_000]
        await bench.uploads.delete(upload.name)
        yield DATA[100_000:]

    with pytest.raises(UploadNotFound):
        await bench.uploads.write(upload.name, 0, deleting())
    assert files_in(bench.folder) == []
    assert await bench.artifacts.find_missing(TEAM, [BLOB]) == [BLOB]


@pytest.mark.parametrize("name", ["namespaces/others/uploads/{id}", "namespaces/team/uploads/no-uuid"])
async def test_sessions_belong_to_their_namespace(bench: Bench, name: str) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)
    name = name.format(id=upload.id)
    with pytest.raises(UploadNotFound):
        await bench.uploads.get(name)
    await bench.uploads.delete(name)
    assert await bench.uploads.get(upload.name) == upload


@pytest.mark.parametrize(("number", "expected"), [(errno.ENOSPC, StorageFull), (errno.EIO, BlobStoreUnavailable)])
async def test_a_failing_disk_acknowledges_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    upload = await send(bench, await bench.uploads.create(TEAM, BLOB), DATA[:100_000])

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    for data in (DATA[100_000:200_000], DATA[100_000:]):
        with monkeypatch.context() as patch, pytest.raises(expected):
            patch.setattr(os, "fsync", fail)
            await send(bench, upload, data)
        assert await bench.uploads.get(upload.name) == upload
    assert await bench.artifacts.find_missing(TEAM, [BLOB]) == [BLOB]
    assert (await send(bench, upload, DATA[100_000:])).complete


async def test_abandoned_sessions_are_reaped(bench: Bench) -> None:
    old = await send(bench, await bench.uploads.create(TEAM, BLOB), DATA[:100])
    done = await brought(bench, TEAM, b"done")
    bench.clock.time += timedelta(hours=20)
    young = await send(bench, await bench.uploads.create(OTHERS, BLOB), DATA[:100])
    assert await bench.reaper.reap() == 0
    bench.clock.time += timedelta(hours=5)
    assert await bench.reaper.reap() == 2
    for name in (old.name, done.name):
        with pytest.raises(UploadNotFound):
            await bench.uploads.get(name)
    assert await bench.uploads.get(young.name) == young
    assert await bench.blobs.unfinished() == [young.id]
    assert await bench.artifacts.find_missing(TEAM, [blob_of(b"done")]) == []


async def test_progress_keeps_a_session_alive(bench: Bench) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)
    for start in range(0, 300_000, 100_000):
        bench.clock.time += timedelta(hours=20)
        upload = await send(bench, upload, DATA[start : start + 100_000])
        await bench.reaper.reap()
    assert upload.complete


async def test_a_stream_in_progress_is_not_reaped(bench: Bench) -> None:
    upload = await bench.uploads.create(TEAM, BLOB)

    async def slowly() -> AsyncIterator[bytes]:
        yield DATA[:100_000]
        bench.clock.time += timedelta(hours=25)
        assert await bench.reaper.reap() == 0
        yield DATA[100_000:]

    assert (await bench.uploads.write(upload.name, 0, slowly())).complete


async def test_bytes_without_a_session_are_reaped(bench: Bench) -> None:
    upload = await send(bench, await bench.uploads.create(TEAM, BLOB), DATA[:100])
    (bench.folder / "uploads" / "7c1bb5a8-3a30-4a4e-8a3f-3f3bd7d29e11").write_bytes(b"left over")
    (bench.folder / "uploads" / "not an id").write_bytes(b"left over")
    assert await bench.reaper.reap() == 2
    assert await bench.blobs.unfinished() == [upload.id]

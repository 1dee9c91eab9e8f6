"""Committing, finding, listing and reading, on the real database and a real folder."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from artifact.conftest import NOW, Bench
from greenroomd.artifact.domain import Artifact, Blob
from greenroomd.artifact.errors import (
    ArtifactNotFound,
    BlobCorrupt,
    BlobMissing,
    BlobNotFound,
    FilePathUnsafe,
    ManifestInvalid,
    ReadOutOfRange,
)
from greenroomd.platform.changelog.log import Written
from greenroomd.platform.context import Actor
from support.blobs import MIB, blob_of, layer, manifest_of, noise, pieces, raw_manifest, stream

pytestmark = pytest.mark.usefixtures("somebody")

TEAM, OTHERS = "namespaces/team", "namespaces/others"
RANDOM = "sha256:" + "0123456789abcdef" * 4

FILES = {"model.bin": noise(2 * MIB + 3), "config.json": b"{}", "empty": b""}


async def bring(bench: Bench, namespace: str, *blobs: bytes) -> None:
    for data in blobs:
        upload = await bench.uploads.create(namespace, blob_of(data))
        if not upload.complete:
            await bench.uploads.write(upload.name, upload.committed_size, stream(pieces(data)))


async def commit(bench: Bench, namespace: str, files: dict[str, bytes]) -> Written[Artifact]:
    document, config = manifest_of(files)
    await bring(bench, namespace, *files.values(), config)
    return await bench.artifacts.create(namespace, document)


async def read(bench: Bench, namespace: str, digest: str, offset: int = 0, limit: int = 0) -> bytes:
    return b"".join([chunk async for chunk in bench.artifacts.read_blob(namespace, digest, offset, limit)])


async def test_a_committed_artifact_can_be_read(bench: Bench) -> None:
    document, config = manifest_of(FILES)
    written = await commit(bench, TEAM, FILES)
    artifact = written.value
    assert written.revision == 1
    assert artifact.digest == f"sha256:{hashlib.sha256(document).hexdigest()}"
    assert artifact.name == f"namespaces/team/artifacts/{artifact.digest}"
    assert [file.path for file in artifact.files] == ["config.json", "empty", "model.bin"]
    assert (artifact.size, artifact.creator, artifact.create_time) == (2 * MIB + 5, Actor("ada", "user"), NOW)
    assert await bench.artifacts.get(artifact.name) == artifact
    assert artifact.manifest == document
    for data in (*FILES.values(), config, document):
        assert await read(bench, TEAM, blob_of(data).digest) == data


async def test_the_log_says_who_committed_what(bench: Bench) -> None:
    artifact = (await commit(bench, TEAM, FILES)).value
    (change,) = await bench.log.read_after(0)
    assert (change.type, change.resource, change.namespace, change.actor_id) == (
        "artifact.created",
        artifact.name,
        "team",
        "ada",
    )
    assert change.before is None
    assert change.after is not None
    assert artifact.manifest not in change.after


async def test_committing_again_gives_the_first_answer(bench: Bench) -> None:
    first = await commit(bench, TEAM, FILES)
    await commit(bench, TEAM, {"another": b"1"})
    bench.clock.time += timedelta(hours=1)
    assert await bench.artifacts.create(TEAM, manifest_of(FILES)[0]) == first
    assert await bench.log.head() == 2


async def test_clients_that_commit_at_the_same_moment_get_one_artifact(bench: Bench) -> None:
    document, config = manifest_of(FILES)
    await bring(bench, TEAM, *FILES.values(), config)
    answers = await asyncio.gather(*(bench.artifacts.create(TEAM, document) for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].revision == await bench.log.head() == 1


async def test_nothing_is_written_while_a_blob_is_missing(bench: Bench) -> None:
    document, config = manifest_of(FILES)
    await bring(bench, TEAM, FILES["config.json"], config)
    with pytest.raises(BlobMissing) as caught:
        await bench.artifacts.create(TEAM, document)
    missing = sorted(blob_of(FILES[path]).digest for path in ("model.bin", "empty"))
    assert caught.value.metadata["digests"].split(",") == missing
    assert await bench.log.head() == 0
    assert await bench.sql("SELECT count(*) FROM artifacts") == 0


async def test_a_blob_with_another_size_is_missing(bench: Bench) -> None:
    await bring(bench, TEAM, b"abc", b"{}")
    config = {**blob_descriptor(b"{}"), "mediaType": "application/vnd.cncf.model.config.v1+json"}
    document = raw_manifest([layer(digest=blob_of(b"abc").digest, size=4)], config=config)
    with pytest.raises(BlobMissing):
        await bench.artifacts.create(TEAM, document)
    right = raw_manifest([layer(digest=blob_of(b"abc").digest, size=3)], config=config)
    assert (await bench.artifacts.create(TEAM, right)).value.size == 3


def blob_descriptor(data: bytes) -> dict[str, object]:
    blob = blob_of(data)
    return {"digest": blob.digest, "size": blob.size}


async def test_many_missing_blobs_still_fit_into_an_error(bench: Bench) -> None:
    digests = [f"sha256:{number:064x}" for number in range(5000)]
    layers = [layer(f"{number}.bin", digest=digest) for number, digest in enumerate(digests)]
    with pytest.raises(BlobMissing) as caught:
        await bench.artifacts.create(TEAM, raw_manifest(layers))
    assert "5001" in caught.value.message
    assert len(caught.value.metadata["digests"]) < 512


async def test_thousands_of_files_are_committed(bench: Bench) -> None:
    await bring(bench, TEAM, b"abc", b"{}")
    config = {**blob_descriptor(b"{}"), "mediaType": "application/vnd.cncf.model.config.v1+json"}
    layers = [layer(f"shards/{number:05}", **blob_descriptor(b"abc")) for number in range(8000)]
    artifact = (await bench.artifacts.create(TEAM, raw_manifest(layers, config=config))).value
    assert len((await bench.artifacts.get(artifact.name)).files) == 8000


@pytest.mark.parametrize(
    ("document", "error"), [(b"{}", ManifestInvalid), (raw_manifest([layer("../x")]), FilePathUnsafe)]
)
async def test_a_bad_manifest_writes_nothing(bench: Bench, document: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        await bench.artifacts.create(TEAM, document)
    assert await bench.log.head() == 0


async def test_find_missing_keeps_the_order_and_names_each_once(bench: Bench) -> None:
    await bring(bench, TEAM, b"held")
    asked = [blob_of(data) for data in (b"z", b"held", b"a", b"z")]
    assert await bench.artifacts.find_missing(TEAM, asked) == [blob_of(b"z"), blob_of(b"a")]
    wrong_size = Blob(blob_of(b"held").digest, 5)
    assert await bench.artifacts.find_missing(TEAM, [wrong_size]) == [wrong_size]


async def test_what_others_hold_is_like_what_nobody_has(bench: Bench) -> None:
    artifact = (await commit(bench, TEAM, FILES)).value
    held = blob_of(FILES["model.bin"])
    nothing = Blob(RANDOM, held.size)
    assert await bench.artifacts.find_missing(OTHERS, [held, nothing]) == [held, nothing]
    for digest in (held.digest, artifact.digest):
        refusals = []
        for asked in (digest, RANDOM):
            with pytest.raises(BlobNotFound) as caught:
                await read(bench, OTHERS, asked)
            refusals.append(caught.value.message.replace(asked, "DIGEST"))
        assert refusals[0] == refusals[1]
    with pytest.raises(ArtifactNotFound):
        await bench.artifacts.get(f"{OTHERS}/artifacts/{artifact.digest}")
    with pytest.raises(BlobMissing):
        await bench.artifacts.create(OTHERS, artifact.manifest)


async def test_an_uploaded_blob_is_not_read_before_an_artifact_names_it(bench: Bench) -> None:
    await bring(bench, TEAM, FILES["model.bin"])
    with pytest.raises(BlobNotFound):
        await read(bench, TEAM, blob_of(FILES["model.bin"]).digest)


@pytest.mark.parametrize(
    ("offset", "limit"), [(0, 1), (5, 0), (MIB, MIB), (2 * MIB, 99), (2 * MIB + 3, 0), (0, 2**62), (1, 2 * MIB + 2)]
)
async def test_ranges(bench: Bench, offset: int, limit: int) -> None:
    await commit(bench, TEAM, FILES)
    data = FILES["model.bin"]
    end = len(data) if limit == 0 else offset + limit
    assert await read(bench, TEAM, blob_of(data).digest, offset, limit) == data[offset:end]


async def test_ranges_of_a_manifest(bench: Bench) -> None:
    artifact = (await commit(bench, TEAM, FILES)).value
    assert await read(bench, TEAM, artifact.digest, 10, 20) == artifact.manifest[10:30]
    with pytest.raises(ReadOutOfRange):
        await read(bench, TEAM, artifact.digest, len(artifact.manifest) + 1)


async def test_beyond_the_end(bench: Bench) -> None:
    await commit(bench, TEAM, FILES)
    with pytest.raises(ReadOutOfRange) as caught:
        await read(bench, TEAM, blob_of(b"{}").digest, 3)
    assert caught.value.metadata == {"offset": "3", "size": "2"}


@pytest.mark.parametrize("position", [0, MIB, 2 * MIB + 2])
async def test_a_flipped_bit_is_never_served_as_good(bench: Bench, position: int) -> None:
    await commit(bench, TEAM, FILES)
    data = FILES["model.bin"]
    path = bench.blobs.path_of(blob_of(data).digest)
    path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
    received = b""
    with pytest.raises(BlobCorrupt):
        async for chunk in bench.artifacts.read_blob(TEAM, blob_of(data).digest, 0, 0):
            received += chunk
    assert len(received) < len(data)


@pytest.mark.parametrize("offset", [0, 100])
@pytest.mark.parametrize("stored", [None, b"", FILES["model.bin"][:-1], FILES["model.bin"] + b"!"])
async def test_another_size_is_never_served(bench: Bench, stored: bytes | None, offset: int) -> None:
    await commit(bench, TEAM, FILES)
    path = bench.blobs.path_of(blob_of(FILES["model.bin"]).digest)
    path.unlink() if stored is None else path.write_bytes(stored)
    with pytest.raises(BlobCorrupt):
        await read(bench, TEAM, blob_of(FILES["model.bin"]).digest, offset, 10)


async def test_a_damaged_blob_is_healed_by_sending_it_again(bench: Bench) -> None:
    await commit(bench, TEAM, FILES)
    data = FILES["model.bin"]
    bench.blobs.path_of(blob_of(data).digest).write_bytes(bytes(len(data)))
    await bring(bench, OTHERS, data)
    assert await read(bench, TEAM, blob_of(data).digest) == data


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM namespace_blobs", "DELETE FROM blobs", "UPDATE blobs SET digest = 'sha256:' || repeat('0', 64)"],
)
async def test_the_database_keeps_what_an_artifact_names(bench: Bench, statement: str) -> None:
    await commit(bench, TEAM, {"only": b"one"})
    with pytest.raises(IntegrityError):
        await bench.sql(statement)


async def test_lists_are_newest_first_and_without_manifests(bench: Bench) -> None:
    names = []
    for number in range(7):
        bench.clock.time += timedelta(seconds=number % 2)  # some at the same moment
        names.append((await commit(bench, TEAM, {"file": bytes([number])})).value)
    await commit(bench, OTHERS, {"file": b"x"})
    expected = sorted(names, key=lambda artifact: (artifact.create_time, artifact.digest), reverse=True)
    listed: list[Artifact] = []
    before = None
    while True:
        page = await bench.artifacts.list(TEAM, before, 3)
        assert len(page.artifacts) <= 3
        listed += page.artifacts
        if not page.more:
            break
        before = (listed[-1].create_time, listed[-1].digest)
    assert [artifact.name for artifact in listed] == [artifact.name for artifact in expected]
    assert all(artifact.manifest == b"" for artifact in listed)
    assert await bench.artifacts.list("namespaces/nobody", None, 3) == type(page)((), False)


async def test_a_page_fits_into_a_message(bench: Bench) -> None:
    await bring(bench, TEAM, b"abc", b"{}")
    config = {**blob_descriptor(b"{}"), "mediaType": "application/vnd.cncf.model.config.v1+json"}
    for number in range(4):
        layers = [layer(f"{number}/shards/{index:05}", **blob_descriptor(b"abc")) for index in range(6000)]
        await bench.artifacts.create(TEAM, raw_manifest(layers, config=config))
    sizes, before, more = [], None, True
    while more:
        page = await bench.artifacts.list(TEAM, before, 1000)
        sizes.append(len(page.artifacts))
        before, more = (page.artifacts[-1].create_time, page.artifacts[-1].digest), page.more
    assert sum(sizes) == 4
    assert max(sizes) == 3

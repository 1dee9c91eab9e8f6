"""The client against a server that lies, breaks off or goes silent."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from client.hostile_server import (
    NOTES,
    VERSION,
    WEIGHTS,
    Context,
    HostileServer,
    honest_manifest,
    hostile_server,
    renamed,
    serving,
)
from greenroom import AsyncClient, Credentials, Progress
from greenroom.artifact.v1 import artifact_service_pb2 as artifact
from greenroom.errors import (
    DigestMismatch,
    InvalidArgument,
    ManifestInvalid,
    SelectorUnresolved,
    Unavailable,
    UnsafePath,
)
from greenroom.manifest import digest_of


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait between attempts as always, only a hundred times shorter."""
    sleep = asyncio.sleep
    monkeypatch.setattr("greenroom._resume.asyncio.sleep", lambda seconds: sleep(seconds / 100))


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """An empty folder with something beside it that must never change."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("untouched")
    (tmp_path / "dest").mkdir()
    return tmp_path / "dest"


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def assert_nothing_outside(destination: Path) -> None:
    assert files_in(destination.parent / "outside") == {"precious"}
    assert (destination.parent / "outside" / "precious").read_text() == "untouched"
    assert {path.name for path in destination.parent.iterdir()} == {"outside", "dest"}


async def test_an_honest_answer_is_pulled(destination: Path) -> None:
    hostile = hostile_server()
    async with serving(hostile) as client:
        pulled = await client.pull("demo/digits@production", destination)
        assert files_in(destination) == set(pulled.files) == {"model.bin", "notes/readme.md"}
        assert (destination / "model.bin").read_bytes() == WEIGHTS
        assert pulled.bytes_fetched == len(WEIGHTS) + len(NOTES)
        assert (await client.pull("demo/digits@production", destination)).bytes_fetched == 0
        (destination / "notes/readme.md").write_bytes(b"edited")
        assert (await client.pull("demo/digits@production", destination)).bytes_fetched == len(NOTES)
        assert (destination / "notes/readme.md").read_bytes() == NOTES


@pytest.mark.parametrize(
    "path",
    [
        "../outside/precious",
        "/etc/cron.d/x",
        "a/../../outside/precious",
        "..\\x",
        "C:\\x",
        "a\0b",
        ".git/hooks/x",
        "CON",
    ],
)
async def test_a_path_that_leads_elsewhere_is_refused_and_nothing_written(destination: Path, path: str) -> None:
    hostile = hostile_server()
    hostile.manifest = renamed(path)
    async with serving(hostile) as client:
        with pytest.raises(UnsafePath):
            await client.pull("demo/digits@production", destination)
    assert files_in(destination) == set()
    assert hostile.reads == []
    assert_nothing_outside(destination)


async def test_a_manifest_that_is_not_what_was_resolved_is_refused(destination: Path) -> None:
    hostile = hostile_server()
    hostile.digest = "sha256:" + "0" * 64
    async with serving(hostile) as client:
        with pytest.raises(DigestMismatch, match="manifest"):
            await client.pull("demo/digits@production", destination)
    assert files_in(destination) == set()


async def test_a_manifest_of_another_kind_is_refused(destination: Path) -> None:
    hostile = hostile_server()
    hostile.manifest = b'{"schemaVersion": 2}'
    async with serving(hostile) as client:
        with pytest.raises(ManifestInvalid):
            await client.pull("demo/digits@production", destination)


async def test_a_pinned_digest_is_not_exchanged_for_another(destination: Path) -> None:
    async with serving(hostile_server()) as client:
        with pytest.raises(InvalidArgument, match="another artifact"):
            await client.pull("demo/digits@sha256:" + "0" * 64, destination)


@pytest.mark.parametrize("version", ["", "../..", "namespaces/demo/models/digits@production", "namespaces/x"])
async def test_a_resolution_to_no_version_is_refused(destination: Path, version: str) -> None:
    hostile = hostile_server()
    hostile.version = version
    async with serving(hostile) as client:
        with pytest.raises(SelectorUnresolved):
            await client.pull("demo/digits@production", destination)


@pytest.mark.parametrize(
    "served",
    [WEIGHTS[:-1] + b"\0", WEIGHTS + b"x", WEIGHTS * 3],
    ids=["one byte changed", "one byte more", "endless"],
)
async def test_other_bytes_never_get_the_name(destination: Path, served: bytes) -> None:
    hostile = hostile_server()
    hostile.blobs[digest_of(WEIGHTS)] = served
    (destination / "model.bin").write_bytes(b"the version before")
    async with serving(hostile) as client:
        with pytest.raises(DigestMismatch, match=r"model\.bin"):
            await client.pull("demo/digits@production", destination)
    assert (destination / "model.bin").read_bytes() == b"the version before"
    assert not [name for name in files_in(destination) if name.endswith(".part")]


async def test_bytes_that_never_come_end_in_unavailable(destination: Path) -> None:
    hostile = hostile_server()
    hostile.blobs[digest_of(WEIGHTS)] = WEIGHTS[:-1]
    async with serving(hostile) as client:
        with pytest.raises(Unavailable, match="ended after"):
            await client.pull("demo/digits@production", destination)
    assert "model.bin" not in files_in(destination)


@pytest.mark.parametrize("trap", ["file link", "folder link", "dangling link", "fifo", "folder", "part link"])
async def test_what_lies_in_the_destination_is_not_followed(destination: Path, trap: str) -> None:
    outside = destination.parent / "outside"
    make: dict[str, Callable[[], object]] = {
        "file link": lambda: (destination / "model.bin").symlink_to(outside / "precious"),
        "folder link": lambda: (destination / "notes").symlink_to(outside),
        "dangling link": lambda: (destination / "model.bin").symlink_to(outside / "new"),
        "fifo": lambda: os.mkfifo(destination / "model.bin"),
        "folder": lambda: (destination / "model.bin").mkdir(),
        "part link": lambda: (destination / "notes").symlink_to("."),
    }
    make[trap]()
    async with serving(hostile_server()) as client:
        with pytest.raises(UnsafePath):
            await client.pull("demo/digits@production", destination)
    assert_nothing_outside(destination)


async def test_a_broken_download_goes_on_where_it_was(destination: Path) -> None:
    hostile = hostile_server()
    hostile.manifest = honest_manifest(("model.bin", WEIGHTS))
    hostile.break_after = [1 << 20, 0, 0, 2 << 20]
    async with serving(hostile) as client:
        pulled = await client.pull("demo/digits@production", destination)
    assert (destination / "model.bin").read_bytes() == WEIGHTS
    assert pulled.bytes_fetched == len(WEIGHTS)
    assert hostile.reads == [0, 1 << 20, 1 << 20, 1 << 20, 3 << 20]


async def test_an_interrupted_download_leaves_nothing_behind(destination: Path) -> None:
    def interrupt(step: Progress) -> None:
        if step.bytes_done:
            pulling.cancel()

    async with serving(hostile_server()) as client:
        pulling = asyncio.create_task(client.pull("demo/digits@production", destination, progress=interrupt))
        with pytest.raises(asyncio.CancelledError):
            await pulling
    assert not [name for name in files_in(destination) if name.endswith(".part")]


async def test_a_silent_download_is_given_up(destination: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(HostileServer):
        async def ReadBlob(
            self, request: artifact.ReadBlobRequest, context: Context
        ) -> AsyncIterator[artifact.ReadBlobResponse]:
            while True:
                yield artifact.ReadBlobResponse()  # messages without bytes are no progress
                await asyncio.sleep(0.01)

    monkeypatch.setattr("greenroom._pull.STALL_SECONDS", 0.1)
    async with serving(hostile_server(Silent)) as client:
        with pytest.raises(Unavailable, match="no byte"):
            await client.pull("demo/digits@production", destination)


async def test_a_broken_upload_goes_on_from_what_is_durable(tmp_path: Path) -> None:
    hostile = hostile_server()
    hostile.break_after = [1 << 20, 3 << 20]
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.bin").write_bytes(WEIGHTS)
    async with serving(hostile) as client:
        version = await client.push("demo/digits", folder, environment=None, code=None)
        assert client.revisions == {"artifact": 1, "catalog": 7}
    assert version.name == VERSION
    stored = hostile.stored[f"namespaces/demo/uploads/{hashlib.sha256(WEIGHTS).hexdigest()}"]
    assert bytes(stored) == WEIGHTS
    assert {0, 1 << 20, 3 << 20} <= set(hostile.writes)


async def test_files_of_no_bytes_and_twice_the_same_bytes_are_pushed(tmp_path: Path) -> None:
    hostile = hostile_server()
    (tmp_path / "empty.bin").touch()
    (tmp_path / "a.txt").write_bytes(NOTES)
    (tmp_path / "b.txt").write_bytes(NOTES)
    async with serving(hostile) as client:
        version = await client.push("demo/digits", tmp_path, metrics={"accuracy": 0.97}, params={"depth": 3})
    assert len(hostile.stored) == 3  # the notes once, the empty file, the config
    assert version.facts.metrics[0].value == 0.97
    assert version.facts.params["depth"].int_value == 3
    assert version.facts.environment.python_version


async def test_an_artifact_by_another_name_is_not_registered(tmp_path: Path) -> None:
    hostile = hostile_server()
    hostile.digest = "sha256:" + "0" * 64
    (tmp_path / "a.txt").write_bytes(NOTES)
    async with serving(hostile) as client:
        with pytest.raises(ManifestInvalid, match="server calls"):
            await client.push("demo/digits", tmp_path)


@pytest.mark.parametrize("trap", ["link", "folder link", "fifo", "git", "bad name", "undecodable name"])
async def test_what_is_not_a_plain_file_is_not_pushed(tmp_path: Path, trap: str) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.bin").write_bytes(NOTES)
    make: dict[str, Callable[[], object]] = {
        "link": lambda: (folder / "sub" / "x").symlink_to("/etc/passwd"),
        "folder link": lambda: (folder / "x").symlink_to("/etc"),
        "fifo": lambda: os.mkfifo(folder / "x"),
        "git": lambda: (folder / ".git").mkdir(),
        "bad name": lambda: (folder / "a:b").touch(),
        "undecodable name": lambda: os.close(os.open(bytes(folder) + b"/\xff", os.O_CREAT)),
    }
    make[trap]()
    hostile = hostile_server()
    async with serving(hostile) as client:
        with pytest.raises(UnsafePath):
            await client.push("demo/digits", folder)
    assert hostile.stored == {}


async def test_a_single_file_can_be_pushed_but_not_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(NOTES)
    (tmp_path / "link.bin").symlink_to("model.bin")
    async with serving(hostile_server()) as client:
        await client.push("demo/digits", tmp_path / "model.bin")
        with pytest.raises(UnsafePath):
            await client.push("demo/digits", tmp_path / "link.bin")
        with pytest.raises(InvalidArgument, match="cannot read"):
            await client.push("demo/digits", tmp_path / "missing.bin")
        (tmp_path / "empty").mkdir()
        with pytest.raises(InvalidArgument, match="no file to push"):
            await client.push("demo/digits", tmp_path / "empty")


async def test_a_watch_that_breaks_goes_on_without_gap_or_duplicate() -> None:
    hostile = hostile_server()
    async with serving(hostile) as client, client.watch(["catalog"], from_revision=0) as changes:
        await changes.start()
        seen = [(await anext(changes)).revision for _ in range(10)]
        assert changes.resume_tokens == {"catalog": "10"}
    assert seen == list(range(1, 11))
    assert hostile.watches[:3] == ["after 0", "3", "6"]


async def test_a_watch_of_a_server_that_is_not_there_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroom._watch._CONNECT_SECONDS", 0.2)
    async with AsyncClient(Credentials("127.0.0.1:1", "gr_test_token")) as client, client.watch() as changes:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
            await anext(changes)

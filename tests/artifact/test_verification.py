"""fsck: what is stored is read as a whole, and what is no longer what it was is named."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from greenroom.artifact.v1 import artifact_service_pb2 as pb
from support.artifacts import commit, digest_of
from support.server import RunningServer, refused

ONE, TWO = b"first weights" * 1000, b"second weights" * 1000


async def verify(server: RunningServer, parent: str) -> list[pb.VerifyBlobsResponse]:
    call = server.as_("admin").artifact.VerifyBlobs(pb.VerifyBlobsRequest(parent=parent))
    return [report async for report in call]


def stored(server: RunningServer, content: bytes) -> Path:
    """Return the file that holds a blob."""
    (path,) = server.config.blob_store.rglob(digest_of(content).removeprefix("sha256:"))
    return path


async def fsck(server: RunningServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `greenroom fsck` in a process of its own."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")},
        "GREENROOM_SERVER": server.address,
        "GREENROOM_TOKEN": server.token("admin"),
    }
    command = [sys.executable, "-m", "greenroom.cli", "fsck", *arguments]
    return await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True)


async def test_an_empty_store_is_sound(server: RunningServer) -> None:
    (report,) = await verify(server, "namespaces/-")
    assert (report.blobs_done, report.blobs_total, list(report.damaged)) == (0, 0, [])


async def test_sound_blobs_are_counted_for_all_and_for_a_namespace(server: RunningServer) -> None:
    admin = server.as_("admin")
    await commit(admin, "namespaces/red", {"w": ONE})
    await commit(admin, "namespaces/blue", {"w": TWO, "v": ONE})
    everything = (await verify(server, "namespaces/-"))[-1]
    red = (await verify(server, "namespaces/red"))[-1]
    # Each artifact has a configuration blob of its own; the first weights are stored once.
    assert (everything.blobs_done, everything.blobs_total, red.blobs_total) == (4, 4, 2)
    assert everything.bytes_done == everything.bytes_total
    assert not everything.damaged


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone"])
async def test_a_damaged_blob_is_named_and_the_others_are_sound(server: RunningServer, damage: str) -> None:
    await commit(server.as_("admin"), "namespaces/red", {"a": ONE, "b": TWO})
    path = stored(server, TWO)
    path.chmod(0o600)
    match damage:
        case "flipped":
            content = bytearray(TWO)
            content[77] ^= 1
            path.write_bytes(content)
        case "truncated":
            path.write_bytes(TWO[:-1])
        case "gone":
            path.unlink()
    found = [damaged for report in await verify(server, "namespaces/-") for damaged in report.damaged]
    assert [damaged.blob.digest for damaged in found] == [digest_of(TWO)]
    assert found[0].problem
    done = await fsck(server)
    assert done.returncode == 8, done.stderr
    assert digest_of(TWO) in done.stdout


async def test_the_command_says_that_all_is_sound(server: RunningServer) -> None:
    await commit(server.as_("admin"), "namespaces/red", {"a": ONE})
    done = await fsck(server, "red")
    assert (done.returncode, done.stdout) == (0, "every stored blob is what its digest says\n"), done.stderr
    assert "verifying 2 blobs" in done.stderr


async def test_a_viewer_may_not_ask_for_it(server: RunningServer) -> None:

    call = server.as_("viewer").artifact.VerifyBlobs(pb.VerifyBlobsRequest(parent="namespaces/-"))
    assert (await refused(call.read())).reason == "PERMISSION_MISSING"

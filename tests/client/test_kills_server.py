"""The server killed while the command line pushes and watches: both go on by themselves when it is back."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from greenroomd.embedded import Endpoints
from support.command_line import CommandLine, ended, environment
from support.processes import Identities, ServiceProcess

SIZE = 200 << 20


@pytest.fixture
async def process(embedded: Endpoints, database_url: str) -> AsyncIterator[ServiceProcess]:
    """All services in one process of their own."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-killed-"))
    identities = Identities.create(folder)
    process = ServiceProcess("all", identities.environment(database_url, embedded.redis_url), folder / "server.log")
    await asyncio.to_thread(process.start)
    process.environment = {**process.environment, "TEST_TOKEN": identities.tokens["admin"]}
    yield process
    process.close()
    shutil.rmtree(folder)


async def test_a_push_and_a_watch_go_on_after_the_server_was_killed(process: ServiceProcess, tmp_path: Path) -> None:
    """0.11: killed mid-upload, the same push goes on by itself and gives the digest that the files have."""
    cli = CommandLine(environment(GREENROOM_SERVER=process.address, GREENROOM_TOKEN=process.environment["TEST_TOKEN"]))
    weights = tmp_path / "weights.bin"
    weights.write_bytes(bytes(SIZE))
    watch = await cli.start("watch", "--service", "catalog", "--from-revision", "0", "--json", "--limit", "3")
    assert watch.stdout is not None
    push = await cli.start("push", "demo/digits", weights, "--no-environment", "--json")
    first = [json.loads(await watch.stdout.readline()) for _ in range(2)]
    uploads = process.log.parent / "blobs" / "uploads"
    while not any(path.stat().st_size > 8 << 20 for path in uploads.glob("*")):
        assert push.returncode is None, (await ended(push)).err
        await asyncio.sleep(0.002)
    process.kill()
    committed = max(path.stat().st_size for path in uploads.glob("*"))
    assert 0 < committed < SIZE
    await asyncio.to_thread(process.start)

    pushed = await ended(push)
    assert pushed.code == 0, pushed.err
    pulled = await cli.json("pull", "demo/digits/1", tmp_path / "out")
    assert pulled["artifactDigest"] == pushed.document["artifactDigest"]
    with (tmp_path / "out" / "weights.bin").open("rb") as copy:
        assert hashlib.file_digest(copy, "sha256").digest() == hashlib.sha256(bytes(SIZE)).digest()
    # An undisturbed push of the same files gives the same artifact.
    other = await cli.json("push", "demo/other", weights, "--no-environment")
    assert other["artifactDigest"] == pushed.document["artifactDigest"]

    watched = await ended(watch)
    assert watched.code == 0, watched.err
    seen = [*first, *map(json.loads, watched.out.splitlines())]
    assert [change["metadata"]["revision"] for change in seen] == ["1", "2", "3"]
    assert seen[-1]["metadata"]["resource"] == "namespaces/demo/models/digits/versions/1"

"""The service killed while bytes come in: what it had acknowledged is there, and the rest can be sent again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from greenroom.artifact.v1 import artifact_service_pb2 as pb
from support.blobs import MIB, blob_message, manifest_of, noise, pieces, pull_blob, push, write_requests
from support.processes import Identities, ServiceProcess
from support.server import Stubs, open_stubs

TEAM = "namespaces/team"

PART = MIB
"""Bytes a stream: each is committed when its stream ends."""

STEP = 64 * 1024


@pytest.fixture
def process(installation: tuple[Identities, dict[str, str]], tmp_path: Path) -> Iterator[ServiceProcess]:
    _, environment = installation
    process = ServiceProcess("artifact", environment, tmp_path / "artifact.log")
    process.start()
    yield process
    process.close()


@pytest.fixture
async def stubs(process: ServiceProcess, installation: tuple[Identities, dict[str, str]]) -> AsyncIterator[Stubs]:
    stubs = open_stubs(process.address, installation[0].tokens["admin"])
    yield stubs
    await stubs.channel.close()


async def upload_through_kills(stubs: Stubs, process: ServiceProcess, data: bytes, kills: int) -> tuple[int, int]:
    """Upload a blob a part at a time while the process that takes it is killed and started again.

    Returns how many bytes were acknowledged as committed and gone after a kill, and how many had to be sent again.
    """
    lost = sent = committed = 0
    upload = (await stubs.artifact.CreateUpload(pb.CreateUploadRequest(parent=TEAM, blob=blob_message(data)))).upload
    while not upload.complete:
        lost += max(0, committed - upload.committed_size)
        committed = upload.committed_size
        part = data[committed : committed + PART]
        sent += len(part)
        death = None
        if kills and committed >= PART:
            kills -= 1
            death = asyncio.create_task(kill_after(process, random.uniform(0.0, 0.05)))
        try:
            answer = await stubs.artifact.WriteUpload(
                slowly(write_requests(upload.name, committed, pieces(part, STEP)))
            )
            committed = answer.upload.committed_size
        except grpc.aio.AioRpcError as error:
            # INTERNAL without details is what grpc.aio says when the connection dies while it sends.
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL), error
        if death is not None:
            await death
            await asyncio.to_thread(process.start)
        upload = (await stubs.artifact.GetUpload(pb.GetUploadRequest(name=upload.name), wait_for_ready=True)).upload
    return lost, sent - len(data)


async def slowly(requests: list[pb.WriteUploadRequest]) -> AsyncIterator[pb.WriteUploadRequest]:
    for request in requests:
        yield request
        await asyncio.sleep(0.002)


async def kill_after(process: ServiceProcess, seconds: float) -> None:
    await asyncio.sleep(seconds)
    process.kill()


async def test_killed_mid_upload_and_resumed(stubs: Stubs, process: ServiceProcess) -> None:
    data = noise(8 * MIB)
    lost, resent = await upload_through_kills(stubs, process, data, kills=4)
    assert lost == 0
    assert resent <= 4 * PART
    answer = await push(stubs.artifact, TEAM, {"model.bin": data})
    assert answer.artifact.digest == blob_message(manifest_of({"model.bin": data})[0]).digest
    assert await pull_blob(stubs.artifact, TEAM, blob_message(data).digest) == data


async def test_what_was_committed_survives_a_kill(stubs: Stubs, process: ServiceProcess) -> None:
    files = {"model.bin": noise(MIB), "config.json": b"{}"}
    committed = (await push(stubs.artifact, TEAM, files)).artifact
    process.kill()
    await asyncio.to_thread(process.start)
    request = pb.GetArtifactRequest(name=committed.name)
    got = (await stubs.artifact.GetArtifact(request, wait_for_ready=True)).artifact
    for file in got.files:
        assert await pull_blob(stubs.artifact, TEAM, file.blob.digest) == files[file.path]

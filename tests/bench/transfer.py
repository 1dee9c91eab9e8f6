"""Push and pull of the SDK, every byte verified and on disk, beside a bare stream of bytes from memory to memory."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from pathlib import Path
from typing import TypeAlias

import grpc.aio

import greenroom
from bench.installation import Installation
from bench.measure import Line, elapsed, in_turns
from bench.reference_server import CHUNK, DOWNLOAD, UPLOAD, UPLOAD_TO_FILE
from greenroom._connection import channel_options

Upload: TypeAlias = "grpc.aio.StreamUnaryMultiCallable[bytes, bytes]"
Download: TypeAlias = "grpc.aio.UnaryStreamMultiCallable[bytes, bytes]"

MIB = 1 << 20
SMALL_FILES = 500
SMALL_FILE = 64 * 1024
ROUNDS = 3
BARE = "a gRPC stream of 1 MiB chunks without protobuf and hash, "
TO_FILE, TO_MEMORY = "into an fsynced file", "into memory"


async def large_file(made: Installation) -> list[Line]:
    """One file. What code and environment a push records costs time of its own and is left out."""
    size = made.large_file
    source = Content(made.folder / "large.bin", [size])
    address, _ = await made.start_reference({})
    async with made.client() as client, grpc.aio.insecure_channel(address, options=channel_options()) as channel:
        chunks = size // len(CHUNK)
        download: Download = channel.unary_stream(DOWNLOAD)

        async def ours() -> Sequence[float]:
            return await push_and_pull(client, made, source) * 2

        async def reference() -> Sequence[float]:
            return [
                await mib_per_second(size, lambda: send(channel.stream_unary(UPLOAD_TO_FILE), chunks)),
                await mib_per_second(size, lambda: receive_to_file(download, chunks, made.folder)),
                await mib_per_second(size, lambda: send(channel.stream_unary(UPLOAD), chunks)),
                await mib_per_second(size, lambda: receive(download, chunks)),
            ]

        medians = await in_turns(ours, reference, ROUNDS)
    made.stop_reference()
    what = f"one file of {size // MIB} MiB"
    names = (
        f"push of {what}: hash, send, verify, fsync",
        f"pull of {what}: receive, verify, fsync",
        f"push of {what}, beside memory alone",
        f"pull of {what}, beside memory alone",
    )
    return [
        Line(name, "MiB/s", *rates, BARE + to)
        for name, rates, to in zip(names, medians, (TO_FILE, TO_FILE, TO_MEMORY, TO_MEMORY), strict=True)
    ]


async def small_files(made: Installation) -> list[Line]:
    """Many files, beside one file with as many bytes."""
    many = Content(made.folder / "many", [SMALL_FILE] * SMALL_FILES)
    one = Content(made.folder / "one.bin", [SMALL_FILE * SMALL_FILES])
    async with made.client() as client:
        up, down = await in_turns(
            lambda: push_and_pull(client, made, many), lambda: push_and_pull(client, made, one), ROUNDS
        )
    what = f"{SMALL_FILES} files of {SMALL_FILE // 1024} KiB"
    as_one = "one file with as many bytes, by push and pull"
    return [Line(f"push of {what}", "MiB/s", *up, as_one), Line(f"pull of {what}", "MiB/s", *down, as_one)]


class Content:
    """A file, or a folder of files, that has new bytes in every round: the server keeps what it has seen."""

    def __init__(self, path: Path, sizes: Sequence[int]) -> None:
        self.path = path
        self.size = sum(sizes)
        if len(sizes) > 1:
            path.mkdir()
        self._files = [path / f"{number:04}.bin" for number in range(len(sizes))] if len(sizes) > 1 else [path]
        self._salt = count()
        for file, size in zip(self._files, sizes, strict=True):
            file.write_bytes(os.urandom(size))

    def change(self) -> None:
        salt = next(self._salt).to_bytes(8)
        for file in self._files:
            with file.open("r+b") as opened:
                opened.write(salt)


async def push_and_pull(client: greenroom.AsyncClient, made: Installation, content: Content) -> tuple[float, float]:
    """Return MiB/s of both."""
    content.change()
    destination = made.folder / "pulled"
    selector = ""

    async def push() -> None:
        nonlocal selector
        version = await client.push("bench/transfer", content.path, code=None, environment=None)
        selector = f"bench/transfer/{version.number}"

    async def pull() -> None:
        pulled = await client.pull(selector, destination)
        assert pulled.bytes_fetched == content.size

    up = await mib_per_second(content.size, push)
    down = await mib_per_second(content.size, pull)
    shutil.rmtree(destination)
    return up, down


async def mib_per_second(size: int, work: Callable[[], Awaitable[None]]) -> float:
    started = time.perf_counter()
    await work()
    return size / MIB / elapsed(started)


async def send(method: Upload, chunks: int) -> None:
    call = method()
    for _ in range(chunks):
        await call.write(CHUNK)
    await call.done_writing()
    assert int(await call) == chunks * len(CHUNK)


async def receive(method: Download, chunks: int) -> None:
    received = 0
    async for chunk in method(str(chunks).encode()):
        received += len(chunk)
    assert received == chunks * len(CHUNK)


async def receive_to_file(method: Download, chunks: int, folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        async for chunk in method(str(chunks).encode()):
            await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(os.fsync, file.fileno())

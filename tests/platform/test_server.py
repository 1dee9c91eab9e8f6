"""A server's life: where it listens, what it says about itself, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.catalog.v1 import watch_pb2
from greenroomd.platform.health import HealthMonitor
from greenroomd.platform.identity import Principals, create_principal
from greenroomd.platform.server import GreenroomServer, ServerSettings, ServerStartError, is_loopback
from greenroomd.platform.supervision import Supervisor
from support.chained import CATALOG, Running, describe, failure, running

GET = pb.GetModelRequest(name="namespaces/demo/models/digits")
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def server_on(tmp_path: Path, **settings: Any) -> GreenroomServer:
    create_principal(tmp_path / "principals.json", "admin", roles=("admin",))
    return GreenroomServer(ServerSettings(**settings), Principals(tmp_path / "principals.json"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "registry.example.org", ""])  # noqa: S104
async def test_tokens_do_not_cross_a_network_in_plaintext(tmp_path: Path, host: str) -> None:
    with pytest.raises(ServerStartError, match="--allow-plaintext-off-loopback"):
        server_on(tmp_path, host=host, port=0).bind()


async def test_off_loopback_when_asked_to(tmp_path: Path) -> None:
    server = server_on(tmp_path, host="0.0.0.0", port=0, allow_plaintext_off_loopback=True)  # noqa: S104
    assert server.bind().startswith("0.0.0.0:")
    await server.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


async def test_a_taken_port_is_said_to_be_taken(catalog: Running, tmp_path: Path) -> None:
    port = int(catalog.address.rpartition(":")[2])
    with pytest.raises(ServerStartError, match=f"cannot listen on 127.0.0.1:{port}"):
        server_on(tmp_path, port=port).bind()


async def health_of(running: Running, service: str) -> Any:
    stub: Any = health_pb2_grpc.HealthStub(running.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


async def test_health_follows_the_dependencies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenroomd.platform.server.HealthMonitor", lambda: HealthMonitor(interval=0.05, patience=0.1))
    away = asyncio.Event()

    async def ready() -> None:
        if away.is_set():
            await asyncio.sleep(60)

    async with running(tmp_path, ready=ready) as catalog:
        assert await health_of(catalog, CATALOG) == SERVING
        away.set()
        await until(lambda: health_of(catalog, CATALOG), NOT_SERVING)
        assert await health_of(catalog, "") == NOT_SERVING
        away.clear()
        await until(lambda: health_of(catalog, ""), SERVING)
        with pytest.raises(grpc.aio.AioRpcError, match="NOT_FOUND"):
            await health_of(catalog, "no.such.Service")


async def test_a_server_starts_although_a_dependency_is_away(tmp_path: Path) -> None:
    async def ready() -> None:
        raise ConnectionRefusedError

    async with running(tmp_path, ready=ready) as catalog:
        assert await health_of(catalog, CATALOG) == NOT_SERVING
        await catalog.call("GetModel", GET)


async def until(ask: Any, expected: Any) -> None:
    async with asyncio.timeout(5):
        while await ask() != expected:
            await asyncio.sleep(0.02)


async def test_stopping_ends_watches_at_once_and_lets_calls_finish(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def slow(request: Any, context: Any) -> Any:
        started.set()
        await asyncio.sleep(0.5)
        return pb.GetModelResponse()

    async def endless(request: Any, context: Any) -> AsyncIterator[Any]:
        yield watch_pb2.WatchChangesResponse(through_revision=1)
        await asyncio.sleep(60)

    async with running(tmp_path, settings=ServerSettings(port=0, grace_seconds=20)) as catalog:
        catalog.on("GetModel", slow)
        catalog.on("WatchChanges", endless)
        watch = catalog.call("WatchChanges", watch_pb2.WatchChangesRequest(), timeout=60)
        assert (await watch.read()).through_revision == 1
        call = asyncio.ensure_future(_await(catalog.call("GetModel", GET)))
        await started.wait()
        before = time.monotonic()
        await catalog.server.stop()
        assert time.monotonic() - before < 5
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await watch.read()
        seen = describe(ended.value)
        assert (seen.code, seen.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
        assert "resume_token" in seen.message
        await call


async def _await(call: Any) -> Any:
    return await call


async def test_a_signal_stops_the_server(tmp_path: Path) -> None:
    async with running(tmp_path) as catalog:
        waiting = asyncio.create_task(catalog.server.run_until_signal())
        await catalog.call("GetModel", GET)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(waiting, 10)
        refused = await failure(catalog.call("GetModel", GET, timeout=1))
        assert refused.code is grpc.StatusCode.UNAVAILABLE


async def test_a_second_signal_does_not_wait_for_calls(tmp_path: Path) -> None:
    async def slow(request: Any, context: Any) -> Any:
        await asyncio.sleep(60)

    async with running(tmp_path, settings=ServerSettings(port=0, grace_seconds=60)) as catalog:
        catalog.on("GetModel", slow)
        waiting = asyncio.create_task(catalog.server.run_until_signal())
        call = asyncio.ensure_future(failure(catalog.call("GetModel", GET, timeout=60)))
        await asyncio.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.2)
        assert not waiting.done()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(waiting, 10)
        await call


async def test_background_work_is_started_again_when_it_fails() -> None:
    runs: list[float] = []
    third = asyncio.Event()

    async def work() -> None:
        runs.append(time.monotonic())
        if len(runs) < 3:
            raise RuntimeError("the first two fail")
        third.set()
        await asyncio.sleep(60)

    supervisor = Supervisor()
    supervisor.start("work", work)
    await asyncio.wait_for(third.wait(), 5)
    await asyncio.wait_for(supervisor.stop(), 1)
    assert runs[1] - runs[0] >= 0.1
    assert runs[2] - runs[1] >= 0.2

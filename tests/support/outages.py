"""An installation whose databases and services a test may stop, kill and freeze: real processes, all its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from embedded.support import working_in
from greenroomd.embedded import EmbeddedStack
from greenroomd.platform.migrations import upgrade
from support.cluster import Cluster
from support.processes import ALL, Identities, ServiceProcess, four_processes, free_port
from support.server import open_stubs

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

FULL_NAMES = {name: f"greenroom.{name}.v1.{name.capitalize()}Service" for name in ALL}


@dataclass
class Installation(Cluster):
    """A cluster with a second instance of the catalog, and the databases it runs on."""

    stack: EmbeddedStack = field(kw_only=True)
    data: Path = field(kw_only=True)

    def start(self) -> None:
        """Start every service at once."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(ServiceProcess.start, self.processes.values()))

    def terminate(self) -> list[int]:
        """Ask every service to end, all at once, and return their exit codes."""
        with ThreadPoolExecutor() as threads:
            return list(threads.map(ServiceProcess.terminate, self.processes.values()))

    def stubs(self, service: str, principal: str = "admin") -> Any:
        # Its own connection: the back-off of another one that met an outage must not be felt here.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
        stubs = open_stubs(self.processes[service].address, self.identities.tokens[principal], options)
        self.opened.append(stubs)
        return getattr(stubs, service.removesuffix("-b"))

    @contextmanager
    def without(self, service: str) -> Iterator[None]:
        """Stop a service as an administrator does, and start it again afterwards."""
        assert self.processes[service].terminate() == 0
        yield
        self.processes[service].start()

    @contextmanager
    def postgres_frozen(self) -> Iterator[None]:
        """Keep PostgreSQL from doing anything, with every connection open."""
        with frozen(working_in(self.data / "postgres")):
            yield

    @contextmanager
    def redis_frozen(self) -> Iterator[None]:
        with frozen([self.stack.redis.process.pid]):
            yield

    async def health(self, service: str, name: str = "") -> Any:
        """Return what a service's process says of itself: a `ServingStatus`, or None when it is not there."""
        async with grpc.aio.insecure_channel(self.processes[service].address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                return (await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=2)).status
            except grpc.aio.AioRpcError:
                return None

    async def all_say(self, status: Any) -> bool:
        return all([await self.health(service) == status for service in self.processes])

    def log_sizes(self) -> dict[str, int]:
        """Return how long each service's log is now."""
        return {name: process.log.stat().st_size for name, process in self.processes.items()}

    def logged(self, service: str, since: int) -> list[dict[str, Any]]:
        """Return the lines that a service has logged since its log had a length. Every one must be JSON."""
        with self.processes[service].log.open("rb") as file:
            file.seek(since)
            return [json.loads(line) for line in file.read().splitlines()]


@contextmanager
def installation(services: Sequence[str] = ALL) -> Iterator[Installation]:
    """Databases and services of the caller's own, all running. The catalog runs twice: `catalog` and `catalog-b`."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-outage-"))
    folder.chmod(0o755)  # the databases run as a user of their own
    # Durable: no kill may take what was acknowledged.
    with EmbeddedStack(folder / "data") as stack:
        endpoints = stack.endpoints
        asyncio.run(migrate(endpoints.database_url))
        identities = Identities.create(folder)
        environment = identities.environment(endpoints.database_url, endpoints.redis_url)
        processes = four_processes(environment, folder)
        first = processes["catalog"]
        second = ServiceProcess("catalog", first.environment, folder / "catalog-b.log", free_port())
        chosen = {name: processes[name] for name in services} | {"catalog-b": second}
        made = Installation(chosen, identities, stack=stack, data=folder / "data")
        try:
            made.start()
            yield made
        finally:
            for process in made.processes.values():
                process.close()
    shutil.rmtree(folder)


async def migrate(database_url: str) -> None:
    for service in ALL:
        await upgrade(database_url, service)


@contextmanager
def frozen(pids: Sequence[int]) -> Iterator[None]:
    """Stop processes where they stand, and let them go on afterwards."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

"""An installation whose databases and services a test may stop, kill and freeze: real processes, all its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.asyncio import Redis

from embedded.support import working_in
from greenroom.catalog.v1.watch_pb2 import CatalogChange
from greenroom.catalog.v1.watch_pb2 import WatchChangesRequest as CatalogWatch
from greenroomd.embedded import EmbeddedStack
from greenroomd.platform.migrations import upgrade
from support.cluster import UNKNOWN, Cluster
from support.processes import ALL, Identities, ServiceProcess, four_processes, free_port
from support.server import open_stubs

POLL_SECONDS = 1.0
"""How often a service looks at its log when nobody rings."""


@dataclass
class Installation(Cluster):
    """A cluster with a second instance of the catalog, and the databases it runs on."""

    stack: EmbeddedStack = field(kw_only=True)
    data: Path = field(kw_only=True)

    def start(self) -> None:
        """Start every service at once."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(ServiceProcess.start, self.processes.values()))

    def stubs(self, service: str, principal: str = "admin") -> Any:
        stubs = open_stubs(self.processes[service].address, self.identities.tokens[principal])
        self.opened.append(stubs)
        return getattr(stubs, service.removesuffix("-b"))

    @contextmanager
    def without(self, *services: str) -> Iterator[None]:
        """Stop services as an administrator does, and start them again afterwards."""
        for service in services:
            assert self.processes[service].terminate() == 0
        yield
        for service in services:
            self.processes[service].start()

    @contextmanager
    def postgres_frozen(self) -> Iterator[None]:
        """Keep PostgreSQL from doing anything, with every connection open."""
        with frozen(lambda: working_in(self.data / "postgres")):
            yield

    @contextmanager
    def redis_frozen(self) -> Iterator[None]:
        with frozen(lambda: [self.stack.redis.process.pid]):
            yield

    def log_of(self, service: str, offset: int = 0) -> list[dict[str, Any]]:
        """Return the lines that a service has logged since its log had `offset` bytes."""
        with self.processes[service].log.open("rb") as file:
            file.seek(offset)
            lines = file.read().decode().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def log_size(self, service: str) -> int:
        return self.processes[service].log.stat().st_size

    async def health(self, service: str, name: str = "") -> Any:
        """Return what a service's process says of itself: a `ServingStatus`, or None when it is not there."""
        async with grpc.aio.insecure_channel(self.processes[service].address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                return (await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=2)).status
            except grpc.aio.AioRpcError:
                return None


@contextmanager
def installation(services: Sequence[str] = ALL) -> Iterator[Installation]:
    """Databases and services of the caller's own, all running. The catalog runs twice: `catalog` and `catalog-b`."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-outage-"))
    folder.chmod(0o755)  # the databases run as a user of their own
    with EmbeddedStack(folder / "data", durable=False) as stack:
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
def frozen(processes: Callable[[], Sequence[int]]) -> Iterator[None]:
    """Stop processes where they stand, and let them go on afterwards."""
    pids = processes()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 10) -> float:
    """Wait until a condition holds and return how many seconds that took."""
    started = time.monotonic()
    while not await condition():
        assert time.monotonic() - started < seconds, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.05)
    return time.monotonic() - started


@dataclass
class Follower:
    """Follows the catalog's log at one instance and, when the stream breaks, goes on from its last token."""

    stub: Any
    changes: list[CatalogChange] = field(default_factory=list)
    arrivals: dict[int, float] = field(default_factory=dict)
    """When each revision came, by `time.monotonic`."""
    codes: list[grpc.StatusCode] = field(default_factory=list)
    """How the streams ended."""
    live: asyncio.Event = field(default_factory=asyncio.Event)
    start: int | None = None

    async def run(self) -> None:
        request = CatalogWatch(bookmark_interval_ms=500)
        if self.start is not None:
            request.after_revision = self.start
        while True:
            try:
                async for response in self.stub.WatchChanges(request):
                    now = time.monotonic()
                    self.changes += response.changes
                    self.arrivals |= {change.metadata.revision: now for change in response.changes}
                    request = CatalogWatch(resume_token=response.resume_token, bookmark_interval_ms=500)
                    self.live.set()
            except grpc.aio.AioRpcError as error:
                assert error.code() in UNKNOWN, error
                self.codes.append(error.code())
            await asyncio.sleep(0.05)

    @property
    def revisions(self) -> list[int]:
        return [change.metadata.revision for change in self.changes]

    async def has(self, revision: int) -> bool:
        return revision in self.arrivals


@contextmanager
def following(*followers: Follower) -> Iterator[None]:
    tasks = [asyncio.create_task(follower.run()) for follower in followers]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()


@dataclass
class Subscriber:
    """Hears what is published on the catalog's channels, as a program outside of Greenroom would."""

    redis_url: str
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Channel and CloudEvent, in the order of arrival."""
    live: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        async with Redis.from_url(self.redis_url) as redis, redis.pubsub() as pubsub:
            await pubsub.psubscribe("greenroom.catalog.*")
            self.live.set()
            async for message in pubsub.listen():
                if message["type"] == "pmessage":
                    self.heard.append((message["channel"].decode(), json.loads(message["data"])))

    @property
    def revisions(self) -> list[int]:
        """Revisions in the order in which each was heard first."""
        return list(dict.fromkeys(int(event["revision"]) for _, event in self.heard))

    @property
    def repeated(self) -> int:
        """How many messages were heard that had been heard before."""
        return len(self.heard) - len({event["id"] for _, event in self.heard})

    async def has(self, revision: int) -> bool:
        return revision in self.revisions


@contextmanager
def listening(subscriber: Subscriber) -> Iterator[Subscriber]:
    task = asyncio.create_task(subscriber.run())
    try:
        yield subscriber
    finally:
        task.cancel()

"""What is measured: durable databases, real server processes, a namespace with content, and the reference server."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio

import greenroom
from bench.measure import cpu_seconds
from greenroom.catalog.v1 import catalog_service_pb2 as catalog_pb
from greenroom.catalog.v1.facts_pb2 import Dataset, Facts
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.version_pb2 import Version
from greenroomd.embedded import EmbeddedStack
from greenroomd.platform.database import role_of
from greenroomd.platform.migrations import upgrade
from support.processes import Identities, ServiceProcess, free_port
from support.server import Stubs, open_stubs

NAMESPACE = "namespaces/bench"
MODEL = f"{NAMESPACE}/models/digits"
VERSIONS = 200
"""Versions of the model: two pages of a list."""

REFERENCE_DATABASE = "reference"


@dataclass
class Installation:
    """Everything that runs while a benchmark does."""

    folder: Path
    stack: EmbeddedStack
    server: ServiceProcess
    lifecycle: ServiceProcess
    """A second lifecycle on the same database: what it knows of the first one's commits it hears through Redis."""
    identities: Identities
    large_file: int
    """Size of the file to transfer, in bytes."""
    digest: str = ""
    """Digest of the artifact that every version has."""
    opened: list[Stubs] = field(default_factory=list)
    _reference: subprocess.Popen[bytes] | None = None

    @property
    def token(self) -> str:
        return self.identities.tokens["admin"]

    @property
    def pid(self) -> int:
        assert self.server.process is not None
        return self.server.process.pid

    async def quiet(self) -> None:
        """Wait until the servers have nothing left to do, such as publishing and indexing what was just written."""
        pids = [process.process.pid for process in (self.server, self.lifecycle) if process.process is not None]
        async with asyncio.timeout(60):
            while True:
                before = sum(map(cpu_seconds, pids))
                await asyncio.sleep(0.3)
                if sum(map(cpu_seconds, pids)) - before < 0.03:
                    return

    def stubs(self, process: ServiceProcess | None = None) -> Stubs:
        """Return stubs as an administrator."""
        stubs = open_stubs((process or self.server).address, self.token)
        self.opened.append(stubs)
        return stubs

    def client(self) -> greenroom.AsyncClient:
        return greenroom.connect_async(self.server.address, self.token)

    async def asyncpg_pool(self, service: str, *, database: str = REFERENCE_DATABASE, size: int = 16) -> asyncpg.Pool:
        """Return connections as that service has them, without its code."""
        url = database_url(self.stack, database).replace("+asyncpg", "")
        settings = {"search_path": service, "role": role_of(service)}
        return await asyncpg.create_pool(url, min_size=size, max_size=size, server_settings=settings)

    async def start_reference(self, answers: dict[str, bytes]) -> tuple[str, int]:
        """Start the server that does nothing; return its address and process id.

        Args:
            answers: serialised answer by path of the method.
        """
        self.stop_reference()
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        for path, answer in answers.items():
            (folder / path.strip("/").replace("/", "~")).write_bytes(answer)
        port = free_port()
        self._reference = start_reference_server(port, folder)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, asyncio.timeout(30):
            await channel.channel_ready()
        return f"127.0.0.1:{port}", self._reference.pid

    def stop_reference(self) -> None:
        if self._reference is not None:
            self._reference.kill()
            self._reference.wait()
            self._reference = None


def start_reference_server(port: int, answers: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bench.reference_server", str(port), str(answers)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})


def database_url(stack: EmbeddedStack, database: str) -> str:
    return stack.endpoints.database_url.replace("/greenroom?", f"/{database}?")


@asynccontextmanager
async def installation(large_file: int) -> AsyncIterator[Installation]:
    """Start everything, and end it."""
    folder = passable_folder()
    stack = EmbeddedStack(folder / "data", durable=True)
    processes: list[ServiceProcess] = []
    made: Installation | None = None
    try:
        await asyncio.to_thread(stack.start)
        await create_reference_database(stack)
        for service in ("artifact", "catalog", "lifecycle", "search"):
            await upgrade(stack.endpoints.database_url, service)
        identities = Identities.create(folder)
        environment = identities.environment(stack.endpoints.database_url, stack.endpoints.redis_url)
        server = ServiceProcess("all", environment, folder / "server.log")
        others = {f"GREENROOM_{name}_ADDRESS": server.address for name in ("ARTIFACT", "CATALOG", "SEARCH")}
        lifecycle = ServiceProcess("lifecycle", {**environment, **others}, folder / "lifecycle.log")
        processes = [server, lifecycle]
        for process in processes:
            await asyncio.to_thread(process.start)
        made = Installation(folder, stack, server, lifecycle, identities, large_file)
        await fill(made)
        yield made
    finally:
        if made is not None:
            made.stop_reference()
            for stubs in made.opened:
                await stubs.channel.close()
        for process in processes:
            process.close()
        await asyncio.to_thread(stack.stop)
        shutil.rmtree(folder, ignore_errors=True)


def passable_folder() -> Path:
    """Make a folder that the databases' user can pass through, who is another than root."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-bench-"))
    folder.chmod(0o755)
    return folder


async def create_reference_database(stack: EmbeddedStack) -> None:
    """Make a database with the same tables, for writes by hand: the servers know nothing of it."""
    connection = await asyncpg.connect(stack.endpoints.database_url.replace("+asyncpg", ""))
    await connection.execute(f"CREATE DATABASE {REFERENCE_DATABASE}")
    await connection.close()
    for service in ("catalog", "lifecycle"):
        await upgrade(database_url(stack, REFERENCE_DATABASE), service)


async def fill(made: Installation) -> None:
    """Create a model whose versions have what versions have, and bring the newest to production."""
    weights = made.folder / "weights.bin"
    weights.write_bytes(os.urandom(1024))
    facts = Facts(framework="scikit-learn", framework_version="1.7.2", task="image-classification")
    datasets = [Dataset(name="digits", digest="sha256:" + "a" * 64)]
    async with made.client() as client:
        first = await client.push(
            "bench/digits",
            weights,
            metrics={"accuracy": 0.97, "f1@digits": 0.96, "latency_p99_ms": 1.7},
            params={"C": 0.1, "solver": "lbfgs", "max_iter": 200, "fit_intercept": True},
            datasets=datasets,
            facts=facts,
            tags={"team": "vision", "owner": "someone@example.com"},
            description="Logistic regression on 8 by 8 images of digits, trained on the whole data set.",
        )
        made.digest = first.artifact_digest
        names = await create_versions(made, MODEL, VERSIONS - 1, first)
        for stage in ("staging", "production"):
            await client.request_transition(names[-1], stage)
    await made.quiet()


async def create_versions(made: Installation, model: str, count: int, like: Version | None = None) -> list[str]:
    """Create versions of a model, which is created too when it is another than MODEL; return their names."""
    catalog = made.stubs().catalog
    if model != MODEL:
        await catalog.CreateModel(catalog_pb.CreateModelRequest(model=Model(name=model)))
    version = Version(artifact_digest=made.digest)
    if like is not None:
        version = Version(artifact_digest=made.digest, facts=like.facts, description=like.description, tags=like.tags)
    request = catalog_pb.CreateVersionRequest(parent=model, version=version, allow_duplicate_artifact=True)
    return [(await catalog.CreateVersion(request)).version.name for _ in range(count)]


async def in_parallel(work: Sequence[Any]) -> None:
    """Await a few calls at a time."""
    for start in range(0, len(work), 8):
        await asyncio.gather(*work[start : start + 8])

"""The four services as four processes, and clients that go on through their deaths."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio

from conftest import execute, url_of
from greenroomd.embedded import Endpoints
from support.processes import Identities, ServiceProcess, four_processes
from support.server import Stubs, open_stubs

UNKNOWN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
}
"""Codes after which a client does not know whether its write happened."""


@dataclass
class Cluster:
    """Four processes on one database."""

    processes: dict[str, ServiceProcess]
    identities: Identities
    opened: list[Stubs] = field(default_factory=list)

    def start(self) -> None:
        for process in self.processes.values():
            process.start()

    def stubs(self, service: str, principal: str = "admin") -> Any:
        """Return a stub of one service; `close` closes its channel."""
        stubs = open_stubs(self.processes[service].address, self.identities.tokens[principal])
        self.opened.append(stubs)
        return getattr(stubs, service)

    async def close(self) -> None:
        """Close the channels of the running event loop."""
        while self.opened:
            await self.opened.pop().channel.close()


@contextmanager
def cluster(embedded: Endpoints, template: str) -> Iterator[Cluster]:
    """A cluster on a database of its own, started and later killed."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-cluster-"))
    database = f"cluster_{uuid4().hex}"
    asyncio.run(execute(embedded, f"CREATE DATABASE {database} TEMPLATE {template} STRATEGY file_copy"))
    identities = Identities.create(folder)
    environment = identities.environment(url_of(embedded, database), embedded.redis_url)
    made = Cluster(four_processes(environment, folder), identities)
    try:
        made.start()
        yield made
    finally:
        for process in made.processes.values():
            process.close()
        asyncio.run(execute(embedded, f"DROP DATABASE {database} WITH (FORCE)"))
        shutil.rmtree(folder)


async def until_known(method: Callable[..., Awaitable[Any]], request: Any, timeout: float = 5) -> Any:
    """Repeat a call until its outcome is known. The request must carry a request id, or only read."""
    while True:
        try:
            return await method(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() not in UNKNOWN:
                raise
            await asyncio.sleep(0.1)

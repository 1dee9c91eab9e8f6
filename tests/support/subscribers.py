"""Who follows the catalog's changes: over gRPC from one instance, and over Redis from outside."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from greenroom.catalog.v1.watch_pb2 import CatalogChange, WatchChangesRequest
from support.cluster import UNKNOWN


@dataclass
class Follower:
    """Follows the catalog's log at one instance; when the stream breaks it goes on from its last token."""

    stub: Any
    changes: list[CatalogChange] = field(default_factory=list)
    arrivals: dict[int, float] = field(default_factory=dict)
    """When each revision came, by `time.monotonic`."""
    codes: list[grpc.StatusCode] = field(default_factory=list)
    """How streams ended."""
    live: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        request = WatchChangesRequest(bookmark_interval_ms=500)
        while True:
            try:
                async for response in self.stub.WatchChanges(request):
                    now = time.monotonic()
                    self.changes += response.changes
                    self.arrivals |= {change.metadata.revision: now for change in response.changes}
                    request = WatchChangesRequest(resume_token=response.resume_token, bookmark_interval_ms=500)
                    self.live.set()
            except grpc.aio.AioRpcError as error:
                assert error.code() in UNKNOWN, error
                self.codes.append(error.code())
            await asyncio.sleep(0.05)

    @property
    def revisions(self) -> list[int]:
        return [change.metadata.revision for change in self.changes]

    async def until(self, revision: int, seconds: float) -> float:
        """Wait for a revision and return how many seconds that took."""

        async def here() -> bool:
            return revision in self.arrivals

        return await eventually(here, f"revision {revision}, after {self.revisions[-1:]}", seconds)


@dataclass
class Subscriber:
    """Hears what is published on the catalog's channels, as a program outside of Greenroom would."""

    redis_url: str
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Channel and CloudEvent, in the order of arrival."""
    live: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Listen until Redis goes away."""
        async with Redis.from_url(self.redis_url) as redis, redis.pubsub() as pubsub:
            await pubsub.psubscribe("greenroom.catalog.*")
            try:
                async for message in pubsub.listen():
                    if message["type"] == "psubscribe":
                        self.live.set()
                    elif message["type"] == "pmessage":
                        self.heard.append((message["channel"].decode(), json.loads(message["data"])))
            except RedisConnectionError:
                return

    @property
    def revisions(self) -> list[int]:
        """Revisions in the order in which each was heard first."""
        return list(dict.fromkeys(int(event["revision"]) for _, event in self.heard))

    @property
    def repeated(self) -> int:
        """How many messages were copies of earlier ones. Fails when two with one id differ."""
        by_id: dict[str, dict[str, Any]] = {}
        for _, event in self.heard:
            assert by_id.setdefault(event["id"], event) == event
        return len(self.heard) - len(by_id)

    async def until(self, revision: int, seconds: float) -> float:
        async def here() -> bool:
            return revision in self.revisions

        return await eventually(here, f"revision {revision} on its channel, after {self.revisions[-1:]}", seconds)

    async def until_resource(self, name: str, seconds: float) -> float:
        async def here() -> bool:
            return any(event["subject"] == name for _, event in self.heard)

        return await eventually(here, f"a change of {name} on its channel", seconds)


@asynccontextmanager
async def attached(*parties: Follower | Subscriber) -> AsyncIterator[None]:
    """Run followers and subscribers while the block does, which starts when all of them hear."""
    tasks = [asyncio.create_task(party.run()) for party in parties]
    try:
        async with asyncio.timeout(20):
            for party in parties:
                await party.live.wait()
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 10) -> float:
    """Wait until a condition holds and return how many seconds that took."""
    started = time.monotonic()
    while not await condition():
        assert time.monotonic() - started < seconds, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.02)
    return time.monotonic() - started

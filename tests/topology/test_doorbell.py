"""Two instances of the catalog and Redis between them: who hears what, in which order, whatever happens to either."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from redis.asyncio import Redis

from greenroom._connection import channel_options
from greenroom.catalog.v1 import catalog_service_pb2 as catalog
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from support.outages import Installation, installation
from support.server import open_stubs
from support.subscribers import Follower, Subscriber, attached

TEAMS = ("namespaces/red", "namespaces/blue")
CHANNELS = {"greenroom.catalog.red", "greenroom.catalog.blue"}
POLL_SECONDS = 1.0
"""How often an instance looks at its log when nobody rings."""
LATE = POLL_SECONDS + 1.0
"""Seconds after which a change must have come without Redis: the poll, and what a busy machine adds."""
GRACE_SECONDS = 10.0

numbers = count()


@pytest.fixture(scope="module")
def installed() -> Iterator[Installation]:
    """Two catalogs, and neither of the other services: nothing here needs them."""

    async def fill(made: Installation) -> None:
        for team in TEAMS:
            await made.stubs("catalog").CreateNamespace(
                catalog.CreateNamespaceRequest(namespace=Namespace(name=team)), timeout=5
            )
        await made.close()
        while await published(made) < len(TEAMS):  # no test must hear of the namespaces
            await asyncio.sleep(0.05)

    with installation(["catalog"]) as made:
        asyncio.run(fill(made))
        yield made


@pytest.fixture
async def running(installed: Installation) -> AsyncIterator[Installation]:
    yield installed
    await installed.close()


def new_model() -> catalog.CreateModelRequest:
    number = next(numbers)
    return catalog.CreateModelRequest(
        model=Model(name=f"{TEAMS[number % 2]}/models/m{number}"), request_id=str(uuid4())
    )


async def write(stubs: Sequence[Any], writes: int, *, pause: float = 0.0) -> dict[int, float]:
    """Create models through each of the stubs in turn; return when each revision was acknowledged."""
    acknowledged = {}
    for stub, _ in zip(cycle(stubs), range(writes), strict=False):
        answer = await stub.CreateModel(new_model(), timeout=2)
        acknowledged[answer.revision] = time.monotonic()
        await asyncio.sleep(pause)
    return acknowledged


async def write_at_once(stubs: Sequence[Any], writers: int, writes: int) -> list[int]:
    """Let writers work side by side; return the revisions they made, all of them following one another."""
    done = await asyncio.gather(*(write([*stubs[n % len(stubs) :], *stubs], writes) for n in range(writers)))
    revisions = sorted(revision for acknowledged in done for revision in acknowledged)
    assert revisions == list(range(revisions[0], revisions[0] + writers * writes))
    return revisions


@asynccontextmanager
async def publishing_held(running: Installation) -> AsyncIterator[int]:
    """Keep everybody from publishing, so that a subscriber can be there before the next message; yield the last one's
    revision."""
    connection = await asyncpg.connect(running.stack.endpoints.database_url.replace("+asyncpg", ""))
    async with connection.transaction():
        yield await connection.fetchval("SELECT revision FROM catalog.log_published FOR UPDATE")
    await connection.close()


async def published(running: Installation) -> int:
    async with publishing_held(running) as revision:
        return revision


def check_events(subscriber: Subscriber) -> None:
    """What was heard must be CloudEvents on the channel of the namespace that each is about."""
    assert {channel for channel, _ in subscriber.heard} <= CHANNELS
    for channel, event in subscriber.heard:
        assert event["specversion"] == "1.0"
        assert event["type"] == "greenroom.catalog.model.created"
        assert event["source"].endswith("/catalog")
        assert event["subject"].startswith(f"namespaces/{channel.rsplit('.', 1)[1]}/models/")
        assert event["data"]["metadata"]["revision"] == event["revision"]
        assert event["data"]["after"]["model"]["name"] == event["subject"]


def both(running: Installation) -> list[Any]:
    return [running.stubs("catalog"), running.stubs("catalog-b")]


def followers_of(running: Installation) -> list[Follower]:
    return [Follower(stub) for stub in both(running)]


async def test_instances_hear_of_each_other_at_once_in_order_and_once(running: Installation) -> None:
    followers = followers_of(running)
    subscriber = Subscriber(running.stack.endpoints.redis_url)
    parties: list[Follower | Subscriber] = [*followers, subscriber]
    async with attached(*parties):
        stubs = both(running)
        slow = await write(stubs, 20, pause=0.02)
        revisions = list(slow) + await write_at_once(stubs, writers=8, writes=15)
        for party in parties:
            await party.until(revisions[-1], LATE)
        delays = [follower.arrivals[at] - slow[at] for follower in followers for at in slow]
        await asyncio.sleep(POLL_SECONDS)  # a second copy would come with the next look
    for party in parties:
        assert party.revisions == revisions
    assert subscriber.repeated == 0
    assert {channel for channel, _ in subscriber.heard} == CHANNELS
    check_events(subscriber)
    print(f"commit to watch, two instances: median {statistics.median(delays) * 1000:.1f} ms, {max(delays):.3f} s most")
    assert statistics.median(delays) < POLL_SECONDS / 10


async def test_a_read_through_one_instance_sees_the_write_through_the_other(running: Installation) -> None:
    first, second = both(running)
    for writer, reader in [(first, second), (second, first)] * 25:
        written = await writer.CreateModel(new_model())
        request = catalog.GetModelRequest(name=written.model.name, min_revision=written.revision)
        assert (await reader.GetModel(request)).model == written.model


@asynccontextmanager
async def redis_stopped(running: Installation) -> AsyncIterator[None]:
    await asyncio.to_thread(running.stack.stop_redis)
    yield
    await asyncio.to_thread(running.stack.start_redis)


@asynccontextmanager
async def redis_killed(running: Installation) -> AsyncIterator[None]:
    running.stack.redis.process.kill()
    running.stack.redis.process.wait()
    yield
    await asyncio.to_thread(running.stack.start_redis)


@asynccontextmanager
async def redis_frozen(running: Installation) -> AsyncIterator[None]:
    with running.redis_frozen():
        yield


@pytest.mark.parametrize("away", [redis_stopped, redis_killed, redis_frozen])
async def test_while_redis_is_away_writes_succeed_and_watches_poll(running: Installation, away: Any) -> None:
    followers = followers_of(running)
    url = running.stack.endpoints.redis_url
    before, after = Subscriber(url), Subscriber(url)
    stubs = both(running)
    async with attached(*followers, before):
        revisions = list(await write(stubs, 10))
        await before.until(revisions[-1], LATE)
        async with away(running):
            meanwhile = await write(stubs, 10, pause=0.25)
            for follower in followers:
                await follower.until(max(meanwhile), LATE)
            assert max(f.arrivals[at] - meanwhile[at] for f in followers for at in meanwhile) < LATE
            revisions += meanwhile
            await asyncio.sleep(1)
            held = publishing_held(running)
            await held.__aenter__()
        started = time.monotonic()
        async with attached(after):
            await held.__aexit__(None, None, None)
            revisions += await write(stubs, 10)
            await after.until(revisions[-1], 8)
            print(f"{away.__name__}: all was published {time.monotonic() - started:.2f} s after Redis was back")
        for follower in followers:
            await follower.until(revisions[-1], LATE)
    for follower in followers:
        assert follower.revisions == revisions
        assert not follower.codes
    # One that stayed connected, or two before and after: together they heard everything, in order.
    heard = Subscriber("", heard=before.heard if away is redis_frozen else before.heard + after.heard)
    assert heard.revisions == revisions
    assert heard.repeated <= len(meanwhile) * 2
    check_events(heard)


async def test_redis_away_when_a_service_starts(running: Installation) -> None:
    url = running.stack.endpoints.redis_url
    async with redis_stopped(running):
        assert await asyncio.to_thread(running.processes["catalog-b"].terminate) == 0
        await asyncio.to_thread(running.processes["catalog-b"].start)
        followers = followers_of(running)
        async with attached(*followers):
            acknowledged = await write(both(running), 10, pause=0.1)
            for follower in followers:
                await follower.until(max(acknowledged), LATE)
                assert follower.revisions == list(acknowledged)
        held = publishing_held(running)
        await held.__aenter__()
    subscriber = Subscriber(url)
    async with attached(subscriber):
        await held.__aexit__(None, None, None)
        await subscriber.until(max(acknowledged), 8)
    assert subscriber.revisions == list(acknowledged)
    check_events(subscriber)
    # The doorbell of the instance that started without it works too.
    follower = Follower(running.stubs("catalog-b"))
    async with attached(follower):
        acknowledged = await write([running.stubs("catalog")], 10, pause=0.05)
        await follower.until(max(acknowledged), LATE)
    assert statistics.median(follower.arrivals[at] - acknowledged[at] for at in acknowledged) < POLL_SECONDS / 4


async def test_flushall_changes_nothing(running: Installation) -> None:
    followers = followers_of(running)
    subscriber = Subscriber(running.stack.endpoints.redis_url)
    parties: list[Follower | Subscriber] = [*followers, subscriber]
    async with attached(*parties), Redis.from_url(running.stack.endpoints.redis_url) as redis:
        writing = asyncio.create_task(write_at_once(both(running), writers=4, writes=25))
        while not writing.done():
            await redis.flushall()
            await asyncio.sleep(0.02)
        revisions = writing.result()
        for party in parties:
            await party.until(revisions[-1], LATE)
    for party in parties:
        assert party.revisions == revisions
    assert subscriber.repeated == 0


async def test_a_service_killed_between_commit_and_publish_loses_nothing(running: Installation) -> None:
    subscriber = Subscriber(running.stack.endpoints.redis_url)
    async with attached(subscriber):
        with running.redis_frozen():
            # Sent one after the other: what follows the first is in no buffer of Redis's either.
            acknowledged = await write([running.stubs("catalog")], 6, pause=0.05)
            for process in running.processes.values():
                process.kill()
        await asyncio.sleep(0.2)
        assert max(acknowledged) not in subscriber.revisions
        await asyncio.to_thread(running.start)
        seconds = await subscriber.until(max(acknowledged), 5)
        print(f"what a killed service left was published {seconds:.2f} s after another one served")
    assert subscriber.revisions == list(acknowledged)
    check_events(subscriber)


@dataclass
class Load:
    """Clients of both instances that repeat nothing themselves: gRPC does, by the SDK's service config."""

    running: Installation
    acknowledged: list[int] = field(default_factory=list)
    reads: int = 0
    slowest: float = 0

    async def run(self) -> None:
        addresses = ",".join(process.address for process in self.running.processes.values())
        options = [*channel_options(), ("grpc.use_local_subchannel_pool", 1)]
        stubs = open_stubs(f"ipv4:{addresses}", self.running.identities.tokens["admin"], options)
        async with stubs.channel:
            while True:
                written = await self._timed(stubs.catalog.CreateModel(new_model(), timeout=10))
                self.acknowledged.append(written.revision)
                request = catalog.GetModelRequest(name=written.model.name, min_revision=written.revision)
                await self._timed(stubs.catalog.GetModel(request, timeout=10))
                self.reads += 1

    async def _timed(self, call: Awaitable[Any]) -> Any:
        started = time.monotonic()
        answer = await call
        self.slowest = max(self.slowest, time.monotonic() - started)
        return answer


async def test_a_rolling_restart_under_load_fails_no_call(running: Installation) -> None:
    load = Load(running)
    followers = followers_of(running)
    endings = []
    async with attached(*followers):
        clients = [asyncio.create_task(load.run()) for _ in range(8)]
        await asyncio.sleep(0.7)
        for process in running.processes.values():
            started = time.monotonic()
            assert await asyncio.to_thread(process.terminate) == 0
            endings.append(time.monotonic() - started)
            await asyncio.to_thread(process.start)
            await asyncio.sleep(0.3)
        assert [client.exception() for client in clients if client.done()] == []
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        for follower in followers:
            await follower.until(max(load.acknowledged), 5)
    print(f"{len(load.acknowledged)} writes, {load.reads} reads, slowest {load.slowest:.2f} s, endings {endings}")
    assert max(endings) < GRACE_SECONDS
    assert len(set(load.acknowledged)) == len(load.acknowledged)
    for follower in followers:
        assert follower.codes
        assert follower.revisions == list(range(follower.revisions[0], follower.revisions[-1] + 1))
        assert set(load.acknowledged) <= set(follower.revisions)

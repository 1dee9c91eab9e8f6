"""How fast a promotion is in a watcher's hand, and how fast the log is read again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
from redis.asyncio import Redis

from bench.installation import NAMESPACE, Installation, create_versions, in_parallel
from bench.measure import Line, elapsed, in_turns, percentile
from greenroom.lifecycle.v1.lifecycle_service_pb2 import RequestTransitionRequest
from greenroom.lifecycle.v1.watch_pb2 import WatchChangesRequest
from greenroom.type.v1.change_pb2 import WatchFilter

PROMOTIONS = 200
WITHOUT_REDIS = 12
EVENT = bytes(1500)
"""About as long as the CloudEvents document of a promotion."""

POLL_INTERVAL_MS = 1000.0
REPLAYED = 10_000
PAGE = 500


async def promotions(made: Installation) -> list[Line]:
    """Promotions one by one, seen by a watcher of the process that commits and by one of another process.

    From the time in the change, which lies before its COMMIT and fsync, to the event in the client's hand. A bare
    Redis message takes its turn with each.
    """
    model = f"{NAMESPACE}/models/promoted"
    versions = await create_versions(made, model, PROMOTIONS + WITHOUT_REDIS)
    lifecycle = made.stubs().lifecycle

    def move(version: str, stage: str) -> Any:
        request = RequestTransitionRequest(parent=NAMESPACE, versions=[version], target_stage=stage)
        return lifecycle.RequestTransition(request)

    await in_parallel([move(version, "staging") for version in versions])
    near: list[float] = []
    far: list[float] = []
    bare: list[float] = []
    async with watching(lifecycle) as here, watching(made.stubs(made.lifecycle).lifecycle) as there:
        async with bare_redis(made.stack.endpoints.redis_url) as message:
            for version in versions[:PROMOTIONS]:
                await move(version, "production")
                near.append(await here.get())
                far.append(await there.get())
                bare.append(await message())
                await asyncio.sleep(0.005)
        alone: list[float] = []
        await asyncio.to_thread(made.stack.stop_redis)
        try:
            for version in versions[PROMOTIONS:]:
                await asyncio.sleep(random.random())  # so that they do not come in step with the polls
                await move(version, "production")
                alone.append(await there.get())
        finally:
            await asyncio.to_thread(made.stack.start_redis)
    redis = "a bare Redis publish → subscribe"
    lines = [
        Line(f"promotion → watcher of {where}: p{percent}", "ms", percentile(ours, percent), base, redis)
        for where, ours in (("the same process", near), ("another process", far))
        for percent in (50, 99)
        for base in (percentile(bare, percent),)
    ]
    poll = "the poll interval"
    lines.append(
        Line("the same without Redis, another process: p50", "ms", percentile(alone, 50), POLL_INTERVAL_MS, poll)
    )
    lines.append(Line("the same without Redis, another process: most", "ms", max(alone), POLL_INTERVAL_MS, poll))
    return lines


@asynccontextmanager
async def watching(stub: Any) -> AsyncIterator[asyncio.Queue[float]]:
    """Watch completed transitions; the queue gets how many milliseconds old each was when it arrived."""
    ages: asyncio.Queue[float] = asyncio.Queue()
    accepted = asyncio.Event()

    async def read() -> None:
        request = WatchChangesRequest(filter=WatchFilter(types=["transition.completed"]))
        async for response in stub.WatchChanges(request):
            now = time.time_ns()
            accepted.set()
            for change in response.changes:
                ages.put_nowait((now - change.metadata.time.ToNanoseconds()) / 1e6)

    reading = asyncio.create_task(read())
    try:
        await accepted.wait()
        yield ages
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@asynccontextmanager
async def bare_redis(url: str) -> AsyncIterator[Any]:
    """Give a function that sends one message and returns how many milliseconds it took."""
    publisher, subscriber = Redis.from_url(url), Redis.from_url(url)
    async with subscriber.pubsub() as pubsub:
        await pubsub.subscribe("bench")
        await pubsub.get_message(timeout=5)
        arrivals: asyncio.Queue[int] = asyncio.Queue()

        async def listen() -> None:
            async for _ in pubsub.listen():
                arrivals.put_nowait(time.time_ns())

        listening = asyncio.create_task(listen())

        async def message() -> float:
            sent = time.time_ns()
            await publisher.publish("bench", EVENT)
            return (await arrivals.get() - sent) / 1e6

        try:
            yield message
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await publisher.aclose()
            await subscriber.aclose()


async def replay(made: Installation) -> list[Line]:
    """The lifecycle's log from zero, by a process that has none of it in memory."""
    async with await made.asyncpg_pool("lifecycle", database="greenroom", size=1) as pool:
        length = await lengthen_log(pool)
        await asyncio.sleep(1)  # until the sweep of the publisher, which then sends them
        await made.quiet()
        lifecycle = made.stubs(made.lifecycle).lifecycle

        async def ours() -> Sequence[float]:
            started = time.perf_counter()
            seen = 0
            call = lifecycle.WatchChanges(WatchChangesRequest(after_revision=0))
            async for response in call:
                seen += len(response.changes)
                if seen >= length:
                    break
            call.cancel()
            return (seen / elapsed(started),)

        async def reference() -> Sequence[float]:
            started = time.perf_counter()
            seen = 0
            query = "SELECT * FROM changes WHERE revision > $1 ORDER BY revision LIMIT $2"
            while seen < length and (rows := await pool.fetch(query, seen, PAGE)):
                seen += len(rows)
            return (seen / elapsed(started),)

        await ours()
        (rates,) = await in_turns(ours, reference)
    what = f"replay of the log from zero, {length:,} events"
    return [Line(what, "events/s", *rates, f"the same rows read with asyncpg, {PAGE} at a time")]


async def lengthen_log(pool: asyncpg.Pool) -> int:
    """Append copies of the newest promotion, through the log's own function; return how long the log is now."""
    newest = await pool.fetchrow(
        "SELECT * FROM changes WHERE type = 'transition.completed' ORDER BY revision DESC LIMIT 1"
    )
    related = "\n".join(newest["related"])
    for _ in range(0, REPLAYED, PAGE):
        ids = [uuid4() for _ in range(PAGE)]
        columns = ([newest[column]] * PAGE for column in ("type", "resource"))
        rest = ([newest[column]] * PAGE for column in ("namespace", "before", "after"))
        await pool.execute(
            "SELECT append_changes($1, $2, $3, $4, $5, $6, $7, 'admin', 'user', '', '', $8, '')",
            *(ids, *columns, [related] * PAGE, *rest, newest["method"]),
        )
    length: int = await pool.fetchval("SELECT revision FROM log_head")
    return length

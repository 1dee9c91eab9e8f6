"""The stream itself, in one process: transactions, tokens, bookmarks, and what happens at the edges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import uuid4

import pytest

from greenroomd.platform.changelog import token
from greenroomd.platform.changelog.feed import ChangeFeed
from greenroomd.platform.changelog.log import ChangeLog
from greenroomd.platform.changelog.watch import BYTES_PER_MESSAGE, Batch, Filter, Start, Watcher
from greenroomd.platform.errors import InvalidArgument, OutOfRange
from support.notes import write


@pytest.fixture
async def feed(log: ChangeLog) -> AsyncIterator[ChangeFeed]:
    feed = ChangeFeed(log, poll_interval=0.05, capacity=16)
    running = asyncio.create_task(feed.run())
    yield feed
    running.cancel()


async def collect(watcher: Watcher, start: Start, through: int, filter: Filter | None = None) -> list[Batch]:
    """Return the batches of a stream until it has passed a revision."""
    batches = []
    async with asyncio.timeout(10), aclosing(watcher.stream(start, filter or Filter(), 0.1)) as stream:
        async for batch in stream:
            batches.append(batch)
            if batch.through_revision >= through:
                break
    return batches


async def test_a_transaction_arrives_in_one_message_from_the_log_and_from_memory(
    log: ChangeLog, feed: ChangeFeed
) -> None:
    watcher = Watcher(log, feed)
    big = "x" * (BYTES_PER_MESSAGE // 3)
    sizes = [1, 5, 30, 2, 7]
    live = asyncio.create_task(collect(watcher, Start(after_revision=0), sum(sizes)))
    await asyncio.sleep(0.05)
    for size in sizes:
        await write(log, *(big if size == 7 else "small" for _ in range(size)))
    replay = await collect(watcher, Start(after_revision=0), sum(sizes))
    for batches in (await live, replay):
        assert [c.revision for b in batches for c in b.changes] == list(range(1, sum(sizes) + 1))
        for batch in batches:
            assert not batch.changes or batch.changes[-1].revision == batch.changes[-1].transaction_last_revision


async def test_large_changes_are_spread_over_messages_that_grpc_accepts(log: ChangeLog, feed: ChangeFeed) -> None:
    for _ in range(6):
        await write(log, "x" * (BYTES_PER_MESSAGE // 2))
    batches = await collect(Watcher(log, feed), Start(after_revision=0), 6)
    assert max(len(batch.changes) for batch in batches) <= 2


async def test_a_filter_delivers_the_matching_part_of_a_transaction(log: ChangeLog, feed: ChangeFeed) -> None:
    await write(log, "1", "2", namespace="red")
    await write(log, "3", namespace="blue")
    batches = await collect(Watcher(log, feed), Start(after_revision=0), 3, Filter(resources=("namespaces/blue",)))
    assert [change.revision for batch in batches for change in batch.changes] == [3]
    assert batches[-1].through_revision == 3


@pytest.mark.parametrize(
    ("filter", "matches"),
    [
        (Filter(types=("namespace.created",)), True),
        (Filter(types=("namespace.*",)), True),
        (Filter(types=("name.*", "model.created")), False),
        (Filter(resources=("namespaces/demo",)), True),
        (Filter(resources=("namespaces/dem",)), False),
        (Filter(resources=("namespaces/demo",), types=("model.*",)), False),
    ],
)
async def test_filters(log: ChangeLog, filter: Filter, matches: bool) -> None:
    await write(log, "1")
    (change,) = await log.read_after(0)
    assert filter.matches(change) is matches


async def test_an_idle_stream_sends_bookmarks(log: ChangeLog, feed: ChangeFeed) -> None:
    revision = await write(log, "1")
    async with asyncio.timeout(5), aclosing(Watcher(log, feed).stream(Start(), Filter(), 0.05)) as stream:
        batches = [await anext(stream) for _ in range(4)]
    assert [(batch.through_revision, list(batch.changes)) for batch in batches] == [(revision, [])] * 4


async def test_a_stream_without_a_start_begins_with_the_next_change(log: ChangeLog, feed: ChangeFeed) -> None:
    await write(log, "before")
    async with asyncio.timeout(5), aclosing(Watcher(log, feed).stream(Start(), Filter(), 10)) as stream:
        await anext(stream)
        await write(log, "after")
        batch = await anext(stream)
    assert [change.revision for change in batch.changes] == [2]


async def test_a_reader_far_behind_memory_misses_nothing(log: ChangeLog, feed: ChangeFeed) -> None:
    async with asyncio.timeout(20), aclosing(Watcher(log, feed).stream(Start(), Filter(), 10)) as slow:
        await anext(slow)
        for _ in range(50):
            await write(log, "x")
        received: list[int] = []
        while len(received) < 50:
            received += [change.revision for change in (await anext(slow)).changes]
    assert received == list(range(1, 51))


async def test_commits_of_another_process_are_found_by_polling(log: ChangeLog, feed: ChangeFeed) -> None:
    another_process = ChangeLog(log.database, log._encode)
    live = asyncio.create_task(collect(Watcher(log, feed), Start(after_revision=0), 1))
    await asyncio.sleep(0.1)
    await write(another_process, "elsewhere")
    assert [change.revision for batch in await live for change in batch.changes] == [1]


async def test_a_position_beyond_the_log_is_refused(log: ChangeLog, feed: ChangeFeed) -> None:
    await write(log, "1")
    ahead = token.encode(await log.log_id(), 7)
    for start in (Start(after_revision=2), Start(resume_token=ahead)):
        with pytest.raises(OutOfRange) as refused:
            await collect(Watcher(log, feed), start, 1)
        assert refused.value.reason == "WATCH_POSITION_AHEAD"
        assert refused.value.metadata["revision"] == "1"


async def test_a_token_of_another_log_is_refused(log: ChangeLog, feed: ChangeFeed) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await collect(Watcher(log, feed), Start(resume_token=token.encode(uuid4(), 0)), 1)
    assert refused.value.reason == "WATCH_TOKEN_FOREIGN"


@pytest.mark.parametrize("garbage", ["x", "ÄÖ", "AAAA", "=" * 30, "A" * 34, "_" * 500])
async def test_a_malformed_token_is_refused(log: ChangeLog, feed: ChangeFeed, garbage: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await collect(Watcher(log, feed), Start(resume_token=garbage), 1)
    assert refused.value.reason == "WATCH_TOKEN_MALFORMED"

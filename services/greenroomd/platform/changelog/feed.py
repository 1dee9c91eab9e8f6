"""The live end of a log in this process: one reader of the database for any number of watchers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice

from greenroomd.platform.changelog.log import ChangeLog, StoredChange

CATCH_UP_PAGE = 1000
"""Changes read from the log at once."""


class ChangeFeed:
    """Keeps the newest changes in memory while somebody watches.

    Woken by this process's own commits and by Redis for those of others; polls when neither comes, so that a lost
    wake-up costs at most `poll_interval` seconds.

    Args:
        log: what to follow.
        poll_interval: seconds between looks at the log when nothing wakes the feed.
        capacity: changes kept in memory; a watcher further behind reads the log.
    """

    def __init__(self, log: ChangeLog, *, poll_interval: float = 1.0, capacity: int = 4096) -> None:
        self._log = log
        self._poll_interval = poll_interval
        self._ring: deque[StoredChange] = deque(maxlen=capacity)
        self._head = 0
        self._watchers = 0
        self._joining = asyncio.Lock()
        self._wake = asyncio.Event()
        self._advanced = asyncio.Event()
        log.on_commit(self.wake)

    def wake(self, revision: int = 0) -> None:
        """Look at the log now. `revision` is what the waker has heard of; 0 when it does not know."""
        if revision == 0 or revision > self._head:
            self._wake.set()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Keep the feed following the log while the block runs."""
        async with self._joining:  # of two that come at once, the second must not start over what the first began
            if self._watchers == 0:
                # While nobody watched nothing was read: what is in memory may have a gap behind it.
                self._ring.clear()
                self._head = await self._log.head()
            self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    async def run(self) -> None:
        """Follow the log until cancelled."""
        while True:
            # Not wait_for: on Python 3.11 it loses a cancellation that meets the wake-up.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_interval):
                    await self._wake.wait()
            self._wake.clear()
            if self._watchers:
                await self._catch_up()

    async def after(self, revision: int, limit: int) -> Sequence[StoredChange]:
        """Return changes after `revision` in order, whole transactions; empty when there are none yet."""
        if revision >= self._head:
            return ()
        if self._ring and self._ring[0].revision <= revision + 1:
            start = revision + 1 - self._ring[0].revision
            stop = start + limit
            while (
                stop < len(self._ring)
                and self._ring[stop - 1].revision < self._ring[stop - 1].transaction_last_revision
            ):
                stop += 1
            return tuple(islice(self._ring, start, stop))
        return await self._log.read_after(revision, limit)

    async def wait_beyond(self, revision: int, timeout: float) -> bool:
        """Wait until there is a change after `revision`; return False when `timeout` seconds pass first."""
        try:
            async with asyncio.timeout(timeout):
                while self._head <= revision:
                    await self._advanced.wait()
        except TimeoutError:
            return False
        return True

    async def _catch_up(self) -> None:
        while changes := await self._log.read_after(self._head, CATCH_UP_PAGE):
            self._ring.extend(changes)
            self._head = changes[-1].revision
            # A fresh event for the next round: every waiter of this one wakes exactly once.
            advanced, self._advanced = self._advanced, asyncio.Event()
            advanced.set()
            if len(changes) < CATCH_UP_PAGE:
                return

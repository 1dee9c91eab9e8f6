"""The feed's memory, when watchers come while it begins."""

from __future__ import annotations

import asyncio

from greenroomd.platform.changelog.feed import ChangeFeed
from greenroomd.platform.changelog.log import ChangeLog
from greenroomd.platform.database import Database
from support.notes import encode, write


class SlowHead(ChangeLog):
    """A log whose head takes a moment to be read, the more so for the second who asks."""

    asked = 0

    async def head(self) -> int:
        self.asked += 1
        mine, head = self.asked, await super().head()
        await asyncio.sleep(0.1 * mine)
        return head


async def test_two_watchers_that_come_at_once_see_each_change_once(database: Database) -> None:
    log = SlowHead(database, encode)
    feed = ChangeFeed(log, poll_interval=0.02)
    running = asyncio.create_task(feed.run())

    async def watch() -> list[int]:
        async with feed.watching():
            seen: list[int] = []
            while len(seen) < 6:
                position = seen[-1] if seen else 0
                await feed.wait_beyond(position, 5)
                seen += [change.revision for change in await feed.after(position, 100)]
            return seen

    watching = [asyncio.create_task(watch()) for _ in range(2)]
    for number in range(6):
        await write(log, f"notes/{number}")
        await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        assert await asyncio.gather(*watching) == [[1, 2, 3, 4, 5, 6]] * 2
    running.cancel()

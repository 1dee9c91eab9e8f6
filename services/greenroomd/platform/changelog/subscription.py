"""Hears from Redis that other processes have committed, and wakes this process's feed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

RECONNECT_DELAY = 0.5
"""Seconds between attempts while Redis is away. The feed polls meanwhile."""


class Subscription:
    """One Redis subscription for all watchers of a service in this process.

    Args:
        redis: where changes are published.
        service: whose changes to listen for.
        wake: what to call when there is news.
    """

    def __init__(self, redis: Redis, service: str, wake: Callable[[], None]) -> None:
        self._redis = redis
        self._pattern = f"greenroom.{service}.*"
        self._wake = wake

    async def run(self) -> None:
        """Listen until cancelled, connecting again whenever Redis comes back."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError):
                await asyncio.sleep(RECONNECT_DELAY)

    async def _listen(self) -> None:
        async with self._redis.pubsub() as pubsub:
            await pubsub.psubscribe(self._pattern)
            # What was published while nobody listened is in the log.
            self._wake()
            async for message in pubsub.listen():
                if message["type"] == "pmessage":
                    self._wake()

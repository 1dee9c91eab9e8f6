"""Hears from Redis that other processes have committed, and wakes this process's feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

logger = structlog.get_logger()

RECONNECT_DELAY = 0.5
"""Seconds between attempts while Redis is away. Feeds poll meanwhile."""


class Subscription:
    """One Redis subscription for all services of this process.

    Args:
        redis: where changes are published.
        wake: what to call when a service, by name, has news.
    """

    def __init__(self, redis: Redis, wake: Mapping[str, Callable[[], None]]) -> None:
        self._redis = redis
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
            await pubsub.psubscribe(*(f"greenroom.{service}.*" for service in self._wake))
            # What was published while nobody listened is in the logs.
            for wake in self._wake.values():
                wake()
            async for message in pubsub.listen():
                if message["type"] == "pmessage":
                    service = message["channel"].decode().split(".")[1]
                    self._wake[service]()

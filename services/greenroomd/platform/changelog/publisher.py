"""Sends each committed change to Redis, in order, once in normal running and again after a crash.

`log_published` remembers how far the log has been sent. Whoever holds its row lock sends the next changes and moves
it, so the instances of a service take turns, and what a killed one left unsent is sent by the next.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from google.protobuf.message import Message
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text

from greenroomd.platform.changelog.events import ChangeCodec
from greenroomd.platform.changelog.log import ChangeLog, read_after

PAGE = 200
"""Changes sent under one lock."""

PUBLISHED = text("SELECT revision FROM log_published FOR UPDATE")
ADVANCE = text("UPDATE log_published SET revision = :revision")

logger = structlog.get_logger()


class Publisher:
    """Publishes one service's log.

    Args:
        log: what to publish.
        codec: how.
        redis: where to.
        sweep_interval: seconds between looks for changes that another instance left unsent.
    """

    def __init__(
        self, log: ChangeLog, codec: ChangeCodec[Message], redis: Redis, *, sweep_interval: float = 1.0
    ) -> None:
        self._log = log
        self._codec = codec
        self._redis = redis
        self._sweep_interval = sweep_interval
        self._wake = asyncio.Event()
        log.on_commit(lambda revision: self._wake.set())

    async def run(self) -> None:
        """Publish until cancelled. While Redis is away changes wait in the log."""
        redis_answers = True
        while True:
            # Not wait_for: on Python 3.11 it loses a cancellation that meets the wake-up.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sweep_interval):
                    await self._wake.wait()
            self._wake.clear()
            try:
                while await self._publish_page() == PAGE:
                    continue
            except (RedisError, OSError) as error:
                if redis_answers:
                    logger.warning(
                        "redis is away; changes wait in the log", service=self._log.service, error=str(error)
                    )
                redis_answers = False
                continue
            if not redis_answers:
                logger.info("redis is back; waiting changes were sent", service=self._log.service)
            redis_answers = True

    async def _publish_page(self) -> int:
        async with self._log.database.transaction() as connection:
            published = (await connection.execute(PUBLISHED)).scalar_one()
            changes = await read_after(connection, published, PAGE)
            if not changes:
                return 0
            log_id = await self._log.log_id()
            async with self._redis.pipeline(transaction=False) as pipeline:
                for change in changes:
                    pipeline.publish(self._codec.channel(change), self._codec.to_cloud_event(change, log_id))
                await pipeline.execute()
            await connection.execute(ADVANCE, {"revision": changes[-1].revision})
            return len(changes)

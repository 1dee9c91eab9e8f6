"""Sends each committed change to Redis, in order, once in normal running and again after a crash.

`log_published` remembers how far the log has been sent. Whoever holds its row lock sends the next changes and moves
it, so the instances of a service take turns, and what a killed one left unsent is sent by the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from uuid import UUID

import structlog
from google.protobuf.message import Message
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text

from greenroomd.platform.changelog.events import ChangeCodec
from greenroomd.platform.changelog.log import ChangeLog, StoredChange, read_after

PAGE = 200
"""Changes sent under one lock."""

PUBLISHED = text("SELECT revision FROM log_published FOR UPDATE")
ADVANCE = text("UPDATE log_published SET revision = :revision")

REDIS_SECONDS = 3.0
"""Seconds that Redis has to answer. Less than the database's lock_timeout: another instance may wait for its turn."""

logger = structlog.get_logger()


class RedisAwayError(Exception):
    """Redis did not confirm what it was sent."""


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
        """Publish until cancelled. While Redis is away changes wait in the log.

        Raises what the database raises.
        """
        redis_answers = True
        while True:
            # Not wait_for: on Python 3.11 it loses a cancellation that meets the wake-up.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sweep_interval):
                    await self._wake.wait()
            self._wake.clear()
            try:
                if not redis_answers:
                    # A frozen Redis would take in the same changes at every attempt, and the lock be held each time.
                    await self._ask_redis(self._redis.ping())
                while await self._publish_page() == PAGE:
                    continue
            except RedisAwayError as error:
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
            await self._ask_redis(self._send(changes, await self._log.log_id()))
            await connection.execute(ADVANCE, {"revision": changes[-1].revision})
            return len(changes)

    async def _send(self, changes: Sequence[StoredChange], log_id: UUID) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for change in changes:
                pipeline.publish(self._codec.channel(change), self._codec.to_cloud_event(change, log_id))
            await pipeline.execute()

    async def _ask_redis(self, work: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                await work
        except (RedisError, OSError) as error:
            raise RedisAwayError(repr(error)) from error

"""Long-running work of the services: kept running, whatever happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from greenroomd.platform.context import current_call
from greenroomd.platform.errors import Aborted, Unavailable
from greenroomd.platform.failures import classify, in_words
from greenroomd.platform.telemetry import OFF, Telemetry

logger = structlog.get_logger()

FIRST_DELAY = 0.1
LONGEST_DELAY = 30.0
LONGEST_WAIT = 2.0
"""Seconds between attempts while a dependency is away: what waits for it goes on soon after it is back."""
SAY_AGAIN_AFTER = 60.0
"""Seconds between lines about the same waiting."""
CANCEL_AGAIN_AFTER = 0.2
HEALTHY_AFTER = 60.0
"""Seconds of running after which a failure counts as the first one again."""


class Supervisor:
    """Runs background work and starts it again when it fails or ends.

    Args:
        telemetry: background work is not traced, so that polling does not fill the traces.
    """

    def __init__(self, telemetry: Telemetry = OFF) -> None:
        self._tracing = telemetry.tracing
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` until `stop`."""
        self._tasks.append(asyncio.create_task(self._keep_running(name, work), name=name))

    async def once(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` to its end, as little traced as the rest. Raises what it raises."""

        async def untraced() -> None:
            if self._tracing is not None:
                self._tracing.attach_untraced()
            await work()

        # In a task, whose context ends with it.
        await asyncio.create_task(untraced())

    async def stop(self) -> None:
        """Cancel everything and wait until it has ended."""
        pending = set(self._tasks)
        while pending:
            # More than once: asyncio.wait_for of Python 3.11, which redis-py uses, can swallow a cancellation.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_AFTER)
        self._tasks.clear()

    async def _keep_running(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        if self._tracing is not None:
            self._tracing.attach_untraced()
        clock = asyncio.get_running_loop().time
        delay, silent_until = FIRST_DELAY, 0.0
        while True:
            started = clock()
            longest = LONGEST_DELAY
            try:
                await work()
                logger.warning("background work ended by itself and is started again", work=name)
            except Exception as error:
                meaning = classify(error, current_call())
                if isinstance(meaning, Unavailable | Aborted):
                    # What everybody waits for needs no stack, and not a line at every attempt.
                    longest = LONGEST_WAIT
                    if clock() >= silent_until:
                        logger.warning("background work waits", work=name, why=in_words(error))
                        silent_until = clock() + SAY_AGAIN_AFTER
                else:
                    logger.exception("background work failed and is started again", work=name, in_seconds=delay)
            if clock() - started > HEALTHY_AFTER:
                delay = FIRST_DELAY
            await asyncio.sleep(min(delay, longest))
            delay = min(delay * 2, LONGEST_DELAY)

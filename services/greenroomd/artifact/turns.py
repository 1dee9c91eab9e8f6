"""Who writes a session: one client at a time, and none for ever.

A client whose connection died without a word comes back on a new one while the old stream still seems to be open.
So a writer that has been silent makes room for the next; one that is sending is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from greenroomd.artifact.errors import UploadBusy

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds of silence after which a writer is taken for gone, once another wants to write."""


class Turn:
    """One writer's time with a session."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.ended = asyncio.Event()
        self.evicted = False
        self._task = task
        self._clock = asyncio.get_running_loop().time
        self._waiting_since: float | None = None

    async def receive(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the chunks; while one is waited for, the writer counts as silent."""
        while True:
            self._waiting_since = self._clock()
            try:
                chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            finally:
                self._waiting_since = None
            yield chunk

    def silent_for(self) -> float:
        """Return for how many seconds nothing has come from the client."""
        return 0.0 if self._waiting_since is None else self._clock() - self._waiting_since

    def evict(self) -> None:
        """Make the writer stop receiving; what came is still committed."""
        if not self.evicted:
            self.evicted = True
            self._task.cancel()


class Turns:
    """Gives out the turns of this process. Other processes are kept away by the blob store.

    Args:
        patience: seconds of silence after which a writer has to make room for a waiting one.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._holders: dict[str, Turn] = {}

    def taken(self) -> frozenset[str]:
        """Return the ids of the sessions that are being written."""
        return frozenset(self._holders)

    @asynccontextmanager
    async def take(self, upload_id: str, name: str) -> AsyncIterator[Turn]:
        """Wait until nobody else writes the session, and have it.

        Raises UploadBusy in the writer that was silent and has been replaced.
        """
        while (holder := self._holders.get(upload_id)) is not None:
            await self._wait_for(holder)
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a turn can only be taken by a task")
        turn = self._holders[upload_id] = Turn(task)
        try:
            yield turn
        except asyncio.CancelledError:
            if not turn.evicted:
                raise
            task.uncancel()
            raise UploadBusy(name) from None
        finally:
            del self._holders[upload_id]
            turn.ended.set()

    async def _wait_for(self, holder: Turn) -> None:
        if holder.evicted:
            await holder.ended.wait()
            return
        try:
            async with asyncio.timeout(max(0.01, self._patience - holder.silent_for())):
                await holder.ended.wait()
        except TimeoutError:
            if holder.silent_for() >= self._patience:
                holder.evict()


async def uninterrupted(work: Awaitable[T]) -> T:
    """Return what `work` gives; a cancellation meanwhile is raised only once `work` has ended."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:
            break
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # seen: the cancellation is what counts
        raise cancelled
    return task.result()

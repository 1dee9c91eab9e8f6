"""Removes abandoned uploads: sessions that have expired, and bytes that no session accounts for any more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from greenroomd.artifact.uploads import Uploads

SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 60.0

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reaper:
    """Background work of one process; several may run at once."""

    uploads: Uploads

    async def run(self) -> None:
        """Reap until cancelled, several times within the life of a session."""
        pause = min(max(self.uploads.expiry.total_seconds() / 4, SHORTEST_PAUSE), LONGEST_PAUSE)
        while True:
            reaped = await self.reap()
            if reaped:
                logger.info("abandoned uploads were removed", count=reaped)
            await asyncio.sleep(pause)

    async def reap(self) -> int:
        """Remove what is abandoned now; return how many sessions or leftovers that were."""
        store, blobs = self.uploads.store, self.uploads.blobs
        async with store.write() as transaction:
            # A stream in progress keeps its session alive also when it is slower than the expiry.
            expired = await transaction.delete_expired_uploads(self.uploads.clock.now(), self.uploads.turns.taken())
        # Bytes are looked for before rows: a session has its row first, so one without a row will never get it.
        leftovers = set(await blobs.unfinished())
        if leftovers:
            async with store.read() as reader:
                leftovers -= await reader.unfinished_uploads(leftovers)
        abandoned = leftovers.union(expired)
        for upload_id in sorted(abandoned):
            await blobs.abort(upload_id)
        return len(abandoned)

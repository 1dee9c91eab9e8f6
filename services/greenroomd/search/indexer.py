"""Keeps the index up to date: follows each source's log, forever, each by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import aclosing, suppress

import structlog

from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.context import current_call
from greenroomd.platform.errors import Unavailable
from greenroomd.platform.failures import classify
from greenroomd.search.domain import INDEX, Effects, Index, IndexState, Position, SourceBatch
from greenroomd.search.errors import GenerationChangedError, PositionLostError
from greenroomd.search.ports import IndexStore, IndexWriter, Source

logger = structlog.get_logger()

FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
"""Seconds between attempts at a source that is away."""


class Progress:
    """Tells this process's waiting calls that the index has advanced."""

    def __init__(self) -> None:
        self._advanced = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Return what is set at the next advance. Take it before looking, so that none is missed."""
        return self._advanced

    def advance(self) -> None:
        advanced, self._advanced = self._advanced, asyncio.Event()
        advanced.set()


class Indexer:
    """Writes the index.

    Args:
        store: the index.
        sources: what it is built from.
        clock: stamps rebuilds.
        progress: told of every advance.
    """

    def __init__(self, store: IndexStore, sources: Sequence[Source], clock: Clock, progress: Progress) -> None:
        self._store = store
        self._sources = sources
        self._clock = clock
        self._progress = progress

    async def run(self) -> None:
        """Follow every source until cancelled. One that is away does not hold up the others."""
        async with asyncio.TaskGroup() as tasks:
            for source in self._sources:
                tasks.create_task(self._follow(source), name=f"search-follows-{source.name}")

    async def _follow(self, source: Source) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                async with self._store.read() as reader:
                    generation = (await reader.state()).generation
                    position = await reader.position(source.name)
                async with aclosing(source.watch(position)) as batches:  # type: ignore[type-var]
                    async for batch in batches:
                        await self.apply(source.name, batch, generation)
                        delay = FIRST_DELAY
            except GenerationChangedError:
                continue
            except PositionLostError as lost:
                logger.warning("the index is of another log and is rebuilt", source=source.name, why=lost.reason)
                with suppress(GenerationChangedError):
                    await self.rebuild(expected_generation=generation)
                # Not at once: a source that loses every position must not make the index empty itself in a loop.
            except Unavailable as error:
                logger.info("a source is away, trying again", source=source.name, why=error.message, in_seconds=delay)
            except Exception as error:
                if isinstance(classify(error, current_call()), Unavailable):
                    logger.info("the index is away, trying again", source=source.name, in_seconds=delay)
                else:
                    logger.exception("indexing failed, trying again", source=source.name, in_seconds=delay)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311
            delay = min(delay * 2, LONGEST_DELAY)

    async def apply(self, source: str, batch: SourceBatch, generation: int) -> None:
        """Bring what is new in a batch into the index, together with the position.

        Every instance of search may follow the logs; what another one was faster with is skipped.

        Raises:
            GenerationChangedError: the index is no longer of this generation; nothing was written.
        """
        reached = Position(batch.through_revision, batch.resume_token)
        if not batch.changes:
            async with self._store.read() as reader:
                check_generation(await reader.state(), generation)
                if not advances(await reader.position(source), reached):
                    return
        async with self._store.write() as transaction:
            check_generation(await transaction.lock(), generation)
            known = await transaction.position(source)
            if not advances(known, reached):
                return
            effects = Effects()
            for change in batch.changes:
                if change.revision <= known.revision:
                    continue
                if change.rename is not None:
                    # What came before it has the former name.
                    await transaction.apply(effects)
                    await transaction.rename(change.rename)
                    effects = Effects()
                effects.add(change.effects)
            await transaction.apply(effects)
            await transaction.save_position(source, reached)
        self._progress.advance()

    async def rebuild(self, expected_generation: int | None = None) -> Written[Index]:
        """Empty the index, so that it is built again from the first changes of the logs.

        Raises:
            GenerationChangedError: somebody else did since `expected_generation`.
        """
        async with self._store.write() as transaction:
            before = await locked_index(transaction)
            if expected_generation is not None:
                check_generation(before.state, expected_generation)
            await transaction.clear(IndexState(before.state.generation + 1, self._clock.now()))
            after = await transaction.index()
            transaction.record(Recorded("index.rebuilt", INDEX, "", after, before))
        self._progress.advance()
        return Written(after, transaction.revision)


async def locked_index(transaction: IndexWriter) -> Index:
    await transaction.lock()
    return await transaction.index()


def check_generation(state: IndexState, expected: int) -> None:
    if state.generation != expected:
        raise GenerationChangedError


def advances(known: Position, reached: Position) -> bool:
    """Return whether a position says more than the known one: further on, or the first token at the same revision."""
    return reached.revision > known.revision or (reached.revision == known.revision and reached != known)

"""What search does: one function for each RPC that needs a decision."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from greenroomd.platform.changelog.log import Written
from greenroomd.platform.context import current_call
from greenroomd.platform.errors import FieldViolation, field_invalid
from greenroomd.search.domain import SOURCES, Hit, Index, Query
from greenroomd.search.errors import IndexBehind, ModelRenamed
from greenroomd.search.filter.parser import parse
from greenroomd.search.indexer import Indexer, Progress
from greenroomd.search.ordering import parse_order, read_position, write_position
from greenroomd.search.ports import IndexStore
from greenroomd.search.text_query import parse_text

LOOK_INTERVAL = 0.25
"""Seconds between looks at the positions while waiting: another process may be the one that advances them."""

ANSWERING = 0.1
"""Seconds before the caller's deadline at which waiting ends, so that the answer still arrives."""

BYTES_PER_PAGE = 2 << 20
"""A page ends early at this size, below the 4 MiB that a client accepts in one message."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search as a caller states it."""

    parent: str
    query: str
    filter: str
    order_by: str
    after: Sequence[str]
    """Position from the page token; empty for the first page."""
    limit: int
    min_revisions: Sequence[tuple[str, int]]
    """Service and revision."""


@dataclass(frozen=True, slots=True)
class Page:
    hits: Sequence[Hit]
    next: Sequence[str] | None
    """Position for the next page's token; None on the last page."""
    positions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Search:
    """The use cases. Raises the errors of `search/errors.py`, which carry what the proto comments promise."""

    store: IndexStore
    indexer: Indexer
    progress: Progress
    statement_timeout: float
    """Longest time in seconds that the database may work on one search."""
    longest_wait: float
    """Longest time in seconds to wait for `min_revisions`."""

    async def search_versions(self, request: SearchRequest) -> Page:
        expression = parse(request.filter)
        text = parse_text(request.query)
        order = parse_order(request.order_by, with_text=text is not None)
        after = read_position(request.after, order) if request.after else ()
        check_services(request.min_revisions)
        await self._reach(request.min_revisions)
        query = Query(request.parent, text, expression, order, after, request.limit + 1)
        found = await self.store.search(query, min(self.statement_timeout, time_left()))
        if not found.hits and request.parent:
            redirect = (await self.store.redirects([request.parent])).get(request.parent)
            if redirect is not None:
                raise ModelRenamed(request.parent, redirect.current)
        hits = fitting(found.hits[: request.limit])
        more = len(hits) < len(found.hits)
        return Page(hits, write_position(hits[-1].sort_values) if more else None, found.positions)

    async def get_index(self) -> Index:
        async with self.store.read() as reader:
            return await reader.index()

    async def rebuild_index(self) -> Written[Index]:
        return await self.indexer.rebuild()

    async def _reach(self, wanted: Sequence[tuple[str, int]]) -> None:
        """Wait until the index has followed each service that far. Raises IndexBehind when time is up."""
        if not wanted:
            return
        until = time.monotonic() + min(self.longest_wait, time_left() - ANSWERING)
        while True:
            advanced = self.progress.next()
            async with self.store.read() as reader:
                positions = await reader.positions()
            behind = [(service, revision) for service, revision in wanted if positions[service] < revision]
            if not behind:
                return
            left = until - time.monotonic()
            if left <= 0:
                service, revision = behind[0]
                raise IndexBehind(service, revision, positions[service])
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_INTERVAL)):
                    await advanced.wait()


def check_services(wanted: Sequence[tuple[str, int]]) -> None:
    violations = [
        FieldViolation(f"min_revisions[{index}].service", f"the index follows {' and '.join(SOURCES)}, not {service!r}")
        for index, (service, _) in enumerate(wanted)
        if service not in SOURCES
    ]
    if violations:
        raise field_invalid(*violations)


def time_left() -> float:
    """Return the seconds until the caller stops waiting."""
    deadline = current_call().deadline
    return float("inf") if deadline is None else deadline - time.monotonic()


def fitting(hits: Sequence[Hit]) -> Sequence[Hit]:
    """Return the first hits, at least one, that together stay below the size of a page."""
    size = 0
    for index, hit in enumerate(hits):
        size += hit.size
        if index and size > BYTES_PER_PAGE:
            return hits[:index]
    return hits

"""What search needs from outside: a store, and the watches of the services that it indexes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from greenroomd.platform.changelog.log import Recorded
from greenroomd.platform.redirects import Redirect
from greenroomd.search.domain import Effects, Found, Index, IndexState, Position, Query, SourceBatch
from greenroomd.search.renames import Rename


class IndexReader(Protocol):
    """Reads of one connection."""

    async def state(self) -> IndexState: ...

    async def positions(self) -> Mapping[str, int]:
        """The revision reached, for every source."""
        ...

    async def position(self, source: str) -> Position: ...

    async def index(self) -> Index: ...


class IndexWriter(IndexReader, Protocol):
    """A transaction. Call `lock` first: writers of the index take turns."""

    @property
    def revision(self) -> int:
        """The revision that the transaction made in search's own log; known after it has ended."""
        ...

    def record(self, change: Recorded) -> None: ...

    async def lock(self) -> IndexState:
        """Return the state, locked until the transaction ends."""
        ...

    async def apply(self, effects: Effects) -> None:
        """Bring effects into the index, under the names that models have there."""
        ...

    async def rename(self, rename: Rename) -> None:
        """Move everything of a model to another name; nothing when the index has it there."""
        ...

    async def save_position(self, source: str, position: Position) -> None: ...

    async def clear(self, state: IndexState) -> None:
        """Remove every row and position, and set the state."""
        ...


class IndexStore(Protocol):
    def read(self) -> AbstractAsyncContextManager[IndexReader]: ...

    def write(self) -> AbstractAsyncContextManager[IndexWriter]: ...

    async def search(self, query: Query, timeout: float) -> Found:
        """Return the hits after a position, and the positions of the same moment.

        Raises SearchTooSlow after `timeout` seconds.
        """
        ...

    async def redirects(self, models: Collection[str]) -> Mapping[str, Redirect]:
        """Return where those of the names lead that are former ones."""
        ...


class Source(Protocol):
    """A service whose log is indexed."""

    @property
    def name(self) -> str: ...

    def watch(self, position: Position) -> AsyncIterator[SourceBatch]:
        """Stream the log after a position for ever, with a bookmark about every second of silence.

        Raises PositionLostError when the log does not know the position, Unavailable when the service is away.
        """
        ...

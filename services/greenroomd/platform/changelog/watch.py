"""Streaming a log: from any revision, filtered here, then live.

What a stream guarantees (etcd's words; tests/watch has one test of each name):

    ordered       by revision, never backwards
    unique        no change twice
    atomic        the changes of one transaction arrive in one message
    reliable      no matching change is left out
    resumable     the last token continues where the stream broke
    filterable    exactly what matches
    bookmarkable  progress is reported also when nothing matches
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from greenroomd.platform.changelog import token
from greenroomd.platform.changelog.feed import ChangeFeed
from greenroomd.platform.changelog.log import ChangeLog, StoredChange
from greenroomd.platform.errors import OutOfRange

PAGE = 500
"""Changes looked at in one step."""

BYTES_PER_MESSAGE = 1 << 20
"""A message is closed at the first transaction boundary after this much, to stay below gRPC's message limit."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which changes a stream delivers. Empty tuples match everything; both must match."""

    resources: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def matches(self, change: StoredChange) -> bool:
        return self._matches_resource(change) and self._matches_type(change.type)

    def _matches_resource(self, change: StoredChange) -> bool:
        if not self.resources:
            return True
        about = (change.resource, *change.related)
        return any(name == wanted or name.startswith(wanted + "/") for wanted in self.resources for name in about)

    def _matches_type(self, kind: str) -> bool:
        if not self.types:
            return True
        return any(kind == wanted or (wanted.endswith(".*") and kind.startswith(wanted[:-1])) for wanted in self.types)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a stream starts: a revision, a token, or neither for the next change."""

    after_revision: int | None = None
    resume_token: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """One message of a stream; a bookmark when it has no changes."""

    through_revision: int
    resume_token: str
    changes: Sequence[StoredChange] = field(default=())


class Watcher:
    """Streams one log to any number of subscribers.

    A slow subscriber costs no memory here: the stream goes on only as the subscriber reads, and a subscriber that
    has fallen behind what is in memory is served from the database.
    """

    def __init__(self, log: ChangeLog, feed: ChangeFeed) -> None:
        self._log = log
        self._feed = feed

    async def stream(self, start: Start, filter: Filter, bookmark_interval: float) -> AsyncGenerator[Batch, None]:
        """Yield batches for ever; a bookmark after `bookmark_interval` seconds of silence.

        Raises:
            InvalidArgument: WATCH_TOKEN_MALFORMED, WATCH_TOKEN_FOREIGN.
            OutOfRange: WATCH_POSITION_AHEAD.
        """
        log_id = await self._log.log_id()
        async with self._feed.watching():
            position = await self._position(start)
            # The first message says where the stream stands, so that a subscriber can resume before any change.
            yield Batch(position, token.encode(log_id, position))
            spoken = time.monotonic()
            while True:
                changes = await self._feed.after(position, PAGE)
                for part in messages(changes):
                    position = part[-1].revision
                    if matching := [change for change in part if filter.matches(change)]:
                        yield Batch(position, token.encode(log_id, position), matching)
                        spoken = time.monotonic()
                silence_left = spoken + bookmark_interval - time.monotonic()
                if silence_left <= 0 or not (changes or await self._feed.wait_beyond(position, silence_left)):
                    yield Batch(position, token.encode(log_id, position))
                    spoken = time.monotonic()

    async def _position(self, start: Start) -> int:
        head = await self._log.head()
        if start.resume_token is not None:
            position = token.decode(start.resume_token, await self._log.log_id(), self._log.service)
        elif start.after_revision is not None:
            position = start.after_revision
        else:
            position = head
        if position > head:
            raise OutOfRange(
                "WATCH_POSITION_AHEAD",
                f"the watch would start after revision {position}, but the {self._log.service} log ends at {head};"
                " if the database was restored from a backup, read the state again and start after its revision",
                after_revision=str(position),
                revision=str(head),
            )
        return position


def messages(changes: Sequence[StoredChange]) -> list[list[StoredChange]]:
    """Cut changes into messages of about BYTES_PER_MESSAGE, never inside a transaction."""
    parts: list[list[StoredChange]] = []
    size = BYTES_PER_MESSAGE
    for change in changes:
        begins_transaction = not parts or parts[-1][-1].revision == parts[-1][-1].transaction_last_revision
        if begins_transaction and size >= BYTES_PER_MESSAGE:
            parts.append([])
            size = 0
        parts[-1].append(change)
        size += len(change.before or b"") + len(change.after or b"") + 512
    return parts

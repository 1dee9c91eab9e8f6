"""What clients saw while services were killed, and what must be true of it.

Each function below is one guarantee of a watch, in etcd's words, and raises AssertionError with the first violation.
They judge what was observed from outside against the log itself, read from its beginning when all was quiet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from greenroom.catalog.v1.watch_pb2 import CatalogChange, WatchChangesResponse


@dataclass
class Stream:
    """Everything one subscriber received over all its resumes."""

    filter_prefix: str = ""
    filter_type: str = ""
    responses: list[WatchChangesResponse] = field(default_factory=list)
    resumes: int = 0

    @property
    def changes(self) -> list[CatalogChange]:
        return [change for response in self.responses for change in response.changes]

    @property
    def revisions(self) -> list[int]:
        return [change.metadata.revision for change in self.changes]

    def wants(self, change: CatalogChange) -> bool:
        resource, kind = change.metadata.resource, change.metadata.type
        below = resource == self.filter_prefix or resource.startswith(self.filter_prefix + "/")
        return (not self.filter_prefix or below) and (not self.filter_type or kind == self.filter_type)


@dataclass
class History:
    """A run: what was acknowledged, what the log holds, what subscribers saw."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    """Revision by request id, as the write's answer said."""
    refused: set[str] = field(default_factory=set)
    """Request ids whose answer guaranteed that nothing was written."""
    log: list[CatalogChange] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    kills: int = 0


def ordered(history: History) -> None:
    """Changes arrive by revision, never backwards."""
    for stream in history.streams:
        assert stream.revisions == sorted(stream.revisions)


def unique(history: History) -> None:
    """No change arrives twice."""
    for stream in history.streams:
        ids = [change.metadata.id for change in stream.changes]
        assert len(ids) == len(set(ids))


def atomic(history: History) -> None:
    """The changes of one transaction arrive in one message."""
    for stream in history.streams:
        seen: set[int] = set()
        for response in stream.responses:
            transactions = {change.metadata.transaction_last_revision for change in response.changes}
            assert not transactions & seen, f"transaction {transactions & seen} came in two messages"
            seen |= transactions


def reliable(history: History) -> None:
    """Every acknowledged write is in the log at its revision, and every stream has all of its changes."""
    assert [change.metadata.revision for change in history.log] == list(range(1, len(history.log) + 1))
    by_request = {change.metadata.request_id: change.metadata.revision for change in history.log}
    assert history.acknowledged.items() <= by_request.items()
    assert not history.refused & by_request.keys()
    for stream in history.streams:
        expected = [change.metadata.revision for change in history.log if stream.wants(change)]
        assert stream.revisions == expected


def resumable(history: History) -> None:
    """Streams that broke and went on from their last token equal the log all the same."""
    for stream in history.streams:
        wanted = [change for change in history.log if stream.wants(change)]
        assert [change.SerializeToString(deterministic=True) for change in stream.changes] == [
            change.SerializeToString(deterministic=True) for change in wanted
        ]


def filterable(history: History) -> None:
    """A filtered stream delivers exactly what matches."""
    filtered = [stream for stream in history.streams if stream.filter_prefix or stream.filter_type]
    assert filtered, "no stream had a filter"
    for stream in filtered:
        assert stream.changes, "a filtered stream that received nothing proves nothing"
        assert all(stream.wants(change) for change in stream.changes)


def bookmarkable(history: History) -> None:
    """Progress never passes an undelivered change, never goes back, and reaches the end also without a match."""
    for stream in history.streams:
        delivered = 0
        progress = 0
        for response in stream.responses:
            assert response.through_revision >= progress
            progress = response.through_revision
            delivered += len(response.changes)
            due = [c for c in history.log if stream.wants(c) and c.metadata.revision <= progress]
            assert delivered >= len(due), f"bookmark {progress} passed an undelivered change"
        assert progress == len(history.log)


GUARANTEES: Sequence[object] = (ordered, unique, atomic, reliable, resumable, filterable, bookmarkable)

"""The proto face of a watch, the same for every service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from greenroomd.platform.changelog.events import ChangeCodec
from greenroomd.platform.changelog.watch import Filter, Start, Watcher

ResponseT = TypeVar("ResponseT", bound=Message)

DEFAULT_BOOKMARK_MS = 10_000
BOOKMARK_RANGE_MS = (10, 60_000)


class WatchStreams(Generic[ResponseT]):
    """Answers `WatchChanges` of one service.

    Args:
        watcher: streams the log.
        codec: builds the service's change messages.
        response_type: the service's `WatchChangesResponse`.
    """

    def __init__(self, watcher: Watcher, codec: ChangeCodec[Any], response_type: type[ResponseT]) -> None:
        self._watcher = watcher
        self._codec = codec
        self._response_type = response_type

    async def stream(self, request: Any) -> AsyncIterator[ResponseT]:
        """Yield the responses to a `WatchChangesRequest`. Raises what `Watcher.stream` raises."""
        filter = Filter(tuple(request.filter.resources), tuple(request.filter.types))
        async for batch in self._watcher.stream(_start(request), filter, _bookmark_seconds(request)):
            response: Any = self._response_type()
            response.changes.extend(self._codec.to_proto(change) for change in batch.changes)
            response.through_revision = batch.through_revision
            response.resume_token = batch.resume_token
            yield response


def _start(request: Any) -> Start:
    match request.WhichOneof("start"):
        case "after_revision":
            return Start(after_revision=request.after_revision)
        case "resume_token":
            return Start(resume_token=request.resume_token)
        case _:
            return Start()


def _bookmark_seconds(request: Any) -> float:
    shortest, longest = BOOKMARK_RANGE_MS
    return min(max(request.bookmark_interval_ms or DEFAULT_BOOKMARK_MS, shortest), longest) / 1000

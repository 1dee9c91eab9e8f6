"""What the watches of all services have in common, on the side of their client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio

from greenroomd.platform.channels import from_rpc_error
from greenroomd.search.domain import Position, SourceBatch, SourceChange
from greenroomd.search.errors import PositionLostError

BOOKMARK_MS = 1000
"""Between bookmarks of a silent source, at each of which the indexer sees whether the index was emptied meanwhile."""

LOST = ("WATCH_TOKEN_FOREIGN", "WATCH_TOKEN_MALFORMED", "WATCH_POSITION_AHEAD")
"""Reasons that say that a position means nothing to the log."""


async def watch(
    name: str,
    method: Callable[[Any], Any],
    request_type: Callable[..., Any],
    position: Position,
    convert: Callable[[Any], SourceChange],
) -> AsyncIterator[SourceBatch]:
    """Stream a service's log. See `ports.Source.watch`.

    Args:
        name: the service.
        method: its stub's WatchChanges.
        request_type: its WatchChangesRequest.
        position: where to start.
        convert: reads its change messages.
    """
    if position.resume_token:
        request = request_type(resume_token=position.resume_token, bookmark_interval_ms=BOOKMARK_MS)
    else:
        request = request_type(after_revision=position.revision, bookmark_interval_ms=BOOKMARK_MS)
    call = method(request)
    try:
        async for response in call:
            changes = [convert(change) for change in response.changes]
            yield SourceBatch(changes, response.through_revision, response.resume_token)
    except grpc.aio.AioRpcError as error:
        known = from_rpc_error(error, name)
        if known.reason in LOST:
            raise PositionLostError(name, known.message) from error
        raise known from error
    finally:
        call.cancel()

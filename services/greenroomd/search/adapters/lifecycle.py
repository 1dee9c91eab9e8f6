"""The lifecycle service as search sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio

from greenroom.lifecycle.v1.lifecycle_service_pb2_grpc import LifecycleServiceStub
from greenroom.lifecycle.v1.watch_pb2 import WatchChangesRequest
from greenroomd.search.adapters.watching import watch
from greenroomd.search.convert import lifecycle_change
from greenroomd.search.domain import LIFECYCLE, Position, SourceBatch


class LifecycleSource:
    """Implements `ports.Source`."""

    name = LIFECYCLE

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = LifecycleServiceStub(channel)

    def watch(self, position: Position) -> AsyncIterator[SourceBatch]:
        return watch(self.name, self._stub.WatchChanges, WatchChangesRequest, position, lifecycle_change)

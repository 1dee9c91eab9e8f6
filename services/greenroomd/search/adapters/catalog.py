"""The catalog as search sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio

from greenroom.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from greenroom.catalog.v1.watch_pb2 import WatchChangesRequest
from greenroomd.search.adapters.watching import watch
from greenroomd.search.convert import catalog_change
from greenroomd.search.domain import CATALOG, Position, SourceBatch


class CatalogSource:
    """Implements `ports.Source`."""

    name = CATALOG

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = CatalogServiceStub(channel)

    def watch(self, position: Position) -> AsyncIterator[SourceBatch]:
        return watch(self.name, self._stub.WatchChanges, WatchChangesRequest, position, catalog_change)

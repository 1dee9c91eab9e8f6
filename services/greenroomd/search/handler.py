"""Search's proto face: parse, call a use case, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from greenroom.search.v1 import search_service_pb2 as pb
from greenroom.search.v1.search_service_pb2_grpc import SearchServiceServicer
from greenroom.search.v1.watch_pb2 import WatchChangesRequest, WatchChangesResponse
from greenroomd.platform.changelog.streams import WatchStreams
from greenroomd.platform.pagination import next_page_token, read_page
from greenroomd.search import convert
from greenroomd.search.usecases import Search, SearchRequest

PAGE_SIZE = 20
LARGEST_PAGE = 200


class SearchHandler(SearchServiceServicer):
    """Implements `greenroom.search.v1.SearchService`; what each RPC promises stands in the proto."""

    def __init__(self, search: Search, streams: WatchStreams[WatchChangesResponse]) -> None:
        self._search = search
        self._streams = streams

    async def SearchVersions(self, request: pb.SearchVersionsRequest, context: Any) -> pb.SearchVersionsResponse:
        min_revisions = [(wanted.service, wanted.revision) for wanted in request.min_revisions]
        request.ClearField("min_revisions")  # pages of one list may wait for different revisions
        page = read_page(request, default=PAGE_SIZE, maximum=LARGEST_PAGE)
        found = await self._search.search_versions(
            SearchRequest(
                parent=request.parent,
                query=request.query,
                filter=request.filter,
                order_by=request.order_by,
                after=page.after,
                limit=page.size,
                min_revisions=min_revisions,
            )
        )
        return pb.SearchVersionsResponse(
            hits=[convert.hit_to_proto(hit) for hit in found.hits],
            next_page_token=next_page_token(request, found.next),
            positions=convert.positions_to_proto(found.positions),
        )

    async def GetIndex(self, request: pb.GetIndexRequest, context: Any) -> pb.GetIndexResponse:
        return pb.GetIndexResponse(index=convert.index_to_proto(await self._search.get_index()))

    async def RebuildIndex(self, request: pb.RebuildIndexRequest, context: Any) -> pb.RebuildIndexResponse:
        written = await self._search.rebuild_index()
        return pb.RebuildIndexResponse(index=convert.index_to_proto(written.value), revision=written.revision)

    async def WatchChanges(self, request: WatchChangesRequest, context: Any) -> AsyncIterator[WatchChangesResponse]:
        async for response in self._streams.stream(request):
            yield response

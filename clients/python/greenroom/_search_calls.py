"""Calls about finding versions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from greenroom._calls import Calls, pages
from greenroom._naming import resource_name
from greenroom.search.v1.hit_pb2 import Hit
from greenroom.search.v1.index_pb2 import Index
from greenroom.search.v1.search_service_pb2 import GetIndexRequest, RebuildIndexRequest, SearchVersionsRequest
from greenroom.type.v1.service_revision_pb2 import ServiceRevision


class SearchCalls(Calls):
    """Search and its index."""

    async def search(
        self,
        query: str = "",
        *,
        filter: str = "",
        order_by: str = "",
        within: str = "",
        min_revisions: Mapping[str, int] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Hit]:
        """Yield the versions that match; text and filter both narrow.

        Args:
            query: words to find in names, descriptions, tags, frameworks and tasks.
            filter: conditions such as `metric.accuracy@holdout > 0.9 AND stage = "production"`.
            order_by: such as `metric.latency_p95, create_time desc`; unset: best match, else newest, first.
            within: namespace or model to search in; unset searches everywhere.
            min_revisions: by service, wait until the index has followed its log this far; `client.revisions` makes
                sure that what this client wrote is found.
            limit: most hits to yield.

        Raises:
            FilterMalformed, OrderMalformed: metadata tells where.
            IndexBehind: the index did not get there in time.
        """
        request = SearchVersionsRequest(
            parent=str(resource_name(within)) if within else "",
            query=query,
            filter=filter,
            order_by=order_by,
            page_size=min(limit or 100, 200),
            min_revisions=[
                ServiceRevision(service=service, revision=revision)
                for service, revision in (min_revisions or {}).items()
                if service in {"catalog", "lifecycle"}
            ],
        )
        count = 0
        async for page in pages(self._connection.search.SearchVersions, request, self._connection):
            for hit in page.hits:
                yield hit
                count += 1
                if count == limit:
                    return

    async def get_index(self) -> Index:
        """Return how far the search index is."""
        return (await self._connection.unary(self._connection.search.GetIndex, GetIndexRequest())).index

    async def rebuild_index(self) -> Index:
        """Empty the index and build it again from the logs."""
        return (await self._connection.unary(self._connection.search.RebuildIndex, RebuildIndexRequest())).index

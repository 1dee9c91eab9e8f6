"""Puts search together."""

from __future__ import annotations

from greenroom.search.v1.search_service_pb2_grpc import add_SearchServiceServicer_to_server
from greenroom.search.v1.watch_pb2 import SearchChange, SearchResource, WatchChangesResponse
from greenroomd.platform.changelog.runtime import LogRuntime
from greenroomd.platform.redirects import FormerNames
from greenroomd.platform.service import BuiltService, ServiceContext
from greenroomd.search.adapters.catalog import CatalogSource
from greenroomd.search.adapters.lifecycle import LifecycleSource
from greenroomd.search.convert import resource_bytes
from greenroomd.search.errors import ModelRenamed
from greenroomd.search.handler import SearchHandler
from greenroomd.search.indexer import Indexer, Progress
from greenroomd.search.stores.postgres import PostgresIndexStore
from greenroomd.search.usecases import Search

FULL_NAME = "greenroom.search.v1.SearchService"

STATEMENT_TIMEOUT = 5.0
LONGEST_WAIT = 10.0


def build(context: ServiceContext) -> BuiltService:
    """Return search, ready to run.

    It is ready when its database answers: while a source is away, searches answer from what was indexed before, and
    say how far that is.
    """
    runtime = LogRuntime.build(context, resource_bytes, SearchChange)
    store = PostgresIndexStore(runtime.log)
    progress = Progress()
    sources = (CatalogSource(context.channels.to("catalog")), LifecycleSource(context.channels.to("lifecycle")))
    indexer = Indexer(store, sources, context.clock, progress)
    search = Search(store, indexer, progress, statement_timeout=STATEMENT_TIMEOUT, longest_wait=LONGEST_WAIT)
    handler = SearchHandler(search, runtime.streams(WatchChangesResponse))
    return BuiltService(
        name="search",
        full_name=FULL_NAME,
        register=lambda server: add_SearchServiceServicer_to_server(handler, server),
        requests=runtime.log,
        resource_type=SearchResource,
        ready=context.database.ping,
        close=context.database.close,
        redirects=FormerNames(store.redirects, ModelRenamed, context.clock),
        background=(*runtime.background, indexer.run),
    )

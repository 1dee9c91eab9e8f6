"""Puts the catalog together."""

from __future__ import annotations

from datetime import timedelta

from greenroom.catalog.v1.catalog_service_pb2_grpc import add_CatalogServiceServicer_to_server
from greenroom.catalog.v1.watch_pb2 import CatalogChange, CatalogResource, WatchChangesResponse
from greenroomd.catalog.adapters.artifact import GrpcArtifacts
from greenroomd.catalog.adapters.lifecycle import GrpcLifecycle
from greenroomd.catalog.convert import resource_bytes
from greenroomd.catalog.errors import ModelRenamed
from greenroomd.catalog.handler import CatalogHandler
from greenroomd.catalog.stores.postgres import PostgresCatalogStore
from greenroomd.catalog.usecases import Catalog
from greenroomd.platform.changelog.runtime import LogRuntime
from greenroomd.platform.redirects import FormerNames
from greenroomd.platform.service import BuiltService, ServiceContext

FULL_NAME = "greenroom.catalog.v1.CatalogService"


def build(context: ServiceContext) -> BuiltService:
    """Return the catalog, ready to run."""
    runtime = LogRuntime.build(context, resource_bytes, CatalogChange)
    artifacts = GrpcArtifacts(context.channels.to("artifact"))
    lifecycle = GrpcLifecycle(context.channels.to("lifecycle"))
    store = PostgresCatalogStore(runtime.log)
    redirect = timedelta(seconds=context.config.rename_redirect_seconds)
    catalog = Catalog.on(store, artifacts, lifecycle, context.clock, redirect)
    handler = CatalogHandler(catalog, artifacts, lifecycle, runtime.streams(WatchChangesResponse))
    return BuiltService(
        name="catalog",
        full_name=FULL_NAME,
        register=lambda server: add_CatalogServiceServicer_to_server(handler, server),
        requests=runtime.log,
        resource_type=CatalogResource,
        ready=context.database.ping,
        close=context.database.close,
        redirects=FormerNames(store.redirects, ModelRenamed, context.clock),
        background=runtime.background,
    )

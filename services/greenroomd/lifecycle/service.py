"""Puts the lifecycle together."""

from __future__ import annotations

from greenroom.lifecycle.v1.lifecycle_service_pb2_grpc import add_LifecycleServiceServicer_to_server
from greenroom.lifecycle.v1.watch_pb2 import LifecycleChange, LifecycleResource, WatchChangesResponse
from greenroomd.lifecycle.adapters.catalog import GrpcCatalog
from greenroomd.lifecycle.convert import resource_bytes
from greenroomd.lifecycle.handler import LifecycleHandler, UseCases
from greenroomd.lifecycle.stores.postgres import PostgresLifecycleStore
from greenroomd.platform.changelog.runtime import LogRuntime
from greenroomd.platform.service import BuiltService, ServiceContext

FULL_NAME = "greenroom.lifecycle.v1.LifecycleService"


def build(context: ServiceContext) -> BuiltService:
    """Return the lifecycle, ready to run."""
    runtime = LogRuntime.build(context, resource_bytes, LifecycleChange)
    catalog = GrpcCatalog(context.channels.to("catalog"))
    usecases = UseCases.build(PostgresLifecycleStore(runtime.log), catalog, context.clock)
    handler = LifecycleHandler(usecases, runtime.streams(WatchChangesResponse))
    return BuiltService(
        name="lifecycle",
        full_name=FULL_NAME,
        register=lambda server: add_LifecycleServiceServicer_to_server(handler, server),
        requests=runtime.log,
        resource_type=LifecycleResource,
        ready=context.database.ping,
        close=context.database.close,
        redirects=usecases.redirects,
        background=runtime.background,
    )

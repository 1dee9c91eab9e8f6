"""The lifecycle service as the catalog sees it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import grpc.aio

from greenroom.lifecycle.v1.lifecycle_service_pb2 import (
    BatchGetVersionStatesRequest,
    GetModelStateRequest,
    RenameModelRequest,
)
from greenroom.lifecycle.v1.lifecycle_service_pb2_grpc import LifecycleServiceStub
from greenroom.lifecycle.v1.model_rename_pb2 import ModelRename
from greenroom.lifecycle.v1.state_pb2 import ModelState, VersionState
from greenroomd.catalog.domain import Renaming, Usage
from greenroomd.platform.channels import from_rpc_error
from greenroomd.platform.wellknown import timestamp


class GrpcLifecycle:
    """Implements `ports.Lifecycle` and `full_view.LifecycleView`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = LifecycleServiceStub(channel)

    async def model_state(self, model: str) -> ModelState:
        """Return where the versions of a model stand. Raises Unavailable."""
        try:
            response = await self._stub.GetModelState(GetModelStateRequest(name=model))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "lifecycle") from error
        return response.state

    async def version_states(self, model: str, versions: Sequence[str]) -> Sequence[VersionState]:
        """Return where each version stands, in the order asked. Raises Unavailable."""
        request = BatchGetVersionStatesRequest(parent=model, versions=versions)
        try:
            response = await self._stub.BatchGetVersionStates(request)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "lifecycle") from error
        return response.states

    async def usage(self, version: str) -> Usage:
        model = version.rsplit("/versions/", 1)[0]
        (state,) = await self.version_states(model, [version])
        return Usage(state.in_use, state.stage, tuple(state.aliases))

    async def rename_model(self, name: str, renaming: Renaming, expire_time: datetime) -> None:
        rename = ModelRename(
            name=renaming.target,
            former_name=name,
            sequence=renaming.sequence,
            redirect_expire_time=timestamp(expire_time),
        )
        try:
            await self._stub.RenameModel(RenameModelRequest(model_rename=rename))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "lifecycle") from error

"""Calls from one service to another: credential, deadline, retries, and errors that name who failed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.catalog.v1 import watch_pb2
from greenroom.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from greenroomd.platform.channels import DEADLINE, Channels, from_rpc_error
from greenroomd.platform.context import Call, current_call, enter_call
from greenroomd.platform.errors import NotFound, Unavailable
from support.chained import CATALOG, Running, running

if TYPE_CHECKING:
    from greenroom.catalog.v1.catalog_service_pb2_grpc import CatalogServiceAsyncStub

GET = pb.GetModelRequest(name="namespaces/demo/models/digits")


@pytest.fixture
async def channels(catalog: Running) -> AsyncIterator[Channels]:
    channels = Channels({"catalog": catalog.address}, lambda: catalog.token)
    yield channels
    await channels.close()


def stub(channels: Channels) -> CatalogServiceAsyncStub:
    return CatalogServiceStub(channels.to("catalog"))


async def test_a_call_carries_token_correlation_id_and_deadline(catalog: Running, channels: Channels) -> None:
    seen: list[tuple[str, str, float]] = []

    async def look(request: Any, context: Any) -> Any:
        call = current_call()
        assert call.principal is not None
        assert call.deadline is not None
        seen.append((call.principal.id, call.correlation_id, call.deadline - time.monotonic()))
        return pb.GetModelResponse()

    catalog.on("GetModel", look)
    enter_call(Call("/outer", correlation_id="outer-call"))
    await stub(channels).GetModel(GET)
    await stub(channels).GetModel(GET, timeout=1)
    enter_call(Call("/outer", correlation_id="outer-call", deadline=time.monotonic() + 2))
    await stub(channels).GetModel(GET)
    assert [one[:2] for one in seen] == [("admin", "outer-call")] * 3
    for (_, _, left), expected in zip(seen, (DEADLINE, 1, 2), strict=True):
        assert left == pytest.approx(expected, abs=0.5)


async def test_a_watch_has_no_deadline(catalog: Running, channels: Channels) -> None:
    seen: list[float | None] = []

    async def look(request: Any, context: Any) -> AsyncIterator[Any]:
        seen.append(current_call().deadline)
        yield watch_pb2.WatchChangesResponse(through_revision=3)

    catalog.on("WatchChanges", look)
    received = [r.through_revision async for r in stub(channels).WatchChanges(watch_pb2.WatchChangesRequest())]
    assert (seen, received) == ([None], [3])


async def test_what_a_sibling_raised_comes_back_as_it_was(catalog: Running, channels: Channels) -> None:
    catalog.raises("GetModel", NotFound("MODEL_NOT_FOUND", "there is no such model", model="x"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub(channels).GetModel(GET)
    error = from_rpc_error(caught.value)
    assert isinstance(error, NotFound)
    assert (error.reason, error.message, error.metadata) == (
        "MODEL_NOT_FOUND",
        "there is no such model",
        {"model": "x"},
    )


async def test_a_sibling_that_is_away_is_named(tmp_path: Path) -> None:
    async with running(tmp_path) as catalog:
        address = catalog.address
    channels = Channels({"catalog": address}, lambda: "t")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub(channels).GetModel(GET, timeout=1)
    await channels.close()
    error = from_rpc_error(caught.value)
    assert isinstance(error, Unavailable)
    assert (error.reason, error.metadata) == ("DEPENDENCY_UNAVAILABLE", {"dependency": "catalog"})


async def test_a_refused_service_credential_is_not_the_callers_fault(catalog: Running) -> None:
    channels = Channels({"catalog": catalog.address}, lambda: "gr_x_wrong")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub(channels).GetModel(GET)
    await channels.close()
    error = from_rpc_error(caught.value)
    assert isinstance(error, Unavailable)
    assert "catalog refused this service's own credential" in error.message


async def test_unavailable_is_tried_again(catalog: Running, channels: Channels) -> None:
    tries = 0

    async def third_time(request: Any, context: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Unavailable("DEPENDENCY_UNAVAILABLE", "not yet", dependency="postgresql")
        return pb.GetModelResponse()

    catalog.on("GetModel", third_time)
    await stub(channels).GetModel(GET)
    assert tries == 3


async def test_a_cancelled_caller_cancels_the_sibling(catalog: Running, channels: Channels) -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def slow(request: Any, context: Any) -> Any:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    catalog.on("GetModel", slow)

    async def ask() -> None:
        await stub(channels).GetModel(GET)

    asking = asyncio.create_task(ask())
    await started.wait()
    asking.cancel()
    await asyncio.wait_for(stopped.wait(), 5)


async def test_an_unknown_sibling_is_named(channels: Channels) -> None:
    with pytest.raises(KeyError, match="no address for the search service"):
        channels.to("search")
    assert channels.to("catalog") is channels.to("catalog")
    assert CATALOG.endswith("CatalogService")

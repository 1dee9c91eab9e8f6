"""The seven guarantees of a watch, under 8 writers, with the service killed at random and at least 50 resumes.

The run happens once with Redis and once with Redis stopped; each guarantee is then a test of that name.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest

from conftest import execute, url_of
from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.watch_pb2 import CatalogChange, WatchChangesRequest
from greenroom.type.v1.change_pb2 import WatchFilter
from greenroomd.embedded import Endpoints
from support import history as guarantees
from support.cluster import UNKNOWN
from support.history import History, Stream
from support.processes import Identities, ServiceProcess, free_port

WRITERS = 8
WRITES_EACH = 60
KILLS = 3
RESUMES = 50


@pytest.fixture(scope="module", params=["redis", "redis stopped"])
def history(request: pytest.FixtureRequest, embedded: Endpoints, template: str) -> Iterator[History]:
    """One run, recorded."""
    folder = Path(tempfile.mkdtemp(prefix="greenroom-watch-"))
    name = f"watch_{uuid4().hex}"
    asyncio.run(execute(embedded, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))
    identities = Identities.create(folder)
    redis = embedded.redis_url if request.param == "redis" else f"unix://{folder}/nobody-listens.sock"
    nowhere = f"127.0.0.1:{free_port()}"
    environment = {
        **identities.environment(url_of(embedded, name), redis),
        "GREENROOM_ARTIFACT_ADDRESS": nowhere,
        "GREENROOM_LIFECYCLE_ADDRESS": nowhere,
    }
    service = ServiceProcess("catalog", environment, folder / "catalog.log")
    service.start()
    try:
        yield asyncio.run(record(service, identities.tokens["admin"]))
    finally:
        service.close()
        asyncio.run(execute(embedded, f"DROP DATABASE {name} WITH (FORCE)"))
        shutil.rmtree(folder)


class Client:
    """A stub with a token on every call."""

    def __init__(self, address: str, token: str) -> None:
        # Each stream and writer has its own connection: gRPC would otherwise share one and its back-off.
        options = [("grpc.max_reconnect_backoff_ms", 200), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.aio.insecure_channel(address, options=options)
        self.stub = CatalogServiceStub(self.channel)
        self.metadata = (("authorization", f"Bearer {token}"),)


async def record(service: ServiceProcess, token: str) -> History:
    """Write, watch, kill and resume; return what happened."""
    run = History()
    client = Client(service.address, token)
    for team in ("red", "blue"):
        request = pb.CreateNamespaceRequest(namespace=Namespace(name=f"namespaces/{team}"), request_id=str(uuid4()))
        answer = await client.stub.CreateNamespace(request, metadata=client.metadata)
        run.acknowledged[request.request_id] = answer.revision
    run.streams = [
        Stream(),
        Stream(filter_prefix="namespaces/red"),
        Stream(filter_prefix="namespaces/blue", filter_type="model.updated"),
        Stream(filter_type="model.created"),
    ]
    end: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    watchers = [
        asyncio.create_task(watch(Client(service.address, token), stream, end, random.Random(number)))
        for number, stream in enumerate(run.streams)
    ]
    killer = asyncio.create_task(kill_at_random(service, run))
    await asyncio.gather(*(write(Client(service.address, token), number, run) for number in range(WRITERS)))
    await killer
    run.log = await whole_log(client)
    end.set_result(len(run.log))
    await asyncio.wait_for(asyncio.gather(*watchers), 60)
    await client.channel.close()
    return run


async def write(client: Client, writer: int, run: History) -> None:
    """Create and update models, repeating a write whose outcome is unknown with the same request id."""
    rng = random.Random(writer)
    for number in range(WRITES_EACH):
        team = rng.choice(("red", "blue"))
        name = f"namespaces/{team}/models/m{writer}-{number}"
        await until_known(client, pb.CreateModelRequest(model=Model(name=name), request_id=str(uuid4())), run)
        change = Model(name=name, description="x" * rng.randrange(1, 2000))
        await until_known(client, pb.UpdateModelRequest(model=change, request_id=str(uuid4())), run)
        stale = Model(name=name, description="never", etag="stale")
        await until_known(client, pb.UpdateModelRequest(model=stale, request_id=str(uuid4())), run)
    await client.channel.close()


async def until_known(client: Client, request: pb.CreateModelRequest | pb.UpdateModelRequest, run: History) -> None:
    create = isinstance(request, pb.CreateModelRequest)
    call: Any = client.stub.CreateModel if create else client.stub.UpdateModel
    while True:
        try:
            answer = await call(request, metadata=client.metadata, timeout=5)
        except grpc.aio.AioRpcError as error:
            if error.code() in UNKNOWN:
                await asyncio.sleep(0.05)
                continue
            assert error.code() is grpc.StatusCode.ABORTED, error
            run.refused.add(request.request_id)
            return
        run.acknowledged[request.request_id] = answer.revision
        return


async def watch(client: Client, stream: Stream, end: asyncio.Future[int], rng: random.Random) -> None:
    """Follow the log from its beginning, breaking off and resuming, until the end is known and reached."""
    token = ""
    filter = WatchFilter(
        resources=[stream.filter_prefix] if stream.filter_prefix else [],
        types=[stream.filter_type] if stream.filter_type else [],
    )
    while True:
        start: dict[str, Any] = {"resume_token": token} if token else {"after_revision": 0}
        request = WatchChangesRequest(filter=filter, bookmark_interval_ms=200, **start)
        call = client.stub.WatchChanges(request, metadata=client.metadata)
        messages_left = rng.randrange(2, 12)
        try:
            async for response in call:
                stream.responses.append(response)
                token = response.resume_token
                messages_left -= 1
                finished = end.done() and response.through_revision >= end.result()
                if finished and stream.resumes >= RESUMES:
                    call.cancel()
                    await client.channel.close()
                    return
                if messages_left == 0:
                    break
        except grpc.aio.AioRpcError as error:
            assert error.code() in UNKNOWN, error
            await asyncio.sleep(0.05)
        call.cancel()
        stream.resumes += 1


async def kill_at_random(service: ServiceProcess, run: History) -> None:
    rng = random.Random(7)
    for _ in range(KILLS):
        await asyncio.sleep(rng.uniform(0.3, 1.2))
        await asyncio.to_thread(service.kill)
        await asyncio.to_thread(service.start)
        run.kills += 1


async def whole_log(client: Client) -> list[CatalogChange]:
    """Read the log from its beginning to its end of now."""
    head = None
    changes: list[CatalogChange] = []
    probe = client.stub.WatchChanges(WatchChangesRequest(), metadata=client.metadata)
    async for response in probe:
        head = response.through_revision
        break
    probe.cancel()
    call = client.stub.WatchChanges(WatchChangesRequest(after_revision=0), metadata=client.metadata)
    async for response in call:
        changes.extend(response.changes)
        if response.through_revision == head:
            break
    call.cancel()
    return changes


def test_the_run_was_hard_enough(history: History) -> None:
    assert history.kills == KILLS
    assert all(stream.resumes >= RESUMES for stream in history.streams)
    assert len(history.acknowledged) == 2 + WRITERS * WRITES_EACH * 2
    assert len(history.refused) == WRITERS * WRITES_EACH


def test_ordered(history: History) -> None:
    guarantees.ordered(history)


def test_unique(history: History) -> None:
    guarantees.unique(history)


def test_atomic(history: History) -> None:
    guarantees.atomic(history)


def test_reliable(history: History) -> None:
    guarantees.reliable(history)


def test_resumable(history: History) -> None:
    guarantees.resumable(history)


def test_filterable(history: History) -> None:
    guarantees.filterable(history)


def test_bookmarkable(history: History) -> None:
    guarantees.bookmarkable(history)


def test_the_chain_of_hashes_is_unbroken(history: History) -> None:
    previous = bytes(32)
    for change in history.log:
        assert change.metadata.previous_hash == previous
        previous = change.metadata.hash

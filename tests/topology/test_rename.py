"""kill -9 of the catalog and of lifecycle while models are renamed: repeating the call finishes it, nothing is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from uuid import uuid4

import grpc
import grpc.aio
import pytest

from greenroom.catalog.v1 import catalog_service_pb2 as catalog
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as lifecycle
from greenroomd.embedded import Endpoints
from support.artifacts import commit
from support.cluster import UNKNOWN, Cluster, cluster, until_known
from support.server import open_stubs

DEMO = "namespaces/demo"
ROUNDS = 4


@pytest.fixture
def running(embedded: Endpoints, template: str) -> Iterator[Cluster]:
    with cluster(embedded, template) as made:
        yield made


def test_renamings_survive_kills(running: Cluster) -> None:
    asyncio.run(rename_and_kill(running))


async def prepare(running: Cluster, model: str) -> None:
    """Create a model with a version in production."""
    admin = running.identities.tokens["admin"]
    stub = running.stubs("catalog")
    await stub.CreateNamespace(catalog.CreateNamespaceRequest(namespace=Namespace(name=DEMO)))
    await stub.CreateModel(catalog.CreateModelRequest(model=Model(name=model)))
    artifact = open_stubs(running.processes["artifact"].address, admin)
    running.opened.append(artifact)
    digest = await commit(artifact, DEMO, {"w": b"weights"})
    request = catalog.CreateVersionRequest(parent=model, version=Version(artifact_digest=digest))
    version = (await stub.CreateVersion(request)).version.name
    for stage in ("staging", "production"):
        move = lifecycle.RequestTransitionRequest(parent=DEMO, versions=[version], target_stage=stage)
        await running.stubs("lifecycle").RequestTransition(move)


async def rename_and_kill(running: Cluster) -> None:
    chance = random.Random(3)
    names = [f"{DEMO}/models/name-{number}" for number in range(ROUNDS + 1)]
    await prepare(running, names[0])
    killed = (["lifecycle"], ["catalog"], ["lifecycle", "catalog"], ["catalog"])
    for victims, former, new in zip(killed, names[:-1], names[1:], strict=True):
        request = catalog.RenameModelRequest(name=former, model_id=new.rsplit("/", 1)[1], request_id=str(uuid4()))
        renaming = asyncio.create_task(once(running, request))
        await asyncio.sleep(chance.uniform(0, 0.02))
        for victim in victims:
            running.processes[victim].kill()
        await renaming
        for victim in victims:
            await asyncio.to_thread(running.processes[victim].start)
        await both_names_work(running, former, new)
        answer = await until_known(running.stubs("catalog").RenameModel, request)
        assert answer.model.name == new
        await both_names_work(running, former, new)
    await both_names_work(running, names[0], names[-1])
    got = await until_known(running.stubs("catalog").GetModel, catalog.GetModelRequest(name=names[0]))
    assert [one.name for one in got.model.former_names] == names[-2::-1]
    await running.close()


async def once(running: Cluster, request: catalog.RenameModelRequest) -> None:
    """Rename without knowing whether it happened."""
    try:
        await running.stubs("catalog").RenameModel(request, timeout=5)
    except grpc.aio.AioRpcError as error:
        if error.code() not in UNKNOWN:
            raise


async def both_names_work(running: Cluster, former: str, new: str) -> None:
    """Check that a version in production is found by each name that the model surely has or had."""
    current = (await until_known(running.stubs("catalog").GetModel, catalog.GetModelRequest(name=former))).model.name
    for name in {former, current}:
        state = lifecycle.GetModelStateRequest(name=name)
        got = (await until_known(running.stubs("lifecycle").GetModelState, state)).state
        held = [holders.versions for holders in got.stages if holders.stage == "production"]
        assert [version.rsplit("/", 1)[1] for versions in held for version in versions] == ["1"]
        selector = name.replace("namespaces/", "").replace("/models/", "/") + "@latest"
        found = await until_known(running.stubs("lifecycle").Resolve, lifecycle.ResolveRequest(selector=selector))
        assert found.resolution.stage == "production"
        assert found.resolution.version in (f"{former}/versions/1", f"{new}/versions/1", f"{current}/versions/1")

"""Deleting against everything that may happen at the same moment."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import asyncpg
import grpc
import grpc.aio
import pytest

from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as life
from support.artifacts import commit
from support.server import RunningServer, Stubs, refusal, refused

DEMO = "namespaces/demo"
DIGITS = f"{DEMO}/models/digits"


@pytest.fixture
async def admin(server: RunningServer) -> Stubs:
    stubs = server.as_("admin")
    await stubs.catalog.CreateNamespace(pb.CreateNamespaceRequest(namespace=Namespace(name=DEMO)))
    await stubs.catalog.CreateModel(pb.CreateModelRequest(model=Model(name=DIGITS)))
    return stubs


async def register(stubs: Stubs, content: bytes) -> str:
    digest = await commit(stubs, DEMO, {"w": content})
    request = pb.CreateVersionRequest(parent=DIGITS, version=Version(artifact_digest=digest))
    return str((await stubs.catalog.CreateVersion(request)).version.name)


def move(version: str, stage: str) -> life.RequestTransitionRequest:
    return life.RequestTransitionRequest(parent=DEMO, versions=[version], target_stage=stage)


async def test_deletions_and_a_promotion_at_once_never_leave_a_deleted_version_in_a_stage(admin: Stubs) -> None:
    outcomes = set()
    for attempt in range(15):
        version = await register(admin, bytes([attempt]))
        delete = pb.DeleteVersionRequest(name=version)
        barrier = asyncio.Barrier(3)

        async def together(call: object, request: object, barrier: asyncio.Barrier = barrier) -> object:
            await barrier.wait()
            return await call(request)  # type: ignore[operator]

        results = await asyncio.gather(
            together(admin.catalog.DeleteVersion, delete),
            together(admin.catalog.DeleteVersion, delete),
            together(admin.lifecycle.RequestTransition, move(version, "staging")),
            return_exceptions=True,
        )
        reasons = {refusal(r).reason for r in results if isinstance(r, grpc.aio.AioRpcError)}
        assert reasons <= {"CONFLICT", "VERSION_IN_USE", "VERSION_DELETED", "VERSION_NOT_FOUND"}, reasons
        got = (await admin.catalog.GetVersion(pb.GetVersionRequest(name=version))).version
        states = await admin.lifecycle.BatchGetVersionStates(
            life.BatchGetVersionStatesRequest(parent=DIGITS, versions=[version])
        )
        stage = states.states[0].stage
        assert got.state in (Version.STATE_READY, Version.STATE_DELETED)
        assert not (got.state == Version.STATE_DELETED and stage == "staging")
        outcomes.add((got.state, stage))
    assert outcomes, "nothing happened"


async def test_a_deletion_that_a_crash_interrupted_is_finished_by_the_next(
    admin: Stubs, server: RunningServer, database_url: str
) -> None:
    version = await register(admin, b"1")
    got = (await admin.catalog.GetVersion(pb.GetVersionRequest(name=version))).version
    got.state = Version.STATE_DELETING
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    await connection.execute(
        "UPDATE catalog.versions SET state = $1, message = $2, deletion_lease = $3 WHERE name = $4",
        got.state,
        got.SerializeToString(),
        uuid4(),
        version,
    )
    await connection.close()
    waiting = await refused(admin.lifecycle.RequestTransition(move(version, "staging")))
    assert (waiting.code, waiting.reason) == (grpc.StatusCode.ABORTED, "CONFLICT")
    deleted = await admin.catalog.DeleteVersion(pb.DeleteVersionRequest(name=version))
    assert deleted.version.state == Version.STATE_DELETED


async def test_a_refused_deletion_leaves_a_version_that_can_be_promoted(admin: Stubs) -> None:
    version = await register(admin, b"1")
    await admin.lifecycle.RequestTransition(move(version, "staging"))
    answer = await refused(admin.catalog.DeleteVersion(pb.DeleteVersionRequest(name=version)))
    assert answer.reason == "VERSION_IN_USE"
    await admin.lifecycle.RequestTransition(move(version, "production"))

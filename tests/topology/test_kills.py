"""kill -9 of each service during push, promote and watch: what was acknowledged is there, watches miss nothing."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest

from greenroom.artifact.v1 import artifact_service_pb2 as artifact
from greenroom.artifact.v1.blob_pb2 import Blob
from greenroom.catalog.v1 import catalog_service_pb2 as catalog
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as lifecycle
from greenroom.lifecycle.v1.watch_pb2 import LifecycleChange, WatchChangesRequest
from greenroom.search.v1 import search_service_pb2 as search
from greenroomd.embedded import Endpoints
from support.artifacts import config_of, digest_of, manifest_of
from support.cluster import UNKNOWN, Cluster, cluster, until_known

DEMO = "namespaces/demo"
DIGITS = f"{DEMO}/models/digits"
PUSHERS = 3
PUSHES_EACH = 4
SIZE = 6 << 20


@dataclass
class Run:
    """What clients were told, and what a subscriber saw."""

    registered: dict[str, bytes] = field(default_factory=dict)
    """File content by version name, as acknowledged."""
    promoted: dict[str, int] = field(default_factory=dict)
    """Revision of the promotion to production by version name, as acknowledged."""
    seen: list[LifecycleChange] = field(default_factory=list)
    resumes: int = 0
    log: list[LifecycleChange] = field(default_factory=list)
    kills: int = 0


@pytest.fixture(scope="module")
def running(embedded: Endpoints, template: str) -> Iterator[Cluster]:
    with cluster(embedded, template) as made:
        yield made


@pytest.fixture(scope="module")
def run(running: Cluster) -> Run:
    return asyncio.run(record(running))


async def record(running: Cluster) -> Run:
    run = Run()
    stub = running.stubs("catalog")
    await stub.CreateNamespace(catalog.CreateNamespaceRequest(namespace=Namespace(name=DEMO)))
    await stub.CreateModel(catalog.CreateModelRequest(model=Model(name=DIGITS)))
    watching = asyncio.create_task(watch(running, run))
    pushing = [asyncio.create_task(push_and_promote(running, run, number)) for number in range(PUSHERS)]
    rng = random.Random(5)
    for service in itertools.islice(itertools.cycle(running.processes.values()), 8):
        if all(task.done() for task in pushing):
            break
        await asyncio.sleep(rng.uniform(0.2, 0.8))
        await asyncio.to_thread(service.kill)
        await asyncio.to_thread(service.start)
        run.kills += 1
    await asyncio.wait_for(asyncio.gather(*pushing), 60)
    run.log = [change async for change in read_log(running)]
    while len(run.seen) < len(run.log):
        await asyncio.sleep(0.05)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await running.close()
    return run


async def push_and_promote(running: Cluster, run: Run, pusher: int) -> None:
    """Register versions and move each to production, as a pipeline would."""
    artifacts, versions, stages = (running.stubs(name) for name in ("artifact", "catalog", "lifecycle"))
    rng = random.Random(pusher)
    for _ in range(PUSHES_EACH):
        content = rng.randbytes(SIZE)
        files = {"weights.bin": content}
        for part in (content, config_of(files)):
            await upload(artifacts, part)
        commit = artifact.CreateArtifactRequest(parent=DEMO, manifest=manifest_of(files), request_id=str(uuid4()))
        digest = (await until_known(artifacts.CreateArtifact, commit)).artifact.digest
        register = catalog.CreateVersionRequest(
            parent=DIGITS, version=Version(artifact_digest=digest), request_id=str(uuid4())
        )
        version = (await until_known(versions.CreateVersion, register)).version.name
        run.registered[version] = content
        for stage in ("staging", "production"):
            move = lifecycle.RequestTransitionRequest(
                parent=DEMO, versions=[version], target_stage=stage, request_id=str(uuid4())
            )
            answer = await until_known(stages.RequestTransition, move)
            if stage == "production":
                run.promoted[version] = answer.revision


async def upload(stub: Any, content: bytes) -> None:
    """Bring one blob, going on from the committed size after each broken stream."""
    blob = Blob(digest=digest_of(content), size_bytes=len(content))
    opening = artifact.CreateUploadRequest(parent=DEMO, blob=blob, request_id=str(uuid4()))
    while True:
        session = (await until_known(stub.CreateUpload, opening)).upload
        if session.complete:
            return
        opening.request_id = str(uuid4())

        def messages(session: Any = session) -> Iterator[artifact.WriteUploadRequest]:
            yield artifact.WriteUploadRequest(name=session.name, offset=session.committed_size)
            for start in range(session.committed_size, len(content), 1 << 18):
                yield artifact.WriteUploadRequest(data=content[start : start + (1 << 18)])

        try:
            await stub.WriteUpload(messages(), timeout=20)
        except grpc.aio.AioRpcError as error:
            assert error.code() in UNKNOWN | {grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.NOT_FOUND}, error
            await asyncio.sleep(0.1)


async def watch(running: Cluster, run: Run) -> None:
    """Follow the lifecycle log from its beginning through every restart."""
    stub = running.stubs("lifecycle")
    token = ""
    while True:
        start: dict[str, Any] = {"resume_token": token} if token else {"after_revision": 0}
        try:
            async for response in stub.WatchChanges(WatchChangesRequest(**start)):
                run.seen += response.changes
                token = response.resume_token
        except grpc.aio.AioRpcError as error:
            assert error.code() in UNKNOWN, error
        run.resumes += 1
        await asyncio.sleep(0.05)


async def read_log(running: Cluster) -> Any:
    stub = running.stubs("lifecycle")
    probe = stub.WatchChanges(WatchChangesRequest())
    head = (await probe.read()).through_revision
    probe.cancel()
    call = stub.WatchChanges(WatchChangesRequest(after_revision=0))
    async for response in call:
        for change in response.changes:
            yield change
        if response.through_revision >= head:
            break
    call.cancel()


def test_services_were_killed_and_the_watch_broke(run: Run) -> None:
    assert run.kills >= 4
    assert run.resumes >= 1


def test_acknowledged_versions_are_there_with_their_bytes(running: Cluster, run: Run) -> None:
    async def check() -> None:
        stub, blobs = running.stubs("catalog"), running.stubs("artifact")
        listed = await stub.ListVersions(catalog.ListVersionsRequest(parent=DIGITS, page_size=1000))
        assert {version.name for version in listed.versions} == set(run.registered)
        assert sorted(version.number for version in listed.versions) == list(range(1, PUSHERS * PUSHES_EACH + 1))
        for content in run.registered.values():
            call = blobs.ReadBlob(artifact.ReadBlobRequest(parent=DEMO, digest=digest_of(content)))
            received = hashlib.sha256()
            async for response in call:
                received.update(response.data)
            assert "sha256:" + received.hexdigest() == digest_of(content)
        await running.close()

    assert len(run.registered) == PUSHERS * PUSHES_EACH
    asyncio.run(check())


def test_acknowledged_promotions_are_in_the_log_at_their_revision(run: Run) -> None:
    by_revision = {change.metadata.revision: change for change in run.log}
    for version, revision in run.promoted.items():
        transition = by_revision[revision].after.transition
        assert [move.to_stage for move in transition.moves if move.version == version] == ["production"]


def test_the_watch_resumed_without_gap_or_duplicate(run: Run) -> None:
    assert [change.metadata.revision for change in run.seen] == list(range(1, len(run.log) + 1))
    assert [c.metadata.id for c in run.seen] == [c.metadata.id for c in run.log]


def test_no_revision_shows_two_versions_in_production_or_none_again(run: Run) -> None:
    holders: set[str] = set()
    filled = False
    for change in run.log:
        for move in change.after.transition.moves:
            if move.from_stage == "production":
                holders.remove(move.version)
            if move.to_stage == "production":
                holders.add(move.version)
        filled = filled or bool(holders)
        assert len(holders) == int(filled), f"revision {change.metadata.revision} shows {holders}"


def test_search_catches_up_and_agrees(running: Cluster, run: Run) -> None:
    async def stages() -> dict[str, str]:
        stub = running.stubs("search")
        request = search.SearchVersionsRequest(page_size=200)
        request.min_revisions.add(service="lifecycle", revision=len(run.log))
        answer = await until_known(stub.SearchVersions, request, timeout=10)
        await running.close()
        return {hit.version.name: hit.stage for hit in answer.hits}

    last = max(run.promoted, key=lambda version: run.promoted[version])
    expected = {version: "production" if version == last else "archived" for version in run.registered}
    assert asyncio.run(stages()) == expected

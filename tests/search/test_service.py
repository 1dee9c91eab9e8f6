"""Search through a channel, fed by the catalog and the lifecycle service themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import grpc
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from greenroom.catalog.v1 import catalog_service_pb2 as catalog
from greenroom.catalog.v1.facts_pb2 import Dataset, Facts, Metric
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as lifecycle
from greenroom.lifecycle.v1.deployment_pb2 import Deployment
from greenroom.search.v1 import search_service_pb2 as pb
from greenroom.search.v1.watch_pb2 import WatchChangesRequest
from greenroom.type.v1.service_revision_pb2 import ServiceRevision
from greenroom.type.v1.value_pb2 import Value
from greenroomd.application import start
from greenroomd.embedded import Endpoints
from greenroomd.platform.server import ServerSettings
from support.artifacts import commit
from support.processes import Identities, ServiceProcess
from support.server import RunningServer, Stubs, open_stubs, refused

DEMO = "namespaces/demo"
DIGITS = f"{DEMO}/models/digits"


async def prepare(stubs: Stubs) -> None:
    await stubs.catalog.CreateNamespace(catalog.CreateNamespaceRequest(namespace=Namespace(name=DEMO)))
    await stubs.catalog.CreateModel(catalog.CreateModelRequest(model=Model(name=DIGITS)))


@pytest.fixture
async def admin(server: RunningServer) -> Stubs:
    stubs = server.as_("admin")
    await prepare(stubs)
    return stubs


async def register(stubs: Stubs, digest: str, **fields: Any) -> catalog.CreateVersionResponse:
    request = catalog.CreateVersionRequest(
        parent=DIGITS, version=Version(artifact_digest=digest, **fields), allow_duplicate_artifact=True
    )
    answer: catalog.CreateVersionResponse = await stubs.catalog.CreateVersion(request)
    return answer


async def report(stubs: Stubs, place: str, version: str, state: Deployment.State.ValueType, environment: str) -> int:
    deployment = Deployment(name=f"{DIGITS}/deployments/{place}", version=version, state=state, environment=environment)
    answer = await stubs.lifecycle.ReportDeployment(lifecycle.ReportDeploymentRequest(deployment=deployment))
    return int(answer.revision)


def at_least(**revisions: int) -> list[ServiceRevision]:
    return [ServiceRevision(service=service, revision=revision) for service, revision in revisions.items()]


def names_of(answer: pb.SearchVersionsResponse) -> list[str]:
    return [hit.version.name for hit in answer.hits]


async def test_one_search_joins_a_metric_a_dataset_and_a_deployment_status(admin: Stubs) -> None:
    digest = await commit(admin, DEMO, {"weights.bin": b"weights"})
    expected = set()
    catalog_revision = lifecycle_revision = 0
    for number in range(1, 17):
        good, trained, running = bool(number & 1), bool(number & 2), bool(number & 4)
        metrics = [
            Metric(name="f1", dataset="holdout", value=0.95 if good else 0.85),
            Metric(name="f1", dataset="train", value=0.99),
        ]
        datasets = [Dataset(name="digits-2026-10" if trained else "digits-2025-01", digest="sha256:" + "ab" * 32)]
        registered = await register(admin, digest, facts=Facts(metrics=metrics, datasets=datasets))
        catalog_revision, name = registered.revision, registered.version.name
        state = Deployment.STATE_RUNNING if running else Deployment.STATE_FAILED
        lifecycle_revision = await report(admin, f"place-{number}", name, state, "eu-prod")
        if good and trained and running:
            expected.add(name)
    answer = await admin.search.SearchVersions(
        pb.SearchVersionsRequest(
            parent=DEMO,
            filter='metric.f1@holdout > 0.9 AND dataset = "digits-2026-10" AND deployment.state = "running"',
            min_revisions=at_least(catalog=catalog_revision, lifecycle=lifecycle_revision),
        )
    )
    assert set(names_of(answer)) == expected
    assert len(answer.hits) == len(expected) == 2
    for hit in answer.hits:
        assert hit.stage == "development"
        assert [place.state for place in hit.deployments] == [Deployment.STATE_RUNNING]
        assert hit.version.facts.metrics[0].value == 0.95
    assert {each.service: each.revision for each in answer.positions} == {
        "catalog": catalog_revision,
        "lifecycle": lifecycle_revision,
    }


async def test_a_promotion_an_alias_and_a_deletion_are_found(admin: Stubs) -> None:
    digest = await commit(admin, DEMO, {"weights.bin": b"weights"})
    first, second, third = [(await register(admin, digest)).version.name for _ in range(3)]
    await admin.lifecycle.SetAlias(lifecycle.SetAliasRequest(name=f"{DIGITS}/aliases/champion", version=first))
    move = lifecycle.RequestTransitionRequest(parent=DEMO, versions=[first], target_stage="staging")
    moved = await admin.lifecycle.RequestTransition(move)
    deleted = await admin.catalog.DeleteVersion(catalog.DeleteVersionRequest(name=third))
    fresh = at_least(catalog=deleted.revision, lifecycle=moved.revision)

    async def found(filter: str) -> list[str]:
        request = pb.SearchVersionsRequest(filter=filter, order_by="number", min_revisions=fresh)
        return names_of(await admin.search.SearchVersions(request))

    assert await found('stage = "staging" AND alias = "champion"') == [first]
    assert await found('stage = "development"') == [second]
    assert await found("") == [first, second]


async def test_pages_follow_their_tokens_and_refuse_those_of_others(admin: Stubs) -> None:
    digest = await commit(admin, DEMO, {"weights.bin": b"weights"})
    registered = [await register(admin, digest, tags={"n": Value(int_value=n % 3)}) for n in range(7)]
    request = pb.SearchVersionsRequest(
        order_by="tag.n", page_size=3, min_revisions=at_least(catalog=registered[-1].revision)
    )
    seen: list[str] = []
    while True:
        answer = await admin.search.SearchVersions(request)
        seen += names_of(answer)
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
        del request.min_revisions[:]
    assert len(seen) == len(set(seen)) == 7
    other = pb.SearchVersionsRequest(order_by="number", page_token=request.page_token)
    assert (await refused(admin.search.SearchVersions(other))).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("fields", "code", "reason", "metadata"),
    [
        ({"filter": "stage = production"}, grpc.StatusCode.INVALID_ARGUMENT, "FILTER_MALFORMED", {"position": "8"}),
        ({"order_by": "number up"}, grpc.StatusCode.INVALID_ARGUMENT, "ORDER_MALFORMED", {"position": "7"}),
        ({"filter": "x" * 4097}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", {}),
        ({"query": "x" * 513}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", {}),
        ({"parent": "demo"}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", {}),
        ({"page_size": -1}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", {}),
        ({"page_token": "zzz"}, grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID", {}),
        ({"min_revisions": at_least(artifact=1)}, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", {}),
        ({"min_revisions": at_least(catalog=99)}, grpc.StatusCode.UNAVAILABLE, "INDEX_BEHIND", {"service": "catalog"}),
    ],
)
async def test_a_wrong_search_says_what_is_wrong(
    server: RunningServer, fields: dict[str, Any], code: grpc.StatusCode, reason: str, metadata: dict[str, str]
) -> None:
    viewer = server.as_("viewer")
    failure = await refused(viewer.search.SearchVersions(pb.SearchVersionsRequest(**fields), timeout=2))
    assert (failure.code, failure.reason) == (code, reason)
    assert metadata.items() <= failure.metadata.items()


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.05)


async def everything(stubs: Stubs, **fields: Any) -> list[bytes]:
    """Return all hits, comparable."""
    request = pb.SearchVersionsRequest(page_size=200, order_by="name", **fields)
    answer = await stubs.search.SearchVersions(request)
    return [hit.SerializeToString(deterministic=True) for hit in answer.hits]


async def some_history(stubs: Stubs) -> list[ServiceRevision]:
    digest = await commit(stubs, DEMO, {"weights.bin": b"weights"})
    versions = [(await register(stubs, digest)).version.name for _ in range(5)]
    move = lifecycle.RequestTransitionRequest(parent=DEMO, versions=[versions[0]], target_stage="staging")
    await stubs.lifecycle.RequestTransition(move)
    await stubs.lifecycle.SetAlias(lifecycle.SetAliasRequest(name=f"{DIGITS}/aliases/a", version=versions[1]))
    revision = await report(stubs, "edge", versions[2], Deployment.STATE_RUNNING, "eu")
    deleted = await stubs.catalog.DeleteVersion(catalog.DeleteVersionRequest(name=versions[4]))
    return at_least(catalog=deleted.revision, lifecycle=revision)


async def test_a_rebuilt_index_converges_to_the_same_answers(server: RunningServer, admin: Stubs) -> None:
    fresh = await some_history(admin)
    before = await everything(admin, min_revisions=fresh)
    assert len(before) == 4
    request = pb.RebuildIndexRequest(request_id=str(uuid4()))
    rebuilt = await admin.search.RebuildIndex(request)
    assert (rebuilt.index.generation, rebuilt.index.version_count, rebuilt.revision) == (1, 0, 1)
    assert await everything(admin, min_revisions=fresh) == before
    assert await admin.search.RebuildIndex(request) == rebuilt
    index = (await admin.search.GetIndex(pb.GetIndexRequest())).index
    assert (index.generation, index.version_count) == (1, 4)
    async for response in admin.search.WatchChanges(WatchChangesRequest(after_revision=0)):
        if response.changes:
            assert response.changes[0].metadata.type == "index.rebuilt"
            assert response.changes[0].after.index == rebuilt.index
            break
    refusal = await refused(server.as_("viewer").search.RebuildIndex(pb.RebuildIndexRequest()))
    assert refusal.reason == "PERMISSION_MISSING"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE catalog.log_head SET log_id = gen_random_uuid()",
        "DELETE FROM catalog.changes WHERE revision > 4; UPDATE catalog.log_head SET revision = 4",
        "UPDATE search.positions SET resume_token = 'garbage'",
    ],
    ids=["another-log", "log-set-back", "unreadable-token"],
)
async def test_an_index_of_another_log_is_rebuilt_by_itself(
    server: RunningServer, admin: Stubs, database_url: str, damage: str
) -> None:
    fresh = await some_history(admin)
    await everything(admin, min_revisions=fresh)
    await server.application.stop()
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        for statement in damage.split(";"):
            await connection.execute(text(statement))
    await engine.dispose()
    second = replace(
        server,
        application=await start(
            server.config, ("artifact", "catalog", "lifecycle", "search"), ServerSettings(port=0, grace_seconds=1)
        ),
        opened={},
    )
    try:
        stubs = second.as_("admin")

        async def rebuilt() -> bool:
            index = (await stubs.search.GetIndex(pb.GetIndexRequest())).index
            count = 2 if "DELETE" in damage else 4
            return bool(index.generation == 1 and index.version_count == count)

        await eventually(rebuilt)
    finally:
        await second.close()


@dataclass
class Apart:
    """Catalog with artifact, lifecycle, and search, each a process of its own."""

    identities: Identities
    processes: dict[str, ServiceProcess]
    opened: list[Stubs] = field(default_factory=list)

    def stubs(self) -> Stubs:
        """Return an admin's stubs, each service at its own process."""
        token = self.identities.tokens["admin"]
        apart = {name: open_stubs(process.address, token) for name, process in self.processes.items()}
        self.opened += apart.values()
        at: Any = SimpleNamespace(
            artifact=apart["catalog"].artifact,
            catalog=apart["catalog"].catalog,
            lifecycle=apart["lifecycle"].lifecycle,
            search=apart["search"].search,
        )
        return at  # type: ignore[no-any-return]

    async def close(self) -> None:
        for stubs in self.opened:
            await stubs.channel.close()
        for process in self.processes.values():
            process.close()


@pytest.fixture
async def apart(embedded: Endpoints, database_url: str, tmp_path: Path) -> AsyncIterator[Apart]:
    identities = Identities.create(tmp_path)
    environment = identities.environment(database_url, embedded.redis_url)
    targets = {"catalog": "artifact,catalog", "lifecycle": "lifecycle", "search": "search"}
    processes = {
        name: ServiceProcess(target, environment, tmp_path / f"{name}.log") for name, target in targets.items()
    }
    environment |= {
        f"GREENROOM_{service.upper()}_ADDRESS": processes[name].address
        for name, target in targets.items()
        for service in target.split(",")
    }
    apart = Apart(identities, processes)
    try:
        for process in processes.values():
            process.start()
        yield apart
    finally:
        await apart.close()


async def test_killed_while_indexing_it_loses_and_doubles_nothing(apart: Apart) -> None:
    stubs = apart.stubs()
    await prepare(stubs)
    digest = await commit(stubs, DEMO, {"weights.bin": b"weights"})
    search = apart.processes["search"]
    fresh: list[ServiceRevision] = []
    done = asyncio.Event()

    async def write() -> None:
        for number in range(120):
            tags = {"n": Value(int_value=number), "same": Value(string_value="x")}
            registered = await register(stubs, digest, tags=tags)
            revision = await report(stubs, f"p{number % 7}", registered.version.name, Deployment.STATE_RUNNING, "eu")
            fresh[:] = at_least(catalog=registered.revision, lifecycle=revision)
        done.set()

    writing = asyncio.create_task(write())
    kills = 0
    while not done.is_set() or kills < 3:
        await asyncio.sleep(0.2)
        search.kill()
        await asyncio.to_thread(search.start)
        kills += 1
    await writing
    after_kills = await everything(stubs, min_revisions=fresh)
    assert len(after_kills) == 120
    await stubs.search.RebuildIndex(pb.RebuildIndexRequest())
    assert await everything(stubs, min_revisions=fresh) == after_kills


async def test_while_one_source_is_away_the_other_keeps_flowing(apart: Apart) -> None:
    stubs = apart.stubs()
    await prepare(stubs)
    digest = await commit(stubs, DEMO, {"weights.bin": b"weights"})
    apart.processes["lifecycle"].kill()
    registered = await register(stubs, digest)
    fresh = at_least(catalog=registered.revision)
    assert len(await everything(stubs, min_revisions=fresh)) == 1
    await asyncio.to_thread(apart.processes["lifecycle"].start)
    revision = await report(stubs, "edge", registered.version.name, Deployment.STATE_RUNNING, "eu")
    found = await everything(stubs, filter='deployment.state = "running"', min_revisions=at_least(lifecycle=revision))
    assert len(found) == 1

"""Services and PostgreSQL away, one at a time: what goes on, how the rest says so, and that nothing is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
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
from greenroom.catalog.v1.watch_pb2 import WatchChangesRequest as CatalogWatch
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as lifecycle
from greenroom.lifecycle.v1.watch_pb2 import WatchChangesRequest as LifecycleWatch
from greenroom.search.v1 import search_service_pb2 as search
from greenroomd.platform.context import Call
from greenroomd.platform.database import Database
from greenroomd.platform.failures import classify
from support.artifacts import commit, digest_of
from support.cluster import until_known
from support.outages import FULL_NAMES, NOT_SERVING, SERVING, Installation, installation
from support.server import Refusal, refusal, refused
from support.subscribers import Follower, attached, eventually

DEMO = "namespaces/demo"
DIGITS = f"{DEMO}/models/digits"
FILE = b"weights of the first"
WRITERS = 4
DEADLINE = 2.0
LINES_A_SECOND = 4
"""Most that a service may say about an outage, calls not counted."""


@dataclass(frozen=True)
class Team:
    """Calls at a running installation, short."""

    running: Installation

    def __getattr__(self, service: str) -> Any:
        return self.running.stubs(service)

    async def artifact_of(self, content: bytes) -> str:
        class Only:
            artifact = self.running.stubs("artifact")

        stubs: Any = Only
        return await commit(stubs, DEMO, {"weights.bin": content})

    def register(self, digest: str) -> Any:
        version = Version(artifact_digest=digest)
        return self.catalog.CreateVersion(
            catalog.CreateVersionRequest(parent=DIGITS, version=version, allow_duplicate_artifact=True)
        )

    def move(self, number: int, stage: str) -> Any:
        versions = [f"{DIGITS}/versions/{number}"]
        return self.lifecycle.RequestTransition(
            lifecycle.RequestTransitionRequest(parent=DEMO, versions=versions, target_stage=stage)
        )

    async def resolve(self, selector: str, timeout: float = 5) -> str:
        request = lifecycle.ResolveRequest(selector=f"demo/digits{selector}")
        answer = await self.lifecycle.Resolve(request, timeout=timeout)
        return str(answer.resolution.version.rsplit("/", 1)[1])

    async def found(self, filter: str, **min_revisions: int) -> set[str]:
        request = search.SearchVersionsRequest(filter=filter)
        for service, revision in min_revisions.items():
            request.min_revisions.add(service=service, revision=revision)
        answer = await self.search.SearchVersions(request, timeout=10)
        return {hit.version.name.rsplit("/", 1)[1] for hit in answer.hits}

    def version(self, number: int, view: Any = catalog.VIEW_BASIC) -> Any:
        return self.catalog.GetVersion(catalog.GetVersionRequest(name=f"{DIGITS}/versions/{number}", view=view))

    async def bytes_of(self, content: bytes) -> bytes:
        request = artifact.ReadBlobRequest(parent=DEMO, digest=digest_of(content))
        return b"".join([response.data async for response in self.artifact.ReadBlob(request)])


@pytest.fixture(scope="module")
def installed() -> Iterator[Installation]:
    """An installation in which demo/digits has a version in production, which is its champion."""

    async def fill(team: Team) -> None:
        await team.catalog.CreateNamespace(catalog.CreateNamespaceRequest(namespace=Namespace(name=DEMO)))
        await team.catalog.CreateModel(catalog.CreateModelRequest(model=Model(name=DIGITS)))
        registered = await team.register(await team.artifact_of(FILE))
        await team.move(1, "staging")
        moved = await team.move(1, "production")
        alias = lifecycle.SetAliasRequest(name=f"{DIGITS}/aliases/champion", version=f"{DIGITS}/versions/1")
        await team.lifecycle.SetAlias(alias)
        revisions = {"catalog": registered.revision, "lifecycle": moved.revision}
        assert await team.found('stage = "production"', **revisions) == {"1"}
        await team.running.close()

    with installation() as made:
        asyncio.run(fill(Team(made)))
        yield made


@pytest.fixture
async def running(installed: Installation) -> AsyncIterator[Installation]:
    yield installed
    await installed.close()


@pytest.fixture
def team(running: Installation) -> Team:
    return Team(running)


async def check_away(call: Any, dependency: str) -> None:
    """The call must be refused because of a dependency, which the refusal names."""
    how = await refused(call)
    assert (how.code, how.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    assert how.metadata == {"dependency": dependency}
    assert dependency in how.message


async def check_health(running: Installation, away: str) -> None:
    """Each service that is there answers for itself by its name; the one that is away does not disturb it."""
    for service, name in FULL_NAMES.items():
        assert await running.health(service, name) == (None if service == away else SERVING)


async def test_without_the_artifact_service(running: Installation, team: Team) -> None:
    digest = await team.artifact_of(b"second")
    registered = await team.register(digest)
    number = registered.version.number
    request = catalog.CreateVersionRequest(
        parent=DIGITS, version=Version(artifact_digest=digest), allow_duplicate_artifact=True, request_id=str(uuid4())
    )
    with running.without("artifact"):
        await check_health(running, away="artifact")
        assert (await team.version(1)).version.artifact_digest
        assert len((await team.catalog.ListVersions(catalog.ListVersionsRequest(parent=DIGITS))).versions) == number
        moved = await team.move(number, "staging")
        assert await team.resolve("@staging") == str(number)
        assert await team.resolve("@production") == await team.resolve("@champion") == "1"
        revisions = {"catalog": registered.revision, "lifecycle": moved.revision}
        assert await team.found('stage = "staging"', **revisions) == {str(number)}
        await check_away(team.catalog.CreateVersion(request), "artifact")
        await check_away(team.version(1, catalog.VIEW_FULL), "artifact")
        upload = artifact.CreateUploadRequest(parent=DEMO, blob=Blob(digest=digest_of(b"x"), size_bytes=1))
        assert (await refused(team.artifact.CreateUpload(upload))).code is grpc.StatusCode.UNAVAILABLE
    assert await team.bytes_of(FILE) == FILE
    # The catalog finds it again by itself.
    assert (await until_known(team.catalog.CreateVersion, request)).version.number == number + 1


async def test_without_the_catalog(running: Installation, team: Team) -> None:
    with running.without("catalog"):
        await check_health(running, away="catalog")
        assert await team.resolve("@production") == await team.resolve("@champion") == "1"
        assert await team.bytes_of(FILE) == FILE
        assert await team.found('stage = "production"') == {"1"}
        await check_away(team.move(1, "archived"), "catalog")
        for selector in ("/1", "@latest"):
            await check_away(team.resolve(selector), "catalog")
        digest = await team.artifact_of(b"uploaded without the catalog")
    registered = await team.register(digest)
    assert await until_known(team.resolve, "@latest") == str(registered.version.number)
    assert await team.found(f"number = {registered.version.number}", catalog=registered.revision)


async def test_without_the_lifecycle_service(running: Installation, team: Team) -> None:
    with running.without("lifecycle"):
        await check_health(running, away="lifecycle")
        registered = await team.register(await team.artifact_of(b"third"))
        number = registered.version.number
        assert (await team.version(number)).version.number == number
        assert await team.found(f"number = {number}", catalog=registered.revision) == {str(number)}
        await check_away(team.version(1, catalog.VIEW_FULL), "lifecycle")
        request = catalog.GetModelRequest(name=DIGITS, view=catalog.VIEW_FULL)
        await check_away(team.catalog.GetModel(request), "lifecycle")
        delete = catalog.DeleteVersionRequest(name=f"{DIGITS}/versions/{number}")
        await check_away(team.catalog.DeleteVersion(delete), "lifecycle")
        assert (await team.version(number)).version.state == Version.STATE_READY
    await until_known(team.catalog.DeleteVersion, delete)
    assert (await team.version(1, catalog.VIEW_FULL)).state.stage == "production"


async def test_without_search(running: Installation, team: Team) -> None:
    with running.without("search"):
        await check_health(running, away="search")
        registered = await team.register(await team.artifact_of(b"fourth"))
        number = registered.version.number
        moved = await team.move(number, "staging")
        assert await team.resolve("@staging") == str(number)
    assert str(number) in await team.found('stage = "staging"', catalog=registered.revision, lifecycle=moved.revision)


async def test_a_restart_of_everything_loses_nothing(running: Installation, team: Team) -> None:
    before = await state(team)
    await running.close()
    assert await asyncio.to_thread(running.terminate) == [0] * len(running.processes)
    await asyncio.to_thread(running.start)
    assert await state(team) == before


async def state(team: Team) -> list[Any]:
    """Everything that an installation answers, its logs included."""
    versions = await team.catalog.ListVersions(catalog.ListVersionsRequest(parent=DIGITS, show_deleted=True))
    states = await team.lifecycle.GetModelState(lifecycle.GetModelStateRequest(name=DIGITS))
    logs = []
    for stub, request in ((team.catalog, CatalogWatch), (team.lifecycle, LifecycleWatch)):
        call = stub.WatchChanges(request(after_revision=0, bookmark_interval_ms=100))
        await call.read()
        logs.append((await call.read()).changes)
        call.cancel()
    return [versions, states, *logs, await team.bytes_of(FILE), await team.found("")]


def in_short(refused: Refusal) -> str:
    """Return the code, and the dependency that is to blame."""
    return f"{refused.code.name} {refused.metadata.get('dependency', '')}".rstrip()


@contextmanager
def postgres_away(running: Installation, how: str) -> Iterator[None]:
    if how == "frozen":
        with running.postgres_frozen():
            yield
        return
    if how == "killed":
        running.stack.postgres.process.kill()
    else:
        running.stack.stop_postgres()
    yield
    running.stack.start_postgres()


@dataclass
class Writing:
    """Clients that write all the time, each repeating a call until it knows how it ended."""

    stub: Any
    acknowledged: dict[int, float]
    """When each revision was acknowledged, by `time.monotonic`."""
    failures: set[str]
    """Codes and reasons of failed calls."""
    slowest: float = 0

    async def run(self, numbers: count[int]) -> None:
        while True:
            model = Model(name=f"{DEMO}/models/m{uuid4()}-{next(numbers)}")
            request = catalog.CreateModelRequest(model=model, request_id=str(uuid4()))
            while not await self._attempt(request):
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.02)

    async def _attempt(self, request: catalog.CreateModelRequest) -> bool:
        started = time.monotonic()
        try:
            answer = await self.stub.CreateModel(request, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            self.failures.add(in_short(refusal(error)))
            return False
        finally:
            self.slowest = max(self.slowest, time.monotonic() - started)
        self.acknowledged[answer.revision] = time.monotonic()
        return True


@pytest.mark.parametrize(
    ("how", "codes"),
    [
        ("stopped", {"UNAVAILABLE postgresql"}),
        ("killed", {"UNAVAILABLE postgresql"}),
        ("frozen", {"DEADLINE_EXCEEDED", "UNAVAILABLE postgresql"}),
    ],
)
async def test_postgresql_away(
    running: Installation, how: str, codes: set[str], record_property: Callable[[str, object], None]
) -> None:
    followers = [Follower(running.stubs("catalog")), Follower(running.stubs("catalog-b"))]
    writing = Writing(running.stubs("catalog"), {}, set())
    logs = running.log_sizes()
    started = time.monotonic()
    async with attached(*followers):
        writers = [asyncio.create_task(writing.run(count())) for _ in range(WRITERS)]
        await asyncio.sleep(0.5)
        assert not writing.failures
        with postgres_away(running, how):
            await eventually(lambda: running.all_say(NOT_SERVING), "health says NOT_SERVING", 10)
            await asyncio.sleep(1)
            read = await refused(
                running.stubs("lifecycle").GetModelState(lifecycle.GetModelStateRequest(name=DIGITS), timeout=DEADLINE)
            )
            assert in_short(read) in codes
        back = time.monotonic()
        health = await eventually(lambda: running.all_say(SERVING), "health says SERVING", 10)
        await asyncio.sleep(0.5)
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
        head = max(writing.acknowledged)
        for follower in followers:
            await follower.until(head, 5)
    seconds = time.monotonic() - started

    assert writing.failures <= codes
    assert "UNAVAILABLE postgresql" in writing.failures or how == "frozen"
    assert writing.slowest < DEADLINE + 0.5
    first = min(writing.acknowledged)
    for follower in followers:
        reached = follower.revisions[: follower.revisions.index(head) + 1]
        assert reached == list(range(first, head + 1))
        assert set(writing.acknowledged) <= set(reached)
        assert set(follower.codes) <= {grpc.StatusCode.UNAVAILABLE}
    written = min(at for at in writing.acknowledged.values() if at > back) - back
    watched = min(at for at in followers[1].arrivals.values() if at > back) - back
    assert written < 3
    assert watched < 4
    recovery = f"after PostgreSQL was {how}: health {health:.2f} s, write {written:.2f} s, watch {watched:.2f} s"
    record_property("recovery", recovery)
    print(recovery)
    for service, since in logs.items():
        check_log(running.logged(service, since), seconds)


def check_log(lines: list[dict[str, Any]], seconds: float) -> None:
    """An outage that everybody knows of needs no stacks, and no flood; it is not blamed on somebody else."""
    assert not [line for line in lines if "exception" in line or line["level"] == "error"]
    assert not [line for line in lines if "redis" in line["event"]]
    about_calls = [line for line in lines if line["event"] == "call"]
    assert len(lines) - len(about_calls) < LINES_A_SECOND * seconds
    for line in about_calls:
        assert line["code"] in {"OK", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"}


async def test_a_statement_that_is_never_answered_is_given_up(running: Installation) -> None:
    database = Database(running.stack.endpoints.database_url, "catalog", patience=0.3)
    await database.ping()
    with running.postgres_frozen():
        started = time.monotonic()
        with pytest.raises(Exception) as error:
            await database.ping()
        assert time.monotonic() - started < 3
        meaning = classify(error.value, Call("method"))
        assert (meaning.reason, meaning.metadata) == ("DEPENDENCY_UNAVAILABLE", {"dependency": "postgresql"})
    await database.ping()
    await database.close()

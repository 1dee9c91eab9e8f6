"""Resolve: every kind of selector, what it says when nothing is named, and what works while the catalog is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest

from greenroom.lifecycle.v1 import lifecycle_service_pb2 as pb
from greenroomd.application import start
from greenroomd.platform.server import ServerSettings
from support.lifecycle import DIGITS, Team
from support.processes import free_port
from support.server import RunningServer, Stubs, open_stubs, refused


async def test_every_kind_of_selector(team: Team) -> None:
    first = await team.version(content=b"one", semver="1.0.0")
    second = await team.version(content=b"two", semver="1.3.0")
    third = await team.version(content=b"three", semver="2.0.0-rc.1")
    await team.promote(first)
    await team.as_("author").SetAlias(pb.SetAliasRequest(name=f"{DIGITS}/aliases/champion", version=second))
    head = await team.head()
    digest = (await team.resolve("demo/digits/2")).artifact_digest
    for reference, version, stage in (
        ("/1", first, "production"),
        ("@latest", third, "development"),
        ("@production", first, "production"),
        ("@champion", second, "development"),
        ("@1.0.0", first, "production"),
        ("@^1.0", second, "development"),
        ("@>=1, <1.2", first, "production"),
        ("@2.0.0-rc.1", third, "development"),
        (f"@{digest}", second, "development"),
    ):
        for selector in (f"demo/digits{reference}", DIGITS + reference.replace("/", "/versions/")):
            answer = await team.resolve(selector)
            assert (answer.selector, answer.version, answer.stage) == (selector, version, stage)
            assert answer.artifact_digest.startswith("sha256:")
            assert answer.revision == head
            pinned = await team.resolve(f"demo/digits@{answer.artifact_digest}")
            assert pinned.version == version


async def test_of_several_holders_the_last_that_entered(team: Team) -> None:
    first, second = await team.versions(2)
    await team.move(first, "staging")
    await team.move(second, "staging")
    assert (await team.resolve("demo/digits@staging")).version == second
    await team.move(first, "development")
    await team.move(first, "staging")
    assert (await team.resolve("demo/digits@staging")).version == first
    assert await team.holders() == {"staging": ["1", "2"]}


async def test_what_names_nothing(team: Team) -> None:
    first, second = await team.versions(2)
    await team.delete(second)
    await team.as_("author").SetAlias(pb.SetAliasRequest(name=f"{DIGITS}/aliases/champion", version=first))
    for reference, reason, words in (
        ("@prod", "SELECTOR_UNRESOLVED", "its stages are development, staging"),
        ("@prod", "SELECTOR_UNRESOLVED", "its aliases are champion"),
        ("@production", "SELECTOR_UNRESOLVED", "no version of"),
        ("@development", "SELECTOR_UNRESOLVED", "@latest"),
        ("/99", "VERSION_NOT_FOUND", "/versions/99"),
        ("/2", "VERSION_DELETED", "was deleted by author"),
        ("@^9", "VERSION_NOT_FOUND", "^9"),
        ("@sha256:" + "0" * 64, "VERSION_NOT_FOUND", "sha256:"),
    ):
        refusal = await refused(team.resolve(f"demo/digits{reference}"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, reason)
        assert words in refusal.message


async def test_selectors_that_cannot_be_read(team: Team) -> None:
    for selector, position in (
        ("demo", 4),
        ("demo/digits@Prod", 12),
        ("demo/digits@>=x", 12),
        ("demo/digits@1..2", 12),
    ):
        refusal = await refused(team.resolve(selector))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SELECTOR_MALFORMED")
        assert (refusal.metadata["selector"], refusal.metadata["position"]) == (selector, str(position))
        assert refusal.metadata["problem"]
    assert set((await refused(team.resolve(""))).fields) == {"selector"}
    assert set((await refused(team.resolve("x" * 513))).fields) == {"selector"}
    assert (await refused(team.resolve("demo/nothing@latest"))).reason == "MODEL_NOT_FOUND"


async def test_an_answer_at_least_as_new_as_asked(team: Team) -> None:
    await team.promote(await team.version())
    viewer, head = team.as_("viewer"), await team.head()
    request = pb.ResolveRequest(selector="demo/digits@production", min_revision=head)
    assert (await viewer.Resolve(request)).resolution.revision >= head
    request.min_revision = head + 1
    assert (await refused(viewer.Resolve(request))).reason == "REVISION_AHEAD"


@pytest.fixture
async def alone(server: RunningServer, team: Team) -> AsyncIterator[Stubs]:
    """The lifecycle service of the same installation in a process whose catalog cannot be reached."""
    config = replace(server.config, addresses={"catalog": f"127.0.0.1:{free_port()}"})
    application = await start(config, ("lifecycle",), ServerSettings(port=0, grace_seconds=1))
    stubs = open_stubs(application.address, server.token("admin"))
    yield stubs
    await stubs.channel.close()
    await application.stop()


async def test_stages_and_aliases_are_answered_while_the_catalog_is_away(team: Team, alone: Stubs) -> None:
    version = await team.version()
    await team.promote(version)
    await team.as_("author").SetAlias(pb.SetAliasRequest(name=f"{DIGITS}/aliases/champion", version=version))
    before = await team.head()
    for name in ("production", "champion"):
        answer = await alone.lifecycle.Resolve(pb.ResolveRequest(selector=f"demo/digits@{name}"))
        assert answer.resolution.version == version
        assert answer.resolution.artifact_digest.startswith("sha256:")
    states = await alone.lifecycle.BatchGetVersionStates(
        pb.BatchGetVersionStatesRequest(parent=DIGITS, versions=[version])
    )
    assert states.states[0].stage == "production"
    for call in (
        alone.lifecycle.Resolve(pb.ResolveRequest(selector="demo/digits@latest")),
        alone.lifecycle.RequestTransition(
            pb.RequestTransitionRequest(parent="namespaces/demo", versions=[version], target_stage="archived")
        ),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
        assert refusal.metadata == {"dependency": "catalog"}
    assert await team.head() == before

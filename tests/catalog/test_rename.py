"""Renaming a model: everything moves with it, former names lead to it for a time and belong to it for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest

from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.catalog.v1.facts_pb2 import Facts
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.catalog.v1.watch_pb2 import CatalogChange, WatchChangesRequest
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as life
from greenroom.lifecycle.v1.check_pb2 import Check
from greenroom.lifecycle.v1.deployment_pb2 import Deployment
from greenroom.lifecycle.v1.transition_pb2 import Transition
from greenroom.type.v1.change_pb2 import WatchFilter
from greenroomd.application import start
from greenroomd.config import Config
from greenroomd.embedded import Endpoints
from greenroomd.platform.server import ServerSettings
from support.artifacts import commit
from support.lifecycle import DEMO, DIGITS, Team
from support.processes import Identities
from support.renaming import MNIST, rename
from support.server import RunningServer, refused

DAY = timedelta(days=1)


class MovedClock:
    """A clock that a test sets forward."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def team(embedded: Endpoints, database_url: str, tmp_path: Path, clock: MovedClock) -> AsyncIterator[Team]:
    identities = Identities.create(tmp_path)
    environment = identities.environment(database_url, embedded.redis_url)
    config = Config.from_environment(environment | {"GREENROOM_RENAME_REDIRECT_SECONDS": str(30 * 86400)})
    services = ("artifact", "catalog", "lifecycle", "search")
    application = await start(config, services, ServerSettings(port=0, grace_seconds=1), clock=clock)
    running = RunningServer(application, config, identities)
    yield await Team.start(running)
    await running.close()


async def lived(team: Team) -> None:
    """Give demo/digits two versions and one of everything else."""
    one, two = await team.versions(2)
    await team.promote(one)
    await team.promote(two)
    await team.check(two, "bias")
    team_calls = team.as_("author")
    await team_calls.SetAlias(life.SetAliasRequest(name=f"{DIGITS}/aliases/champion", version=two))
    deployment = Deployment(name=f"{DIGITS}/deployments/eu", version=two, state=Deployment.STATE_RUNNING)
    await team.as_("ci").ReportDeployment(life.ReportDeploymentRequest(deployment=deployment))
    await team.policy("robust", stage="archived")
    await team.request(two, "archived")


async def get(team: Team, name: str) -> Model:
    return (await team.catalog.GetModel(pb.GetModelRequest(name=name))).model  # type: ignore[no-any-return]


async def everything(team: Team, model: str) -> dict[str, Any]:
    """Return the answer of every read that names a model or what is below it."""
    catalog, lifecycle = team.catalog, team.as_("viewer")
    version = f"{model}/versions/2"
    short = model.replace("namespaces/", "").replace("/models/", "/")
    full = pb.VIEW_FULL
    answers = {
        "GetModel": catalog.GetModel(pb.GetModelRequest(name=model, view=full)),
        "GetVersion": catalog.GetVersion(pb.GetVersionRequest(name=version, view=full)),
        "ListVersions": catalog.ListVersions(pb.ListVersionsRequest(parent=model, view=full)),
        "by number": catalog.LookupVersion(pb.LookupVersionRequest(parent=model, number=2)),
        "latest": catalog.LookupVersion(pb.LookupVersionRequest(parent=model, latest=True)),
        "GetModelState": lifecycle.GetModelState(life.GetModelStateRequest(name=model)),
        "states": lifecycle.BatchGetVersionStates(life.BatchGetVersionStatesRequest(parent=model, versions=[version])),
        "history": lifecycle.ListStageHistory(life.ListStageHistoryRequest(parent=version)),
        "aliases": lifecycle.ListAliases(life.ListAliasesRequest(parent=model)),
        "checks": lifecycle.ListChecks(life.ListChecksRequest(parent=version)),
        "deployments": lifecycle.ListDeployments(life.ListDeploymentsRequest(parent=model)),
        "transitions": lifecycle.ListTransitions(life.ListTransitionsRequest(parent=DEMO, model=model)),
        **{
            f"@{by}": lifecycle.Resolve(life.ResolveRequest(selector=f"{short}{by}"))
            for by in ("@production", "@champion", "@latest", "/1")
        },
    }
    return {name: await answer for name, answer in answers.items()}


def comparable(answers: dict[str, Any]) -> dict[str, str]:
    """Return answers as texts, without what a renaming changes."""
    for answer in answers.values():
        if isinstance(answer, life.ResolveResponse):
            answer.resolution.ClearField("selector")
            answer.resolution.ClearField("revision")
        for part in (answer, getattr(answer, "state", None)):
            if part is not None and "revision" in part.DESCRIPTOR.fields_by_name:
                part.ClearField("revision")
        if isinstance(answer, pb.GetModelResponse):
            for field in ("etag", "update_time", "former_names"):
                answer.model.ClearField(field)
    return {name: str(answer) for name, answer in answers.items()}


async def test_everything_is_found_under_the_new_name_at_once_and_the_former_one_gives_the_same(team: Team) -> None:
    await lived(team)
    before = comparable(await everything(team, DIGITS))
    assert all(before.values()), before
    renamed = (await rename(team)).model
    assert renamed.name == MNIST
    assert [former.name for former in renamed.former_names] == [DIGITS]
    expected = {name: text.replace("/models/digits", "/models/mnist") for name, text in before.items()}
    assert comparable(await everything(team, MNIST)) == expected
    assert comparable(await everything(team, DIGITS)) == expected
    assert DIGITS not in str(expected)


async def test_every_write_under_the_former_name_goes_to_the_model(team: Team) -> None:
    await lived(team)
    await rename(team)
    three = await team.version(content=b"other", semver="1.0.0")
    assert three == f"{MNIST}/versions/3"
    old_three, old_one = f"{DIGITS}/versions/3", f"{DIGITS}/versions/1"
    moved = (await team.request(old_three, "staging")).transition
    assert [move.version for move in moved.moves] == [three]
    check = (await team.check(old_three, "bias")).check
    assert check.name == f"{three}/checks/bias"
    set_alias = life.SetAliasRequest(
        name=f"{DIGITS}/aliases/champion", version=old_three, expected_version=f"{DIGITS}/versions/2"
    )
    alias = (await team.as_("author").SetAlias(set_alias)).alias
    assert (alias.name, alias.version) == (f"{MNIST}/aliases/champion", three)
    deployment = Deployment(name=f"{DIGITS}/deployments/eu", version=old_three, state=Deployment.STATE_RUNNING)
    reported = await team.as_("ci").ReportDeployment(life.ReportDeploymentRequest(deployment=deployment))
    assert (reported.deployment.name, reported.deployment.version) == (f"{MNIST}/deployments/eu", three)
    assert (await team.rollback(DIGITS)).transition.versions == [f"{MNIST}/versions/1"]
    deleted = await team.as_("author").DeleteAlias(life.DeleteAliasRequest(name=f"{DIGITS}/aliases/champion"))
    assert deleted.alias.name == f"{MNIST}/aliases/champion"
    updated = await team.catalog.UpdateModel(pb.UpdateModelRequest(model=Model(name=DIGITS, description=DIGITS)))
    assert (updated.model.name, updated.model.description) == (MNIST, DIGITS)
    updated = await team.catalog.UpdateVersion(pb.UpdateVersionRequest(version=Version(name=old_one, description="x")))
    assert updated.version.name == f"{MNIST}/versions/1"
    refusal = await refused(team.catalog.DeleteVersion(pb.DeleteVersionRequest(name=old_one)))
    assert (refusal.reason, refusal.metadata["version"]) == ("VERSION_IN_USE", f"{MNIST}/versions/1")
    assert [former.name for former in (await get(team, MNIST)).former_names] == [DIGITS]


async def test_both_names_in_one_request_are_the_same_model(team: Team) -> None:
    one = await team.version()
    await rename(team)
    alias = life.SetAliasRequest(name=f"{MNIST}/aliases/champion", version=one)
    assert (await team.as_("author").SetAlias(alias)).alias.version == f"{MNIST}/versions/1"
    states = life.BatchGetVersionStatesRequest(parent=MNIST, versions=[one])
    assert (await team.as_("viewer").BatchGetVersionStates(states)).states[0].aliases == ["champion"]
    refusal = await refused(team.request([one, f"{MNIST}/versions/1"], "staging"))
    assert "same model" in refusal.message


async def test_a_pending_transition_is_completed_under_the_new_name(team: Team) -> None:
    version = await team.version()
    await team.move(version, "staging")
    await team.policy("bias", approvals=1)
    pending = (await team.request(version, "production")).transition
    await rename(team)
    assert (await team.transition(pending.name)).unmet_gates[0].version in ("", f"{MNIST}/versions/1")
    await team.approve(pending.name)
    completed = await team.check(version, "bias", Check.STATE_PASSED)
    assert completed.completed_transitions == [pending.name]
    assert (await team.transition(pending.name)).state == Transition.STATE_COMPLETED
    assert (await team.resolve("demo/mnist@production")).version == f"{MNIST}/versions/1"


async def test_ids_and_numbers_stay(team: Team) -> None:
    await team.version()
    await team.delete(await team.version(content=b"2"))
    before = await get(team, DIGITS)
    versions = await team.catalog.ListVersions(pb.ListVersionsRequest(parent=DIGITS, show_deleted=True))
    await rename(team)
    after = await get(team, MNIST)
    assert (after.uid, after.create_time) == (before.uid, before.create_time)
    assert after.etag != before.etag
    moved = await team.catalog.ListVersions(pb.ListVersionsRequest(parent=MNIST, show_deleted=True))
    assert [(v.uid, v.number, v.etag) for v in moved.versions] == [(v.uid, v.number, v.etag) for v in versions.versions]
    assert await team.version(content=b"3") == f"{MNIST}/versions/3"


async def test_after_its_time_a_former_name_only_says_the_current_one(team: Team, clock: MovedClock) -> None:
    version = await team.version()
    await rename(team)
    clock.ahead = 29 * DAY
    assert (await get(team, DIGITS)).name == MNIST
    clock.ahead = 31 * DAY
    calls = [
        team.catalog.GetModel(pb.GetModelRequest(name=DIGITS)),
        team.catalog.GetVersion(pb.GetVersionRequest(name=version)),
        team.as_("viewer").GetModelState(life.GetModelStateRequest(name=DIGITS)),
        team.as_("viewer").ListAliases(life.ListAliasesRequest(parent=DIGITS)),
        team.as_("viewer").Resolve(life.ResolveRequest(selector="demo/digits@latest")),
        team.as_("viewer").Resolve(life.ResolveRequest(selector="demo/digits@production")),
        team.request(version, "staging"),
        rename(team, DIGITS, "other"),
    ]
    for call in calls:
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_RENAMED"), refusal
        assert refusal.metadata == {"model": DIGITS, "current_name": MNIST}
        assert MNIST in refusal.message
    taken = await refused(team.model(DIGITS))
    assert (taken.code, taken.metadata) == (grpc.StatusCode.ALREADY_EXISTS, {"model": MNIST})
    back = await rename(team, MNIST, "digits")
    assert back.model.name == DIGITS
    assert (await get(team, DIGITS)).name == DIGITS


async def test_a_former_name_is_never_another_models_but_its_own_may_return(team: Team) -> None:
    await team.version()
    await rename(team)
    taken = await refused(team.model(DIGITS))
    assert (taken.code, taken.reason, taken.metadata) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "MODEL_EXISTS",
        {"model": MNIST},
    )
    assert MNIST in taken.message
    other = await team.model(f"{DEMO}/models/other")
    taken = await refused(rename(team, other, "digits"))
    assert (taken.reason, taken.metadata) == ("MODEL_EXISTS", {"model": MNIST})
    back = (await rename(team, MNIST, "digits")).model
    assert (back.name, [former.name for former in back.former_names]) == (DIGITS, [MNIST])
    assert (await get(team, MNIST)).name == DIGITS
    assert await team.version(model=MNIST) == f"{DIGITS}/versions/2"
    again = (await rename(team)).model
    assert (again.name, [former.name for former in again.former_names]) == (MNIST, [DIGITS])
    assert await team.version(model=DIGITS) == f"{MNIST}/versions/3"


async def test_a_chain_of_names_leads_to_the_last(team: Team) -> None:
    await team.promote(await team.version())
    await rename(team)
    last = (await rename(team, MNIST, "images")).model
    assert [former.name for former in last.former_names] == [MNIST, DIGITS]
    for model in ("digits", "mnist", "images"):
        assert (await get(team, f"{DEMO}/models/{model}")).name == last.name
        assert (await team.resolve(f"demo/{model}@production")).version == f"{last.name}/versions/1"
        assert await team.holders(f"{DEMO}/models/{model}") == {"production": ["1"]}


async def test_what_cannot_be_renamed_so_is_refused_and_nothing_changes(team: Team) -> None:
    await team.model(f"{DEMO}/models/other")
    taken = await refused(rename(team, DIGITS, "other"))
    assert (taken.code, taken.metadata) == (grpc.StatusCode.ALREADY_EXISTS, {"model": f"{DEMO}/models/other"})
    itself = await refused(rename(team, DIGITS, "digits"))
    assert (itself.reason, itself.metadata) == ("MODEL_EXISTS", {"model": DIGITS})
    stale = await refused(rename(team, etag="stale"))
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "ETAG_STALE")
    for malformed in ("", "UPPER", "a/b", "-a", "a" * 128, "namespaces/demo/models/x"):
        assert list((await refused(rename(team, DIGITS, malformed))).fields) == ["model_id"]
    unknown = await refused(rename(team, f"{DEMO}/models/none"))
    assert unknown.reason == "MODEL_NOT_FOUND"
    forbidden = team.server.as_("requester").catalog.RenameModel(pb.RenameModelRequest(name=DIGITS, model_id="x"))
    assert (await refused(forbidden)).code is grpc.StatusCode.PERMISSION_DENIED
    model = await get(team, DIGITS)
    assert (model.name, list(model.former_names)) == (DIGITS, [])
    assert (await rename(team, etag=model.etag)).model.name == MNIST


async def test_a_repeated_request_gives_the_first_answer_again(team: Team) -> None:
    request_id = str(uuid4())
    first = await rename(team, request_id=request_id)
    assert await rename(team, request_id=request_id) == first
    await rename(team, MNIST, "images")
    assert await rename(team, request_id=request_id) == first
    other = await refused(rename(team, model_id="else", request_id=request_id))
    assert other.reason == "REQUEST_ID_REUSED"
    assert (await get(team, DIGITS)).name == f"{DEMO}/models/images"


async def test_the_change_is_delivered_to_who_follows_either_name(team: Team) -> None:
    await team.version()
    written = await rename(team)
    for name in (DIGITS, MNIST):
        watch = WatchChangesRequest(after_revision=written.revision - 1, filter=WatchFilter(resources=[name]))
        change = await first_change(team, watch)
        assert (change.metadata.type, change.metadata.resource) == ("model.renamed", MNIST)
        assert [*change.metadata.related_resources] == [DIGITS, MNIST]
        assert (change.before.model.name, change.after.model) == (DIGITS, written.model)
    (followed,) = [change for change in await team.changes() if change.metadata.type == "model.renamed"]
    assert (followed.after.model_rename.former_name, followed.after.model_rename.name) == (DIGITS, MNIST)
    assert followed.after.model_rename.redirect_expire_time == written.model.former_names[0].redirect_expire_time


async def first_change(team: Team, request: WatchChangesRequest) -> CatalogChange:
    stream = team.catalog.WatchChanges(request)
    async for response in stream:
        if response.changes:
            stream.cancel()
            return response.changes[0]  # type: ignore[no-any-return]
    raise AssertionError("the stream ended")


async def test_facts_keep_the_names_of_their_time_which_lead_on(team: Team) -> None:
    parent = await team.version()
    child_model = await team.model(f"{DEMO}/models/child")
    digest = await commit(team.server.as_("author"), DEMO, {"w": b"child"})

    async def child() -> Version:
        version = Version(artifact_digest=digest, facts=Facts(parents=[parent]))
        request = pb.CreateVersionRequest(parent=child_model, version=version, allow_duplicate_artifact=True)
        return (await team.catalog.CreateVersion(request)).version  # type: ignore[no-any-return]

    born_before = (await child()).name
    await rename(team)
    kept = (await team.catalog.GetVersion(pb.GetVersionRequest(name=born_before))).version
    assert kept.facts.parents == [parent]
    found = (await team.catalog.GetVersion(pb.GetVersionRequest(name=kept.facts.parents[0]))).version
    assert found.name == f"{MNIST}/versions/1"
    assert (await child()).facts.parents == [f"{MNIST}/versions/1"]

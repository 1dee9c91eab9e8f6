"""Renaming against everything that may happen at the same moment, and renamings that were cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import grpc.aio
import pytest

from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as life
from greenroom.lifecycle.v1.deployment_pb2 import Deployment
from greenroomd.catalog.stores.postgres import PostgresCatalogWriter
from support.artifacts import commit
from support.lifecycle import DEMO, DIGITS, Team
from support.renaming import MNIST, rename
from support.server import RunningServer, refusal, refused

ROUNDS = 6


@pytest.fixture
async def team(server: RunningServer) -> Team:
    return await Team.start(server)


async def at_once(*calls: Awaitable[Any]) -> list[Any]:
    """Start all calls at the same moment; return the answer or the refusal of each."""
    barrier = asyncio.Barrier(len(calls))

    async def one(call: Awaitable[Any]) -> Any:
        await barrier.wait()
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            return refusal(error)

    return list(await asyncio.gather(*(one(call) for call in calls)))


async def names_in_tables(database_url: str, former: str) -> dict[str, int]:
    """Return, by table, how many rows carry a former name; the tables that are there to carry it left out."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    found = {}
    try:
        columns = await connection.fetch(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            " WHERE table_schema IN ('catalog', 'lifecycle') AND table_name NOT IN ('changes', 'former_names')"
            " AND column_name IN ('name', 'model', 'version') AND data_type = 'text'"
        )
        for schema, table, column in columns:
            query = f"SELECT count(*) FROM {schema}.{table} WHERE {column} = $1 OR starts_with({column}, $1 || '/')"
            if count := await connection.fetchval(query, former):
                found[f"{schema}.{table}.{column}"] = count
    finally:
        await connection.close()
    return found


async def test_versions_moves_and_reports_during_renamings_are_before_or_after_and_never_lost(
    team: Team, database_url: str
) -> None:
    digest = await commit(team.server.as_("author"), DEMO, {"w": b"1"})
    names, versions, staged, deployed = (DIGITS, MNIST), 0, 0, 0
    for attempt in range(ROUNDS):
        former, new = names[attempt % 2], names[(attempt + 1) % 2]
        version = await team.version(former)
        versions += 1
        push = pb.CreateVersionRequest(
            parent=former, version=Version(artifact_digest=digest), allow_duplicate_artifact=True
        )
        alias = life.SetAliasRequest(name=f"{former}/aliases/a{attempt}", version=version)
        deployment = Deployment(
            name=f"{former}/deployments/d{attempt}", version=version, state=Deployment.STATE_RUNNING
        )
        renamed, *others = await at_once(
            rename(team, former, new.rsplit("/", 1)[1]),
            team.catalog.CreateVersion(push),
            team.catalog.CreateVersion(push),
            team.request(version, "staging"),
            team.as_("author").SetAlias(alias),
            team.as_("ci").ReportDeployment(life.ReportDeploymentRequest(deployment=deployment)),
            team.check(version, "bias"),
        )
        assert renamed.model.name == new
        refusals = [other for other in others if hasattr(other, "reason")]
        assert refusals == []
        versions, staged, deployed = versions + 2, staged + 1, deployed + 1
        assert await names_in_tables(database_url, former) == {}
        listed = await team.catalog.ListVersions(pb.ListVersionsRequest(parent=new))
        assert [one.number for one in listed.versions] == list(range(versions, 0, -1))
        assert len((await team.holders(new))["staging"]) == staged
        got = await team.as_("viewer").ListAliases(life.ListAliasesRequest(parent=new))
        assert len(got.aliases) == staged
        running = await team.as_("viewer").ListDeployments(life.ListDeploymentsRequest(parent=new))
        assert len(running.deployments) == deployed
        checks = await team.as_("viewer").ListChecks(life.ListChecksRequest(parent=version.replace(former, new)))
        assert len(checks.checks) == 1


async def test_a_deletion_during_a_renaming_never_deletes_what_is_in_use(team: Team) -> None:
    names = (DIGITS, MNIST)
    for attempt in range(ROUNDS):
        former, new = names[attempt % 2], names[(attempt + 1) % 2]
        version = await team.version(former)
        renamed, *_ = await at_once(
            rename(team, former, new.rsplit("/", 1)[1]),
            team.catalog.DeleteVersion(pb.DeleteVersionRequest(name=version)),
            team.request(version, "staging"),
        )
        assert renamed.model.name == new
        got = (await team.catalog.GetVersion(pb.GetVersionRequest(name=version))).version
        assert got.name == version.replace(former, new)
        assert got.state in (Version.STATE_READY, Version.STATE_DELETED)
        in_stage = got.name.rsplit("/", 1)[1] in (await team.holders(new)).get("staging", [])
        assert not (got.state == Version.STATE_DELETED and in_stage)


async def test_of_renamings_at_once_one_wins_and_the_model_has_its_name(team: Team) -> None:
    await team.promote(await team.version())
    wanted = [f"name-{number}" for number in range(4)]
    answers = await at_once(*(rename(team, DIGITS, model_id) for model_id in (*wanted, wanted[0])))
    names = {answer.model.name for answer in answers if hasattr(answer, "model")}
    reasons = {answer.reason for answer in answers if hasattr(answer, "reason")}
    assert names
    assert reasons <= {"CONFLICT", "MODEL_EXISTS"}, reasons
    current = (await team.catalog.GetModel(pb.GetModelRequest(name=DIGITS))).model
    assert current.name in names
    assert await team.holders(current.name) == {"production": ["1"]}
    assert {former.name for former in current.former_names} | {current.name} == names | {DIGITS}


async def test_a_name_that_two_want_at_once_becomes_one_models(team: Team) -> None:
    for attempt in range(ROUNDS):
        other = await team.model(f"{DEMO}/models/other-{attempt}")
        wanted = f"{DEMO}/models/wanted-{attempt}"
        answers = await at_once(rename(team, other, f"wanted-{attempt}"), team.model(wanted), team.model(other))
        # Who creates is told that a name was taken; who renames, too, unless it was first.
        taken = [answer for answer in answers if getattr(answer, "reason", "") == "MODEL_EXISTS"]
        assert len(taken) == 2
        owner = (await team.catalog.GetModel(pb.GetModelRequest(name=wanted))).model
        assert owner.name == wanted


async def interrupted(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a renaming end after lifecycle has followed it and before the catalog has committed."""

    async def die(*_: object) -> None:
        raise ConnectionResetError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(PostgresCatalogWriter, "rename_model", die)
        failed = await refused(rename(team))
    assert failed.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)


async def test_while_a_renaming_is_cut_short_both_names_work_and_its_repetition_finishes_it(
    team: Team, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    one, two = await team.versions(2)
    await team.promote(one)
    await interrupted(team, monkeypatch)
    for model in (DIGITS, MNIST):
        got = await team.catalog.GetModel(pb.GetModelRequest(name=model, view=pb.VIEW_FULL))
        assert got.model.name == DIGITS
        assert await team.holders(model) == {"production": ["1"]}
        short = model.replace("namespaces/", "").replace("/models/", "/")
        assert (await team.resolve(f"{short}@production")).version == f"{MNIST}/versions/1"
        assert (await team.resolve(f"{short}@latest")).version.startswith(f"{MNIST}/versions/")
        assert (await team.version(model)).startswith(f"{DIGITS}/versions/")
    in_use = await refused(team.catalog.DeleteVersion(pb.DeleteVersionRequest(name=one)))
    assert in_use.reason == "VERSION_IN_USE"
    await team.promote(two)
    taken = await refused(team.model(MNIST))
    assert taken.metadata == {"model": DIGITS}
    elsewhere = await refused(rename(team, model_id="elsewhere"))
    assert (elsewhere.code, elsewhere.reason) == (grpc.StatusCode.ABORTED, "CONFLICT")
    assert MNIST in elsewhere.message
    finished = (await rename(team)).model
    assert finished.name == MNIST
    assert await names_in_tables(database_url, DIGITS) == {}
    assert (await team.holders(MNIST))["production"] == ["2"]
    followed = [change for change in await team.changes() if change.metadata.type == "model.renamed"]
    assert len(followed) == 1


async def test_a_late_call_of_a_renaming_that_is_over_moves_nothing(team: Team) -> None:
    await team.promote(await team.version())
    await rename(team)
    (followed,) = [change for change in await team.changes() if change.metadata.type == "model.renamed"]
    await rename(team, MNIST, "digits")
    late = life.RenameModelRequest(model_rename=followed.after.model_rename)
    answer = await refused(team.as_("admin").RenameModel(late))
    assert (answer.code, answer.reason) == (grpc.StatusCode.ABORTED, "CONFLICT")
    assert await team.holders(DIGITS) == {"production": ["1"]}


async def test_a_repetition_after_the_answer_was_lost_gives_it_again(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    await team.version()
    await interrupted(team, monkeypatch)
    request_id = str(uuid4())
    first, second = await at_once(rename(team, request_id=request_id), rename(team, request_id=request_id))
    answers = [answer for answer in (first, second) if hasattr(answer, "model")]
    assert answers
    assert all(answer == answers[0] for answer in answers)
    assert await rename(team, request_id=request_id) == answers[0]

"""Where versions stand, whether they are in use, and where they run."""

from __future__ import annotations

from typing import Any

from greenroom.lifecycle.v1 import lifecycle_service_pb2 as pb
from greenroom.lifecycle.v1.deployment_pb2 import Deployment
from support.lifecycle import DEMO, DIGITS, Team
from support.server import refused


def deploy(team: Team, place: str, version: str, state: int = Deployment.STATE_RUNNING, **fields: str) -> Any:
    deployment = Deployment(name=f"{DIGITS}/deployments/{place}", version=version, state=state, **fields)  # type: ignore[arg-type]
    return team.as_("ci").ReportDeployment(pb.ReportDeploymentRequest(deployment=deployment))


async def test_a_model_at_one_revision(team: Team) -> None:
    first, second, _ = await team.versions(3)
    await team.promote(first)
    await team.move(second, "staging")
    await team.as_("author").SetAlias(pb.SetAliasRequest(name=f"{DIGITS}/aliases/champion", version=second))
    state = (await team.as_("viewer").GetModelState(pb.GetModelStateRequest(name=DIGITS))).state
    assert [(holders.stage, list(holders.versions)) for holders in state.stages] == [
        ("development", []),
        ("staging", [second]),
        ("production", [first]),
        ("archived", []),
    ]
    assert [alias.version for alias in state.aliases] == [second]
    assert state.revision == 4


async def test_versions_in_the_order_asked(team: Team) -> None:
    first, second, third, fourth = await team.versions(4)
    await team.promote(first)
    await team.move(second, "archived")
    await team.as_("author").SetAlias(pb.SetAliasRequest(name=f"{DIGITS}/aliases/champion", version=third))
    await team.check(third, "bias")
    await deploy(team, "eu", third)
    answer = await team.as_("viewer").BatchGetVersionStates(
        pb.BatchGetVersionStatesRequest(parent=DIGITS, versions=[fourth, third, second, first])
    )
    assert [(state.version, state.stage, state.in_use) for state in answer.states] == [
        (fourth, "development", False),
        (third, "development", True),
        (second, "archived", False),
        (first, "production", True),
    ]
    assert list(answer.states[1].aliases) == ["champion"]
    assert [check.name for check in answer.states[1].checks] == [f"{third}/checks/bias"]
    assert [deployment.name for deployment in answer.states[1].deployments] == [f"{DIGITS}/deployments/eu"]
    assert answer.revision == await team.head()


async def test_versions_of_another_model(team: Team) -> None:
    versions = [f"{DIGITS}/versions/1", f"{DEMO}/models/other/versions/1"]
    refusal = await refused(
        team.as_("viewer").BatchGetVersionStates(pb.BatchGetVersionStatesRequest(parent=DIGITS, versions=versions))
    )
    assert set(refusal.fields) == {"versions[1]"}


async def test_history_of_a_version_that_is_not_there_or_no_longer(team: Team) -> None:
    list_history = team.as_("viewer").ListStageHistory
    missing = pb.ListStageHistoryRequest(parent=f"{DIGITS}/versions/9")
    assert (await refused(list_history(missing))).reason == "VERSION_NOT_FOUND"
    version = await team.version()
    await team.move(version, "archived")
    await team.delete(version)
    entries = (await list_history(pb.ListStageHistoryRequest(parent=version))).entries
    assert [entry.to_stage for entry in entries] == ["development", "archived"]


async def test_deployments_are_reported_over(team: Team) -> None:
    first, second = await team.versions(2)
    started = (await deploy(team, "eu", first, Deployment.STATE_STARTING, environment="prod")).deployment
    running = (await deploy(team, "eu", first, message="ready")).deployment
    assert running.start_time == started.start_time
    assert (running.environment, running.message, running.reporter.id) == ("", "ready", "ci")
    replaced = (await deploy(team, "eu", second)).deployment
    assert replaced.start_time.ToNanoseconds() > started.start_time.ToNanoseconds()
    await deploy(team, "ap", first)
    listed = (await team.as_("viewer").ListDeployments(pb.ListDeploymentsRequest(parent=DIGITS))).deployments
    assert [(row.name.rsplit("/", 1)[1], row.version) for row in listed] == [("ap", first), ("eu", second)]
    assert (await refused(deploy(team, "eu", f"{DIGITS}/versions/9"))).reason == "VERSION_NOT_FOUND"
    assert set((await refused(deploy(team, "eu", f"{DEMO}/models/other/versions/1"))).fields) == {"deployment.version"}
    changes = await team.changes()
    assert [change.metadata.type for change in changes] == ["deployment.reported"] * 4
    assert list(changes[2].metadata.related_resources) == [second]
    assert changes[2].before.deployment == running

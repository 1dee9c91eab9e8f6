"""Gates: what a policy demands, who can bring it, and that the last to come completes the move by itself."""

from __future__ import annotations

import grpc
import pytest

from greenroom.lifecycle.v1 import lifecycle_service_pb2 as pb
from greenroom.lifecycle.v1.check_pb2 import Check
from greenroom.lifecycle.v1.policy_pb2 import Policy
from greenroom.lifecycle.v1.transition_pb2 import Approval, Transition, UnmetGate
from support.lifecycle import DEMO, DIGITS, Team, add_principal
from support.server import RunningServer, refused

OTHER = f"{DEMO}/models/other"


async def staged(team: Team, model: str = DIGITS) -> str:
    version = await team.version(model)
    await team.move(version, "staging")
    return version


async def pending(team: Team, version: str, stage: str = "production", **fields: str) -> Transition:
    transition = (await team.request(version, stage, **fields)).transition
    assert transition.state == Transition.STATE_PENDING
    return transition  # type: ignore[no-any-return]


async def test_the_last_approval_completes_the_move(team: Team) -> None:
    await team.policy("bias", approvals=1)
    version = await staged(team)
    before = await team.head()
    asked = await pending(team, version, reason="better")
    assert [(gate.kind, gate.subject, gate.version) for gate in asked.unmet_gates] == [
        (UnmetGate.KIND_CHECK, "bias", version),
        (UnmetGate.KIND_APPROVAL, "", ""),
    ]
    assert "has not been reported" in asked.unmet_gates[0].message

    await team.check(version, "bias", Check.STATE_RUNNING)
    now = await team.transition(asked.name)
    assert "is running" in now.unmet_gates[0].message
    await team.check(version, "bias", summary="gap 0.01")
    now = await team.transition(asked.name)
    assert [gate.kind for gate in now.unmet_gates] == [UnmetGate.KIND_APPROVAL]

    done = (await team.approve(asked.name, comment="looks good")).transition
    assert done.state == Transition.STATE_COMPLETED
    assert not done.unmet_gates
    assert (done.requester.id, done.closer.id, done.reason) == ("requester", "reviewer", "better")
    assert [(answer.approver.id, answer.comment) for answer in done.approvals] == [("reviewer", "looks good")]
    assert await team.holders() == {"production": ["1"]}
    assert await team.types(before) == [
        "transition.requested",
        "check.reported",
        "check.reported",
        "transition.completed",
    ]


async def test_the_last_check_completes_the_move(team: Team) -> None:
    await team.policy("bias", "speed", approvals=1)
    version = await staged(team)
    asked = await pending(team, version)
    await team.check(version, "bias")
    assert (await team.approve(asked.name)).transition.state == Transition.STATE_PENDING
    assert not (await team.check(version, "speed", Check.STATE_FAILED)).completed_transitions
    before = await team.head()
    answer = await team.check(version, "speed")
    assert list(answer.completed_transitions) == [asked.name]
    assert (await team.transition(asked.name)).closer.id == "ci"
    reported, completed = await team.changes(before)
    assert (reported.metadata.type, completed.metadata.type) == ("check.reported", "transition.completed")
    assert reported.after.check == answer.check
    assert reported.metadata.transaction_last_revision == completed.metadata.revision == answer.revision
    assert [move.to_stage for move in completed.after.transition.moves] == ["production"]
    assert await team.holders() == {"production": ["1"]}


async def test_one_check_completes_two_moves_of_a_version_one_after_the_other(team: Team) -> None:
    await team.policy("bias")
    await team.policy("bias", stage="archived")
    version = await staged(team)
    up, away = await pending(team, version), await pending(team, version, "archived")
    answer = await team.check(version, "bias")
    assert list(answer.completed_transitions) == [up.name, away.name]
    history = await team.as_("viewer").ListStageHistory(pb.ListStageHistoryRequest(parent=version))
    assert [(entry.from_stage, entry.to_stage) for entry in history.entries[2:]] == [
        ("staging", "production"),
        ("production", "archived"),
    ]
    assert [entry.revision for entry in history.entries[2:]] == [answer.revision - 1, answer.revision]
    assert await team.holders() == {"archived": ["1"]}


async def test_a_check_completes_a_move_of_several_models(team: Team) -> None:
    await team.model(OTHER)
    await team.policy("bias")
    digits, other = await staged(team), await staged(team, OTHER)
    transition = (await team.request([digits, other], "production")).transition
    assert [gate.version for gate in transition.unmet_gates] == [digits, other]
    assert not (await team.check(digits, "bias")).completed_transitions
    answer = await team.check(other, "bias")
    assert list(answer.completed_transitions) == [transition.name]
    assert (await team.holders(), await team.holders(OTHER)) == ({"production": ["1"]}, {"production": ["1"]})


async def test_a_move_that_has_become_impossible_fails_and_its_reporter_does_not(team: Team) -> None:
    await team.policy("bias")
    version = await staged(team)
    asked = await pending(team, version)
    await team.move(version, "archived")
    before = await team.head()
    answer = await team.check(version, "bias")
    assert not answer.completed_transitions
    failed = await team.transition(asked.name)
    assert failed.state == Transition.STATE_FAILED
    assert "archived -> production" in failed.outcome_reason
    assert await team.types(before) == ["check.reported", "transition.failed"]
    assert await team.holders() == {"archived": ["1"]}


async def test_a_move_of_a_version_that_was_deleted_meanwhile_fails(team: Team) -> None:
    await team.policy(approvals=1, stage="staging")
    version = await team.version()
    asked = await pending(team, version, "staging")
    await team.delete(version)
    failed = (await team.approve(asked.name)).transition
    assert failed.state == Transition.STATE_FAILED
    assert "was deleted" in failed.outcome_reason
    gone = await refused(team.check(version, "bias"))
    assert (gone.code, gone.reason) == (grpc.StatusCode.NOT_FOUND, "VERSION_DELETED")


async def test_nobody_approves_their_own(team: Team, server: RunningServer) -> None:
    await team.policy(approvals=1)
    version = await staged(team)

    async def refused_for(transition: str, principal: str, why: str) -> None:
        refusal = await refused(team.approve(transition, as_=principal))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SELF_APPROVAL")
        assert refusal.metadata == {"transition": transition, "principal": principal}
        assert why in refusal.message

    # The requester, who may approve what others ask for.
    asked = await pending(team, version, as_="admin")
    await refused_for(asked.name, "admin", "requested")
    # Who made the version, although somebody else asked.
    await refused_for(asked.name, "author", "made")
    # The same people with another token.
    add_principal(server, "author", "approver")
    await refused_for(asked.name, "author", "made")
    add_principal(server, "admin", "admin")
    await refused_for(asked.name, "admin", "requested")
    # Nor does loosening and tightening the policy help, nor a rejection changed into a yes.
    assert not (await team.transition(asked.name)).approvals
    assert await team.holders() == {"staging": ["1"]}
    assert (await team.approve(asked.name)).transition.state == Transition.STATE_COMPLETED


async def test_who_made_one_of_several_versions_does_not_approve_any(team: Team, server: RunningServer) -> None:
    await team.model(OTHER)
    await team.policy(approvals=1)
    digits = await staged(team)
    server.opened["author"], mine = server.as_("admin"), server.as_("author")
    other = await staged(team, OTHER)
    server.opened["author"] = mine
    transition = (await team.request([digits, other], "production")).transition
    for principal in ("author", "admin"):
        assert (await refused(team.approve(transition.name, as_=principal))).reason == "SELF_APPROVAL"


async def test_approvals_are_of_different_people(team: Team) -> None:
    await team.policy(approvals=2)
    version = await staged(team)
    asked = await pending(team, version)
    for comment in ("yes", "yes again"):
        once = (await team.approve(asked.name, comment=comment)).transition
        assert once.state == Transition.STATE_PENDING
        assert [(answer.approver.id, answer.comment) for answer in once.approvals] == [("reviewer", comment)]
        assert "1 of 2" in once.unmet_gates[0].message
    assert (await team.approve(asked.name, as_="reviewer-2")).transition.state == Transition.STATE_COMPLETED


@pytest.mark.parametrize("principal", ["viewer", "ci", "requester"])
async def test_who_may_not_approve(team: Team, principal: str) -> None:
    await team.policy(approvals=1)
    asked = await pending(team, await staged(team), as_="admin")
    refusal = await refused(team.approve(asked.name, as_=principal))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")


@pytest.mark.parametrize(
    ("call", "state", "type"),
    [
        ("RejectTransition", Transition.STATE_REJECTED, "transition.rejected"),
        ("CancelTransition", Transition.STATE_CANCELLED, "transition.cancelled"),
    ],
)
async def test_a_closed_transition_stays_closed(
    team: Team, call: str, state: Transition.State.ValueType, type: str
) -> None:
    await team.policy(approvals=1)
    version = await staged(team)
    asked = await pending(team, version)
    close = getattr(team.as_("reviewer"), call)
    stale = await refused(close(getattr(pb, f"{call}Request")(name=asked.name, etag="old")))
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "ETAG_STALE")
    request = getattr(pb, f"{call}Request")(name=asked.name, comment="not now", etag=asked.etag)
    closed = (await close(request)).transition
    assert (closed.state, closed.outcome_reason, closed.closer.id) == (state, "not now", "reviewer")
    rejected = [answer.decision for answer in closed.approvals]
    assert rejected == ([Approval.DECISION_REJECTED] if call == "RejectTransition" else [])
    assert (await team.types())[-1] == type
    for again in ("ApproveTransition", "RejectTransition", "CancelTransition"):
        refusal = await refused(getattr(team.as_("reviewer"), again)(getattr(pb, f"{again}Request")(name=asked.name)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TRANSITION_CLOSED")
        assert refusal.metadata["state"] == Transition.State.Name(state).removeprefix("STATE_")
    assert not (await team.check(version, "bias")).completed_transitions
    assert (await pending(team, version)).name != asked.name


async def test_one_open_request_a_version_and_stage(team: Team) -> None:
    await team.policy(approvals=1)
    version = await staged(team)
    asked = await pending(team, version)
    refusal = await refused(team.request(version, "production"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "TRANSITION_OPEN")
    assert refusal.metadata == {"transition": asked.name}
    await team.move(version, "development")


async def test_the_policy_in_force_decides(team: Team) -> None:
    await team.policy(approvals=1)
    version = await staged(team)
    asked = await pending(team, version)
    await team.policy("bias", approvals=1)
    assert [gate.subject for gate in (await team.transition(asked.name)).unmet_gates] == ["bias", ""]
    assert (await team.approve(asked.name)).transition.state == Transition.STATE_PENDING
    await team.policy("bias", approvals=1)
    assert list((await team.check(version, "bias")).completed_transitions) == [asked.name]


async def test_policies_of_every_stage(team: Team) -> None:
    viewer, admin = team.as_("viewer"), team.as_("admin")
    empty = (await viewer.GetPolicy(pb.GetPolicyRequest(name=f"{DEMO}/policies/production"))).policy
    assert (list(empty.required_checks), empty.approvals.count) == ([], 0)
    first = Policy(name=empty.name, required_checks=["bias"], etag=empty.etag)
    changed = await admin.UpdatePolicy(pb.UpdatePolicyRequest(policy=first))
    stale = await refused(admin.UpdatePolicy(pb.UpdatePolicyRequest(policy=first)))
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "ETAG_STALE")
    listed = (await viewer.ListPolicies(pb.ListPoliciesRequest(parent=DEMO))).policies
    assert [policy.name.rsplit("/", 1)[1] for policy in listed] == ["development", "staging", "production", "archived"]
    assert listed[2] == changed.policy
    unknown = await refused(viewer.GetPolicy(pb.GetPolicyRequest(name=f"{DEMO}/policies/prod")))
    assert unknown.reason == "STAGE_UNKNOWN"
    unknown = await refused(admin.UpdatePolicy(pb.UpdatePolicyRequest(policy=Policy(name=f"{DEMO}/policies/prod"))))
    assert unknown.reason == "STAGE_UNKNOWN"
    missing = await refused(viewer.ListPolicies(pb.ListPoliciesRequest(parent="namespaces/nobody")))
    assert missing.reason == "NAMESPACE_NOT_FOUND"


async def test_checks_of_a_version(team: Team) -> None:
    version = await team.version()
    first = (await team.check(version, "speed", Check.STATE_QUEUED)).check
    second = (await team.check(version, "speed", Check.STATE_FAILED, summary="slow", link="https://ci/1")).check
    assert second.create_time == first.create_time
    assert second.artifact_digest.startswith("sha256:")
    assert second.reporter.id == "ci"
    await team.check(version, "bias")
    listed = (await team.as_("viewer").ListChecks(pb.ListChecksRequest(parent=version))).checks
    assert [check.name.rsplit("/", 1)[1] for check in listed] == ["bias", "speed"]
    assert listed[1] == second
    for call in (
        team.as_("viewer").ListChecks(pb.ListChecksRequest(parent=f"{DIGITS}/versions/9")),
        team.check(f"{DIGITS}/versions/9", "bias"),
    ):
        assert (await refused(call)).reason == "VERSION_NOT_FOUND"

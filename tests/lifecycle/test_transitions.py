"""Moves that nothing stands in the way of, and those that cannot be."""

from __future__ import annotations

from uuid import uuid4

import grpc
import pytest

from greenroom.lifecycle.v1 import lifecycle_service_pb2 as pb
from greenroom.lifecycle.v1.transition_pb2 import StageMove, Transition
from greenroom.lifecycle.v1.watch_pb2 import WatchChangesRequest
from support.lifecycle import DEMO, DIGITS, Team
from support.server import refused

OTHER = f"{DEMO}/models/other"


async def test_a_life_in_one_history(team: Team) -> None:
    version = await team.version()
    for stage in ("staging", "production", "archived"):
        await team.move(version, stage, reason=f"to {stage}")
    answer = await team.as_("viewer").ListStageHistory(pb.ListStageHistoryRequest(parent=version))
    assert [(entry.from_stage, entry.to_stage, entry.reason, entry.actor.id) for entry in answer.entries] == [
        ("", "development", "", "author"),
        ("development", "staging", "to staging", "requester"),
        ("staging", "production", "to production", "requester"),
        ("production", "archived", "to archived", "requester"),
    ]
    assert [entry.revision for entry in answer.entries] == [0, 1, 2, 3]
    times = [entry.time.ToNanoseconds() for entry in answer.entries]
    assert times == sorted(times)
    assert await team.types() == ["transition.completed"] * 3


async def test_the_displaced_version_moves_in_the_same_change(team: Team) -> None:
    old, new = await team.versions(2)
    await team.promote(old)
    await team.move(new, "staging")
    before = await team.head()
    transition = await team.move(new, "production")
    assert list(transition.moves) == [
        StageMove(version=old, from_stage="production", to_stage="archived", displaced=True),
        StageMove(version=new, from_stage="staging", to_stage="production"),
    ]
    (change,) = await team.changes(before)
    assert change.metadata.type == "transition.completed"
    assert change.after.transition == transition
    assert set(change.metadata.related_resources) == {old, new}
    assert await team.holders() == {"production": ["2"], "archived": ["1"]}


async def test_who_watches_a_version_hears_that_it_was_displaced(team: Team) -> None:
    old, new = await team.versions(2)
    await team.promote(old)
    await team.move(new, "staging")
    request = WatchChangesRequest(after_revision=await team.head(), bookmark_interval_ms=50)
    request.filter.resources.append(old)
    stream = team.as_("viewer").WatchChanges(request)
    await stream.read()
    await team.move(new, "production")
    while not (response := await stream.read()).changes:
        pass
    stream.cancel()
    assert [move.version for move in response.changes[0].after.transition.moves] == [old, new]


async def test_moves_that_cannot_be(team: Team) -> None:
    version = await team.version()
    unknown = await refused(team.request(version, "prod"))
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STAGE_UNKNOWN")
    assert unknown.metadata == {"stage": "prod", "known_stages": "development,staging,production,archived"}

    skipped = await refused(team.request(version, "production"))
    assert (skipped.code, skipped.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STAGE_EDGE_MISSING")
    assert skipped.metadata == {
        "from_stage": "development",
        "to_stage": "production",
        "reachable": "staging,archived",
    }
    assert "development -> production" in skipped.message

    same = await refused(team.request(version, "development"))
    assert (same.code, same.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STAGE_UNCHANGED")

    missing = await refused(team.request(f"{DIGITS}/versions/99", "staging"))
    assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND")

    await team.delete(version)
    deleted = await refused(team.request(version, "staging"))
    assert (deleted.code, deleted.reason) == (grpc.StatusCode.NOT_FOUND, "VERSION_DELETED")
    assert deleted.metadata["deleted_by"] == "author"

    assert await team.types() == []


async def test_fields_that_do_not_fit_each_other(team: Team) -> None:
    await team.namespace("namespaces/elsewhere")
    first, second = await team.versions(2)
    both = await refused(team.request([first, second], "staging", expected_current_version=first))
    assert (both.code, both.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert set(both.fields) == {"versions[1]", "expected_current_version"}
    foreign = await refused(team.request(first, "staging", parent="namespaces/elsewhere"))
    assert set(foreign.fields) == {"versions[0]"}
    other = await refused(team.request(first, "staging", expected_current_version=f"{OTHER}/versions/1"))
    assert set(other.fields) == {"expected_current_version"}
    many = await refused(team.request([f"{DEMO}/models/m{i}/versions/1" for i in range(17)], "staging"))
    assert set(many.fields) == {"versions"}
    none = await refused(team.request([], "staging"))
    assert set(none.fields) == {"versions"}


async def test_the_expected_holder(team: Team) -> None:
    first, second, third = await team.versions(3)
    await team.promote(first)
    await team.move(second, "staging")
    await team.move(third, "staging")
    await team.move(second, "production", expected_current_version=first)
    before = await team.head()
    late = await refused(team.request(third, "production", expected_current_version=first))
    assert (late.code, late.reason) == (grpc.StatusCode.ABORTED, "EXPECTED_VERSION_MISMATCH")
    assert late.metadata == {"expected_version": first, "current_version": second}
    empty = await refused(team.request(third, "development", expected_current_version=first))
    assert empty.metadata == {"expected_version": first, "current_version": ""}
    assert await team.head() == before


async def test_several_models_move_together_or_not_at_all(team: Team) -> None:
    await team.model(OTHER)
    digits, other = await team.version(), await team.version(OTHER)
    await team.move(digits, "staging")
    before = await team.head()
    refusal = await refused(team.request([digits, other], "production"))
    assert (refusal.reason, refusal.metadata["from_stage"]) == ("STAGE_EDGE_MISSING", "development")
    assert await team.head() == before
    assert await team.holders() == {"staging": ["1"]}

    await team.move(other, "staging")
    transition = await team.move([digits, other], "production")
    assert [move.version for move in transition.moves] == [digits, other]
    assert len(transition.artifact_digests) == 2
    states = [
        (await team.as_("viewer").ListStageHistory(pb.ListStageHistoryRequest(parent=version))).entries[-1]
        for version in (digits, other)
    ]
    assert states[0].revision == states[1].revision == before + 2


async def test_only_asking_writes_nothing(team: Team) -> None:
    old, new = await team.versions(2)
    await team.promote(old)
    await team.move(new, "staging")
    before = await team.head()
    answer = await team.request(new, "production", validate_only=True, request_id=str(uuid4()))
    assert answer.revision == 0
    assert (answer.transition.name, answer.transition.etag) == ("", "")
    assert answer.transition.state == Transition.STATE_COMPLETED
    assert [move.version for move in answer.transition.moves] == [old, new]
    await team.policy("bias", approvals=1)
    asked = (await team.request(new, "production", validate_only=True)).transition
    assert asked.state == Transition.STATE_PENDING
    assert [gate.subject for gate in asked.unmet_gates] == ["bias", ""]
    assert (await refused(team.request(old, "staging", validate_only=True))).reason == "STAGE_EDGE_MISSING"
    assert await team.types(before) == ["policy.updated"]
    listed = await team.as_("viewer").ListTransitions(pb.ListTransitionsRequest(parent=DEMO))
    assert len(listed.transitions) == 3


async def test_a_repeated_request_gets_the_first_answer(team: Team) -> None:
    version = await team.version()
    id = str(uuid4())
    first = await team.request(version, "staging", request_id=id)
    assert await team.request(version, "staging", request_id=id) == first
    await team.policy(approvals=1)
    id = str(uuid4())
    pending = await team.request(version, "production", request_id=id)
    assert await team.request(version, "production", request_id=id) == pending
    id = str(uuid4())
    approved = await team.approve(pending.transition.name, request_id=id)
    assert await team.approve(pending.transition.name, request_id=id) == approved
    assert len(await team.types()) == 4


async def test_transitions_are_listed_newest_first(team: Team) -> None:
    await team.model(OTHER)
    names = [(await team.move(await team.version(), "staging")).name for _ in range(5)]
    other = (await team.move(await team.version(OTHER), "staging")).name
    await team.policy(approvals=1)
    pending = (await team.request(f"{DIGITS}/versions/1", "production")).transition.name

    async def listed(**fields: object) -> list[str]:
        found: list[str] = []
        token = ""
        while True:
            request = pb.ListTransitionsRequest(parent=DEMO, page_token=token, **fields)  # type: ignore[arg-type]
            answer = await team.as_("viewer").ListTransitions(request)
            found.extend(transition.name for transition in answer.transitions)
            if not (token := answer.next_page_token):
                return found

    everything = [pending, other, *reversed(names)]
    assert await listed() == everything
    assert await listed(page_size=2) == everything
    assert await listed(page_size=7) == everything
    assert await listed(model=OTHER) == [other]
    assert await listed(model=DIGITS, page_size=2) == [pending, *reversed(names)]
    assert await listed(state=Transition.STATE_PENDING) == [pending]
    assert await listed(state=Transition.STATE_REJECTED) == []
    missing = await refused(team.as_("viewer").ListTransitions(pb.ListTransitionsRequest(parent="namespaces/nobody")))
    assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND")


@pytest.mark.parametrize("call", ["GetTransition", "ApproveTransition", "RejectTransition", "CancelTransition"])
async def test_a_transition_that_is_not_there(team: Team, call: str) -> None:
    request = getattr(pb, f"{call}Request")(name=f"{DEMO}/transitions/none")
    missing = await refused(getattr(team.as_("admin"), call)(request))
    assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "TRANSITION_NOT_FOUND")

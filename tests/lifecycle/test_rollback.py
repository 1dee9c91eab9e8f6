"""Rollback: back to the holder before, and further with each call."""

from __future__ import annotations

from uuid import uuid4

import grpc

from greenroom.lifecycle.v1.transition_pb2 import StageMove, Transition
from support.lifecycle import DEMO, DIGITS, Team
from support.server import refused

OTHER = f"{DEMO}/models/other"


async def holder(team: Team) -> str:
    (number,) = (await team.holders())["production"]
    return number


async def three_in_turn(team: Team) -> list[str]:
    versions = await team.versions(3)
    for version in versions:
        await team.promote(version)
    return versions


async def test_each_call_goes_one_further_back(team: Team) -> None:
    await three_in_turn(team)
    await team.rollback()
    assert await holder(team) == "2"
    await team.rollback()
    assert await holder(team) == "1"
    end = await refused(team.rollback())
    assert (end.code, end.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOTHING_TO_ROLL_BACK_TO")
    assert end.metadata == {"model": DIGITS, "stage": "production"}
    assert await holder(team) == "1"

    await team.promote(await team.version())
    assert await holder(team) == "4"
    await team.rollback()
    assert await holder(team) == "1"
    assert (await refused(team.rollback())).reason == "NOTHING_TO_ROLL_BACK_TO"


async def test_it_is_one_change_and_asks_for_no_approval(team: Team) -> None:
    first, second, third = await three_in_turn(team)
    await team.policy("bias", approvals=2)
    before = await team.head()
    answer = await team.rollback(reason="accuracy fell", expected_current_version=third)
    rollback = answer.transition
    assert (rollback.kind, rollback.state) == (Transition.KIND_ROLLBACK, Transition.STATE_COMPLETED)
    assert (list(rollback.versions), rollback.reason, rollback.requester.id) == ([second], "accuracy fell", "reviewer")
    assert list(rollback.moves) == [
        StageMove(version=third, from_stage="production", to_stage="archived", displaced=True),
        StageMove(version=second, from_stage="archived", to_stage="production"),
    ]
    (change,) = await team.changes(before)
    assert (change.metadata.type, change.metadata.revision) == ("transition.completed", answer.revision)
    assert set(change.metadata.related_resources) == {second, third}
    assert await team.transition(rollback.name) == rollback
    assert (await team.resolve("demo/digits@production")).version == second
    assert first not in change.metadata.related_resources


async def test_deleted_versions_are_passed_over(team: Team) -> None:
    _, second, _ = await three_in_turn(team)
    await team.delete(second)
    await team.rollback()
    assert await holder(team) == "1"
    assert (await refused(team.rollback())).reason == "NOTHING_TO_ROLL_BACK_TO"


async def test_an_emptied_stage_gets_its_last_holder_back(team: Team) -> None:
    _, _, third = await three_in_turn(team)
    await team.move(third, "archived")
    await team.rollback()
    assert await holder(team) == "3"
    await team.rollback()
    assert await holder(team) == "2"


async def test_what_is_checked_before(team: Team) -> None:
    first, second, third = await three_in_turn(team)
    mismatch = await refused(team.rollback(expected_current_version=second))
    assert (mismatch.code, mismatch.reason) == (grpc.StatusCode.ABORTED, "EXPECTED_VERSION_MISMATCH")
    assert mismatch.metadata == {"expected_version": second, "current_version": third}
    foreign = await refused(team.rollback(expected_current_version=f"{OTHER}/versions/1"))
    assert set(foreign.fields) == {"expected_current_version"}
    assert (await refused(team.rollback(stage="prod"))).reason == "STAGE_UNKNOWN"
    assert set((await refused(team.rollback(reason=""))).fields) == {"reason"}
    missing = await refused(team.rollback(model=OTHER))
    assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
    await team.model(OTHER)
    assert (await refused(team.rollback(model=OTHER))).reason == "NOTHING_TO_ROLL_BACK_TO"
    assert await team.holders() == {"production": ["3"], "archived": ["2", "1"]}
    assert first


async def test_a_repeated_rollback_goes_back_once(team: Team) -> None:
    await three_in_turn(team)
    id = str(uuid4())
    assert await team.rollback(request_id=id) == await team.rollback(request_id=id)
    assert await holder(team) == "2"


async def test_a_rollback_of_staging_leaves_production_alone(team: Team) -> None:
    first, second = await team.versions(2)
    await team.promote(first)
    await team.move(second, "staging")
    assert (await refused(team.rollback(stage="staging"))).reason == "NOTHING_TO_ROLL_BACK_TO"
    assert await team.holders() == {"production": ["1"], "staging": ["2"]}

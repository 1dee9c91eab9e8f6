"""Many at once: one holder at every revision, each request closed once, no version both deleted and in use."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Any

import asyncpg
import grpc
import pytest

from greenroom.catalog.v1 import catalog_service_pb2 as catalog_pb
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as pb
from greenroom.lifecycle.v1.check_pb2 import Check
from greenroom.lifecycle.v1.transition_pb2 import Transition
from greenroomd.lifecycle.stores.writing import PostgresLifecycleWriter, lock_key
from support.lifecycle import DEMO, DIGITS, Team
from support.server import refusal

CLIENTS = 20


async def outcomes(calls: Sequence[Awaitable[Any]]) -> list[str]:
    """Start all calls at the same moment; return OK or the reason of each."""
    barrier = asyncio.Barrier(len(calls))

    async def one(call: Awaitable[Any]) -> str:
        await barrier.wait()
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return refusal(error).reason
        return "OK"

    return list(await asyncio.gather(*(one(call) for call in calls)))


async def holders_by_revision(team: Team) -> list[int]:
    """Return how many versions were in production after each completed transition, from the first that entered on."""
    production: set[str] = set()
    counts: list[int] = []
    for change in await team.changes():
        if change.metadata.type != "transition.completed":
            continue
        moves = change.after.transition.moves
        production -= {move.version for move in moves if move.from_stage == "production"}
        production |= {move.version for move in moves if move.to_stage == "production"}
        if production or counts:
            counts.append(len(production))
    return counts


async def staged_versions(team: Team) -> list[str]:
    versions = await team.versions(CLIENTS + 1)
    for version in versions:
        await team.move(version, "staging")
    await team.move(versions[0], "production")
    return versions[1:]


async def test_twenty_promotions_into_one_slot(team: Team) -> None:
    versions = await staged_versions(team)
    results = await outcomes([team.request(version, "production") for version in versions])
    assert results == ["OK"] * CLIENTS
    counts = await holders_by_revision(team)
    assert counts == [1] * (CLIENTS + 1)
    state = await team.holders()
    assert len(state["production"]) == 1
    assert len(state["archived"]) == CLIENTS


async def test_twenty_promotions_that_expect_the_same_holder(team: Team) -> None:
    versions = await staged_versions(team)
    expected = f"{DIGITS}/versions/1"
    calls = [team.request(version, "production", expected_current_version=expected) for version in versions]
    assert Counter(await outcomes(calls)) == {"OK": 1, "EXPECTED_VERSION_MISMATCH": CLIENTS - 1}
    assert await holders_by_revision(team) == [1, 1]


async def test_readers_never_see_zero_or_two(team: Team) -> None:
    versions = await staged_versions(team)
    done = asyncio.Event()
    seen: Counter[int] = Counter()

    async def read() -> None:
        while not done.is_set():
            seen[len((await team.holders())["production"])] += 1
            assert (await team.resolve("demo/digits@production")).stage == "production"

    readers = [asyncio.create_task(read()) for _ in range(4)]
    await outcomes([team.request(version, "production") for version in versions])
    done.set()
    await asyncio.gather(*readers)
    assert set(seen) == {1}
    assert seen[1] > 4


async def test_without_the_lock_the_database_still_refuses_a_second_holder(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the tests above would see that the lock is missing: some of the calls fail."""
    versions = await staged_versions(team)

    async def no_lock(self: PostgresLifecycleWriter, namespace: str, names: object) -> None: ...

    monkeypatch.setattr(PostgresLifecycleWriter, "lock", no_lock)
    results = Counter(await outcomes([team.request(version, "production") for version in versions]))
    assert results["CONFLICT"] > 0
    assert set(results) == {"OK", "CONFLICT"}
    counts = await holders_by_revision(team)
    assert counts == [1] * (results["OK"] + 1)
    assert len((await team.holders())["production"]) == 1


INSERT = """
    INSERT INTO lifecycle.assignments (
        model, version, artifact_digest, stage, slot, from_stage, from_revision, displaced, kind, transition,
        actor_id, actor_kind, reason, time
    )
    SELECT model, $1, artifact_digest, $2, $3, from_stage, 99, displaced, kind, transition,
        actor_id, actor_kind, reason, time
    FROM lifecycle.assignments WHERE stage = 'production' AND to_revision IS NULL
"""


@pytest.mark.parametrize(
    ("version", "stage", "slot", "guard"),
    [("2", "production", 1, "assignments_slot"), ("1", "staging", None, "assignments_one_stage")],
)
async def test_what_the_database_refuses(
    team: Team, database_url: str, version: str, stage: str, slot: int | None, guard: str
) -> None:
    await team.promote(await team.version())
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        with pytest.raises(asyncpg.UniqueViolationError) as caught:
            await connection.execute(INSERT, f"{DIGITS}/versions/{version}", stage, slot)
        assert caught.value.constraint_name == guard
    finally:
        await connection.close()


async def test_two_last_approvals(team: Team) -> None:
    await team.policy(approvals=1)
    for _ in range(5):
        version = await team.version()
        await team.move(version, "staging")
        asked = (await team.request(version, "production")).transition
        calls = [team.approve(asked.name, as_=who) for who in ("reviewer", "reviewer-2", "reviewer-3")]
        assert sorted(await outcomes(calls)) == ["OK", "TRANSITION_CLOSED", "TRANSITION_CLOSED"]
        assert len((await team.transition(asked.name)).approvals) == 1


async def test_moves_of_the_same_models_in_different_orders(team: Team) -> None:
    models = [DIGITS, *[await team.model(f"{DEMO}/models/m{i}") for i in range(3)]]
    calls = []
    for turn in range(8):
        versions = [await team.version(model) for model in (models if turn % 2 else reversed(models))]
        await team.move(versions, "staging")
        calls.append(team.request(versions, "production"))
    assert await outcomes(calls) == ["OK"] * len(calls)
    states = [(await team.holders(model))["production"] for model in models]
    assert all(state == states[0] for state in states)


async def test_a_version_is_deleted_or_promoted_but_never_both(team: Team) -> None:
    results = Counter[tuple[str, ...]]()
    for _ in range(25):
        version = await team.version()
        promoted, deleted = await outcomes([team.request(version, "staging"), team.delete(version)])
        state = (await team.catalog.GetVersion(catalog_pb.GetVersionRequest(name=version))).version.state
        assert (state == Version.STATE_DELETED) == (deleted == "OK")
        assert (promoted, deleted) != ("OK", "OK")
        if promoted == "OK":
            assert deleted == "VERSION_IN_USE"
        else:
            assert promoted in ("VERSION_DELETED", "CONFLICT")
        results[promoted, deleted] += 1
    assert await team.holders() == (
        {} if not (kept := results["OK", "VERSION_IN_USE"]) else {"staging": (await team.holders())["staging"]}
    )
    assert len((await team.holders()).get("staging", [])) == kept


async def test_what_deletion_asks_is_answered_after_moves_that_are_being_decided(team: Team, database_url: str) -> None:
    version = await team.version()
    request = pb.BatchGetVersionStatesRequest(parent=DIGITS, versions=[version])
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", lock_key(DIGITS))
            asked = asyncio.ensure_future(team.as_("viewer").BatchGetVersionStates(request))
            other = pb.BatchGetVersionStatesRequest(parent=f"{DEMO}/models/other", versions=[])
            other.versions.append(f"{DEMO}/models/other/versions/1")
            await team.as_("viewer").BatchGetVersionStates(other)
            done, _ = await asyncio.wait([asked], timeout=0.3)
            assert not done
    finally:
        await connection.close()
    assert not (await asked).states[0].in_use


async def test_a_check_waits_for_the_other_models_of_a_move_that_it_completes(team: Team, database_url: str) -> None:
    other = await team.model(f"{DEMO}/models/other")
    await team.policy("bias")
    both = [await team.version(), await team.version(other)]
    await team.move(both, "staging")
    asked = (await team.request(both, "production")).transition
    await team.check(both[1], "bias")
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", lock_key(other))
            await team.check(both[0], "bias", Check.STATE_RUNNING)
            reported = asyncio.ensure_future(team.check(both[0], "bias"))
            done, _ = await asyncio.wait([reported], timeout=0.3)
            assert not done
    finally:
        await connection.close()
    assert list((await reported).completed_transitions) == [asked.name]
    assert (await team.transition(asked.name)).state == Transition.STATE_COMPLETED

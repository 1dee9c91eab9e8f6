"""Mutations beside the same rows written by hand: one statement under the same lock of the log, on asyncpg."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from uuid import uuid4

import asyncpg

from bench.installation import NAMESPACE, Installation, create_versions, in_parallel
from bench.load import calls_per_second
from bench.measure import Line, in_turns
from greenroom.catalog.v1 import catalog_service_pb2 as catalog_pb
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as lifecycle_pb

IN_FLIGHT = 16
SECONDS = 1.2
BY_HAND = "the same rows in one asyncpg statement under the same lock"

APPEND = "append_changes($1, $2, $3, $4, $5, $6, $7, $8, 'user', $9, $10, $11, '')"

CREATE_MODEL = f"""
    WITH model AS (INSERT INTO models (name, uid, namespace, message) VALUES ($12, $13, $14, $15))
    SELECT {APPEND}
"""

# Every CTE runs; the INSERT of the interval reads from the UPDATE, so that the version has left its stage before.
MOVE = f"""
    WITH change AS MATERIALIZED (SELECT {APPEND} AS revision),
    transition AS (
        INSERT INTO transitions (name, namespace, state, creators, message) VALUES ($12, $13, 2, $14, $15)
    ),
    moved AS (
        INSERT INTO transition_versions (transition, version, model, target_stage, pending)
        VALUES ($12, $16, $17, $18, false)
    ),
    left_behind AS (
        UPDATE assignments SET to_revision = change.revision FROM change
        WHERE version = $16 AND to_revision IS NULL RETURNING 1
    )
    INSERT INTO assignments (model, version, artifact_digest, stage, slot, from_stage, from_revision, displaced, kind,
        transition, actor_id, actor_kind, reason, time)
    SELECT $17, $16, $19, $18, NULL, '', change.revision, false, 1, $12, $8, 'user', '', now()
    FROM change, (SELECT count(*) FROM left_behind) AS after_that
"""

STAGES = ("staging", "production", "archived", "development")
"""The way of a version through the default graph, for ever."""


async def create_model(made: Installation) -> list[Line]:
    """CreateModel with a request id: two rows, metadata alone."""
    path = "/greenroom.catalog.v1.CatalogService/CreateModel"
    name = (f"{NAMESPACE}/models/m{number:08}" for number in count())

    def body(slot: int) -> bytes:
        model = Model(name=next(name), description="Digits by logistic regression", owner="someone@example.com")
        return catalog_pb.CreateModelRequest(model=model, request_id=str(uuid4())).SerializeToString()

    async def ours() -> Sequence[float]:
        rate, _ = await calls_per_second(
            made.server.address, path, made.token, body, in_flight=IN_FLIGHT, seconds=SECONDS
        )
        await made.quiet()  # the reference is not to be measured beside the publishing of what this wrote
        return (rate,)

    await ours()
    message, after = await stored(made, "catalog", "models", "model.created")
    async with await made.asyncpg_pool("catalog") as pool:
        await pool.execute("INSERT INTO namespaces VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", NAMESPACE, uuid4(), b"")

        async def by_hand(connection: asyncpg.Connection, slot: int) -> None:
            model = next(name)
            change = appended("model.created", model, "", after, path)
            await connection.execute(CREATE_MODEL, *change, model, uuid4(), NAMESPACE, message)

        (rates,) = await in_turns(ours, lambda: commits_per_second(pool, by_hand))
    return [Line(f"CreateModel, {IN_FLIGHT} in flight", "commits/s", *rates, BY_HAND)]


async def request_transition(made: Installation) -> list[Line]:
    """RequestTransition that completes at once; each slot moves a version of its own through the stages."""
    path = "/greenroom.lifecycle.v1.LifecycleService/RequestTransition"
    models = [f"{NAMESPACE}/models/moving-{slot}" for slot in range(IN_FLIGHT)]
    await in_parallel([create_versions(made, model, 1) for model in models])
    turns: Counter[int] = Counter()

    def body(slot: int) -> bytes:
        stage = STAGES[turns[slot] % len(STAGES)]
        turns[slot] += 1
        versions = [f"{models[slot]}/versions/1"]
        return lifecycle_pb.RequestTransitionRequest(
            parent=NAMESPACE, versions=versions, target_stage=stage, request_id=str(uuid4())
        ).SerializeToString()

    async def ours() -> Sequence[float]:
        rate, _ = await calls_per_second(
            made.server.address, path, made.token, body, in_flight=IN_FLIGHT, seconds=SECONDS
        )
        await made.quiet()  # the reference is not to be measured beside the publishing of what this wrote
        return (rate,)

    await ours()
    message, after = await stored(made, "lifecycle", "transitions", "transition.completed")
    transition = (f"{NAMESPACE}/transitions/{number:016}" for number in count())
    async with await made.asyncpg_pool("lifecycle") as pool:

        async def by_hand(connection: asyncpg.Connection, slot: int) -> None:
            name, version = next(transition), f"{models[slot]}/versions/1"
            change = appended("transition.completed", name, version, after, path)
            moved = (version, models[slot], "staging", made.digest)
            await connection.execute(MOVE, *change, name, NAMESPACE, ["admin"], message, *moved)

        (rates,) = await in_turns(ours, lambda: commits_per_second(pool, by_hand))
    return [Line(f"RequestTransition, {IN_FLIGHT} in flight", "commits/s", *rates, BY_HAND)]


def appended(type: str, resource: str, related: str, after: bytes, method: str) -> tuple[object, ...]:
    """Return the parameters of APPEND for one change by an administrator."""
    request_id, request_hash = str(uuid4()), bytes(32)
    changes = ([uuid4()], [type], [resource], [related], ["bench"], [None], [after])
    return (*changes, "admin", request_id, request_hash, method)


async def stored(made: Installation, service: str, table: str, type: str) -> tuple[bytes, bytes]:
    """Return a row's message and a change's resource as the service stored them."""
    async with await made.asyncpg_pool(service, database="greenroom", size=1) as pool:
        message = await pool.fetchval(f"SELECT message FROM {table} ORDER BY name DESC LIMIT 1")
        after = await pool.fetchval("SELECT after FROM changes WHERE type = $1 ORDER BY revision DESC LIMIT 1", type)
    return message, after


async def commits_per_second(
    pool: asyncpg.Pool, write: Callable[[asyncpg.Connection, int], Awaitable[None]]
) -> Sequence[float]:
    """Write from as many connections as there are calls in flight."""
    started = time.perf_counter()
    done = 0

    async def work(slot: int) -> None:
        nonlocal done
        async with pool.acquire() as connection:
            while time.perf_counter() - started < SECONDS:
                await write(connection, slot)
                done += 1

    await asyncio.gather(*(work(slot) for slot in range(IN_FLIGHT)))
    return (done / (time.perf_counter() - started),)

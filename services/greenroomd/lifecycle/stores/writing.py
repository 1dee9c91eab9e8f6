"""The lifecycle's writes on PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, delete, text
from sqlalchemy.dialects.postgresql import insert

from greenroomd.lifecycle import convert
from greenroomd.lifecycle.board import Placement
from greenroomd.lifecycle.convert_transition import transition_to_proto
from greenroomd.lifecycle.domain import (
    Alias,
    Check,
    Deployment,
    Policy,
    StageGraph,
    Transition,
    TransitionKind,
    TransitionState,
    last_segment,
    namespace_of,
    parent_of,
)
from greenroomd.lifecycle.stores.reading import PostgresLifecycleReader
from greenroomd.lifecycle.stores.tables import aliases, checks, deployments, policies, stage_graphs
from greenroomd.platform.changelog.log import Recorded, WriteTransaction

# Locks on names rather than rows: a model has no row here before its first move, and what is not there cannot be
# locked. They end with the transaction. Keys come sorted, so that two transactions never wait for each other.
LOCK = text("""
    WITH namespace AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(:namespace))
    SELECT pg_advisory_xact_lock(key) FROM namespace, unnest(CAST(:keys AS bigint[])) AS key
""")
LOCK_NAMESPACE = text("SELECT pg_advisory_xact_lock(:namespace)")

SAVE_TRANSITION = text("""
    WITH saved AS (
        INSERT INTO transitions (name, namespace, state, creators, message)
        VALUES (:name, :namespace, :state, CAST(:creators AS text[]), :message)
        ON CONFLICT (name) DO UPDATE SET state = EXCLUDED.state, message = EXCLUDED.message
    )
    INSERT INTO transition_versions (transition, version, model, target_stage, pending)
    SELECT :name, version, model, :target_stage, :pending
    FROM unnest(CAST(:versions AS text[]), CAST(:models AS text[])) AS moved (version, model)
    ON CONFLICT (transition, version) DO UPDATE SET pending = EXCLUDED.pending
""")

# Runs after the log's lock is taken, so it is one statement. The INSERT reads from the UPDATE, which therefore comes
# first: the place that a displaced version leaves is free when the other takes it.
MOVE = text("""
    WITH left_behind AS (
        UPDATE assignments SET to_revision = leaving.revision
        FROM unnest(CAST(:leaving AS text[]), CAST(:left_at AS bigint[])) AS leaving (version, revision)
        WHERE assignments.version = leaving.version AND assignments.to_revision IS NULL
        RETURNING 1
    )
    INSERT INTO assignments (
        model, version, artifact_digest, stage, slot, from_stage, from_revision, to_revision, displaced, kind,
        transition, actor_id, actor_kind, reason, time
    )
    SELECT entering.*
    FROM (SELECT count(*) FROM left_behind) AS after_that, unnest(
        CAST(:model AS text[]), CAST(:version AS text[]), CAST(:artifact_digest AS text[]), CAST(:stage AS text[]),
        CAST(:slot AS int[]), CAST(:from_stage AS text[]), CAST(:from_revision AS bigint[]),
        CAST(:to_revision AS bigint[]), CAST(:displaced AS boolean[]), CAST(:kind AS smallint[]),
        CAST(:transition AS text[]), CAST(:actor_id AS text[]), CAST(:actor_kind AS text[]), CAST(:reason AS text[]),
        CAST(:time AS timestamptz[])
    ) AS entering
""")

CLEAR_SLOTS = text("""
    UPDATE assignments SET slot = NULL
    WHERE starts_with(model, :models) AND stage = ANY(CAST(:stages AS text[])) AND to_revision IS NULL
""")
GIVE_SLOTS = text("""
    UPDATE assignments SET slot = place.slot
    FROM (
        SELECT id, row_number() OVER (PARTITION BY model, stage ORDER BY from_revision) AS slot FROM assignments
        WHERE starts_with(model, :models) AND stage = ANY(CAST(:stages AS text[])) AND to_revision IS NULL
    ) AS place
    WHERE assignments.id = place.id
""")


def lock_key(name: str) -> int:
    """Return the key of the lock of a resource: 63 bits of a digest. Two resources that share one only wait more."""
    return int.from_bytes(hashlib.sha256(f"lifecycle {name}".encode()).digest()[:8], signed=True)


@dataclass(slots=True)
class Opening:
    """An interval that the transaction opens, and perhaps also ends."""

    change: int
    """Which of the recorded changes it happens at."""
    transition: Transition
    placement: Placement
    ended_by: int | None = None


class PostgresLifecycleWriter(PostgresLifecycleReader):
    """Implements `ports.LifecycleWriter`."""

    def __init__(self, transaction: WriteTransaction) -> None:
        super().__init__(transaction.connection)
        self._transaction = transaction
        self._changes = 0
        self._leaving: dict[str, int] = {}
        self._openings: list[Opening] = []

    @property
    def revision(self) -> int:
        return self._transaction.revision

    async def lock(self, namespace: str, names: Iterable[str]) -> None:
        keys = sorted({lock_key(name) for name in names})
        await self._connection.execute(LOCK, {"namespace": lock_key(namespace), "keys": keys})

    async def lock_namespace(self, namespace: str) -> None:
        await self._connection.execute(LOCK_NAMESPACE, {"namespace": lock_key(namespace)})

    def record(self, change: Recorded) -> None:
        self._transaction.record(change)
        self._changes += 1

    def record_moves(self, change: Recorded, transition: Transition, placements: Sequence[Placement]) -> None:
        self.record(change)
        index = self._changes - 1
        for placement in placements:
            version = placement.move.version
            earlier = next((opening for opening in self._openings if _is_current(opening, version)), None)
            if earlier is None:
                self._leaving[version] = index
            else:
                earlier.ended_by = index
            self._openings.append(Opening(index, transition, placement))

    async def flush(self) -> None:
        """Append what was recorded to the log, then store the moves at the revisions that it made."""
        if not self._openings:
            return
        last = await self._transaction.append()
        revisions = [last - self._changes + 1 + index for index in range(self._changes)]
        await self._connection.execute(
            MOVE,
            {
                "leaving": list(self._leaving),
                "left_at": [revisions[index] for index in self._leaving.values()],
                **_columns([_row(opening, revisions) for opening in self._openings]),
            },
        )

    async def save_graph(self, graph: StageGraph, changed_capacities: Sequence[str]) -> None:
        message = convert.graph_to_proto(graph).SerializeToString()
        await self._upsert(stage_graphs, "namespace", namespace=namespace_of(graph.name), message=message)
        if changed_capacities:
            limited = [id for id in changed_capacities if (stage := graph.stage(id)) and stage.capacity]
            models = f"{namespace_of(graph.name)}/models/"
            await self._connection.execute(CLEAR_SLOTS, {"models": models, "stages": list(changed_capacities)})
            await self._connection.execute(GIVE_SLOTS, {"models": models, "stages": limited})

    async def save_policy(self, policy: Policy) -> None:
        message = convert.policy_to_proto(policy).SerializeToString()
        await self._upsert(policies, name=policy.name, namespace=namespace_of(policy.name), message=message)

    async def save_transition(self, transition: Transition) -> None:
        await self._connection.execute(
            SAVE_TRANSITION,
            {
                "name": transition.name,
                "namespace": namespace_of(transition.name),
                "state": transition.state.value,
                "creators": list(transition.creators),
                "message": transition_to_proto(transition).SerializeToString(),
                "target_stage": transition.target_stage,
                "pending": transition.state is TransitionState.PENDING,
                "versions": list(transition.versions),
                "models": list(transition.models),
            },
        )

    async def save_check(self, check: Check) -> None:
        message = convert.check_to_proto(check).SerializeToString()
        await self._upsert(checks, name=check.name, version=parent_of(check.name), message=message)

    async def save_alias(self, alias: Alias) -> None:
        await self._upsert(
            aliases,
            name=alias.name,
            model=parent_of(alias.name),
            alias=last_segment(alias.name),
            version=alias.version,
            artifact_digest=alias.artifact_digest,
            message=convert.alias_to_proto(alias).SerializeToString(),
        )

    async def delete_alias(self, name: str) -> None:
        await self._connection.execute(delete(aliases).where(aliases.c.name == name))

    async def save_deployment(self, deployment: Deployment) -> None:
        await self._upsert(
            deployments,
            name=deployment.name,
            model=parent_of(deployment.name),
            version=deployment.version,
            message=convert.deployment_to_proto(deployment).SerializeToString(),
        )

    async def _upsert(self, table: Table, key: str = "name", /, **row: Any) -> None:
        statement = insert(table).values(**row)
        changed = {column: statement.excluded[column] for column in row if column != key}
        await self._connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=changed))


def _is_current(opening: Opening, version: str) -> bool:
    return opening.ended_by is None and opening.placement.move.version == version


def _row(opening: Opening, revisions: Sequence[int]) -> dict[str, Any]:
    transition, move = opening.transition, opening.placement.move
    return {
        "model": parent_of(move.version),
        "version": move.version,
        "artifact_digest": opening.placement.artifact_digest,
        "stage": move.to_stage,
        "slot": opening.placement.slot,
        "from_stage": move.from_stage,
        "from_revision": revisions[opening.change],
        "to_revision": None if opening.ended_by is None else revisions[opening.ended_by],
        "displaced": move.displaced,
        "kind": (TransitionKind.MOVE if move.displaced else transition.kind).value,
        "transition": transition.name,
        "actor_id": transition.requester.id,
        "actor_kind": transition.requester.kind,
        "reason": transition.reason,
        "time": transition.close_time,
    }


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return one array a column, as `unnest` takes them."""
    return {column: [row[column] for row in rows] for column in rows[0]}

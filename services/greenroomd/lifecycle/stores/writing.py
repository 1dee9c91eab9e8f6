"""The lifecycle's writes on PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, Table, TextClause, delete, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from greenroomd.lifecycle import convert
from greenroomd.lifecycle.board import Placement
from greenroomd.lifecycle.convert_transition import transition_to_proto
from greenroomd.lifecycle.domain import (
    Alias,
    Check,
    Deployment,
    ModelRename,
    Policy,
    StageGraph,
    Transition,
    TransitionState,
    last_segment,
    namespace_of,
    parent_of,
)
from greenroomd.lifecycle.errors import ModelRenamed, MovedMeanwhile
from greenroomd.lifecycle.stores import renaming
from greenroomd.lifecycle.stores.intervals import MOVE, Intervals
from greenroomd.lifecycle.stores.reading import PostgresLifecycleReader
from greenroomd.lifecycle.stores.tables import aliases, checks, deployments, policies, stage_graphs
from greenroomd.platform.changelog.log import Recorded, WriteTransaction
from greenroomd.platform.database import violated_constraint

# Locks on names rather than rows: a model has no row here before its first move, and what is not there cannot be
# locked. They end with the transaction. Keys come sorted, so that two transactions never wait for each other.
LOCK = text("""
    SELECT name, current FROM lock_names(
        :namespace, CAST(:within AS bigint[]), CAST(:keys AS bigint[]), CAST(:models AS text[])
    )
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

GUARDS = ("assignments_one_stage", "assignments_slot", "transition_versions_pending")
"""Unique indexes that refuse what must not be, also when two writers passed each other."""

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


class PostgresLifecycleWriter(PostgresLifecycleReader):
    """Implements `ports.LifecycleWriter`."""

    def __init__(self, transaction: WriteTransaction) -> None:
        super().__init__(transaction.connection)
        self._transaction = transaction
        self._changes = 0
        self._intervals = Intervals()

    @property
    def revision(self) -> int:
        return self._transaction.revision

    async def lock(self, namespace: str, names: Iterable[str], *, within: Iterable[str] = ()) -> None:
        names, within = set(names), set(within)
        if former := await self._lock(namespace, names, within, check=names | within):
            raise ModelRenamed(former.name, former.current)

    async def lock_renaming(self, namespace: str, models: Iterable[str]) -> None:
        await self._lock(namespace, set(models), set(), check=set())

    async def _lock(self, namespace: str, names: set[str], within: set[str], check: set[str]) -> Row[Any] | None:
        parameters = {
            "namespace": lock_key(namespace),
            "keys": sorted(map(lock_key, names)),
            "within": sorted(map(lock_key, within)),
            "models": list(check),
        }
        return (await self._connection.execute(LOCK, parameters)).first()

    async def extend_redirect(self, rename: ModelRename) -> None:
        await renaming.extend_redirect(self._connection, rename)

    async def rename_model(self, rename: ModelRename) -> None:
        await renaming.move(self._connection, rename)

    async def lock_namespace(self, namespace: str) -> None:
        await self._connection.execute(LOCK_NAMESPACE, {"namespace": lock_key(namespace)})

    def record(self, change: Recorded) -> None:
        self._transaction.record(change)
        self._changes += 1

    def record_moves(self, change: Recorded, transition: Transition, placements: Sequence[Placement]) -> None:
        self.record(change)
        self._intervals.add(self._changes - 1, transition, placements)

    async def flush(self) -> None:
        """Append what was recorded to the log, then store the moves at the revisions that it made."""
        if self._intervals:
            last = await self._transaction.append()
            revisions = range(last - self._changes + 1, last + 1)
            await self._guarded(MOVE, self._intervals.parameters(revisions))

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
        await self._guarded(
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

    async def _guarded(self, statement: TextClause, parameters: dict[str, Any]) -> None:
        """Raises MovedMeanwhile when a guard of the database refuses what the lock should have prevented."""
        try:
            await self._connection.execute(statement, parameters)
        except IntegrityError as error:
            if violated_constraint(error) in GUARDS:
                raise MovedMeanwhile from None
            raise

    async def _upsert(self, table: Table, key: str = "name", /, **row: Any) -> None:
        statement = insert(table).values(**row)
        changed = {column: statement.excluded[column] for column in row if column != key}
        await self._connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=changed))

"""The lifecycle's reads on PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Select, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from greenroomd.lifecycle.board import Entry, Holding
from greenroomd.lifecycle.domain import (
    Alias,
    Check,
    Deployment,
    Transition,
    TransitionKind,
    TransitionState,
    namespace_of,
    parent_of,
)
from greenroomd.lifecycle.errors import ModelRenamed
from greenroomd.lifecycle.ports import Rules
from greenroomd.lifecycle.standings import Named, PastMove, Pointed, Standing
from greenroomd.lifecycle.stores import renaming
from greenroomd.lifecycle.stores.rows import to_alias, to_check, to_deployment, to_graph, to_policy, to_transition
from greenroomd.lifecycle.stores.tables import (
    aliases,
    assignments,
    checks,
    deployments,
    transition_versions,
    transitions,
)
from greenroomd.platform.changelog.log import HEAD
from greenroomd.platform.context import Actor
from greenroomd.platform.redirects import Redirect

RULES = text("""
    SELECT true AS is_graph, message FROM stage_graphs WHERE namespace = :namespace
    UNION ALL
    SELECT false, message FROM policies WHERE namespace = :namespace
""")

# One statement, hence one state of the database: what resolving a stage or an alias costs.
NAMED = text("""
    SELECT head.revision, graph.message AS graph,
        holder.version AS holder, holder.artifact_digest AS holder_digest,
        alias.version AS alias, alias.artifact_digest AS alias_digest, place.stage AS alias_stage
    FROM log_head AS head
    LEFT JOIN stage_graphs AS graph ON graph.namespace = :namespace
    LEFT JOIN LATERAL (
        SELECT version, artifact_digest FROM assignments
        WHERE model = :model AND stage = :name AND to_revision IS NULL
        ORDER BY from_revision DESC LIMIT 1
    ) AS holder ON true
    LEFT JOIN aliases AS alias ON alias.name = :alias_name
    LEFT JOIN assignments AS place ON place.version = alias.version AND place.to_revision IS NULL
""")

STANDING = text("""
    SELECT head.revision, graph.message AS graph, place.stage, former.current
    FROM log_head AS head
    LEFT JOIN former_names AS former ON former.name = :model
    LEFT JOIN stage_graphs AS graph ON graph.namespace = :namespace
    LEFT JOIN assignments AS place ON place.version = :version AND place.to_revision IS NULL
""")

CURRENT = assignments.c.to_revision.is_(None)


class PostgresLifecycleReader:
    """Implements `ports.LifecycleReader`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def head(self) -> int:
        return int((await self._connection.execute(HEAD)).scalar_one())

    async def rules(self, namespace: str) -> Rules:
        rows = (await self._connection.execute(RULES, {"namespace": namespace})).all()
        graph = next((row.message for row in rows if row.is_graph), None)
        policies = [to_policy(row.message) for row in rows if not row.is_graph]
        return Rules(to_graph(namespace, graph), {policy.stage: policy for policy in policies})

    async def holdings(
        self, models: Sequence[str], versions: Sequence[str], stages: Sequence[str]
    ) -> Sequence[Holding]:
        wanted: ColumnElement[bool] = assignments.c.version.in_(versions)
        if stages:
            wanted = or_(wanted, assignments.c.model.in_(models) & assignments.c.stage.in_(stages))
        return await self._holdings(wanted)

    async def model_holdings(self, model: str) -> Sequence[Holding]:
        return await self._holdings(assignments.c.model == model)

    async def _holdings(self, wanted: ColumnElement[bool]) -> Sequence[Holding]:
        columns = (
            assignments.c.version,
            assignments.c.artifact_digest,
            assignments.c.stage,
            assignments.c.slot,
            assignments.c.from_revision,
        )
        return [Holding(*row) for row in await self._connection.execute(select(*columns).where(CURRENT, wanted))]

    async def stage_use(self, namespace: str) -> Mapping[tuple[str, str], int]:
        query = (
            select(assignments.c.stage, assignments.c.model, func.count())
            .where(CURRENT, assignments.c.model.startswith(f"{namespace}/models/", autoescape=True))
            .group_by(assignments.c.stage, assignments.c.model)
        )
        return {(stage, model): count for stage, model, count in await self._connection.execute(query)}

    async def entries(self, model: str, stage: str) -> Sequence[Entry]:
        query = (
            select(assignments.c.version, assignments.c.kind, assignments.c.from_revision, assignments.c.to_revision)
            .where(assignments.c.model == model, assignments.c.stage == stage)
            .order_by(assignments.c.from_revision)
        )
        rows = await self._connection.execute(query)
        return [Entry(row.version, TransitionKind(row.kind), row.from_revision, row.to_revision) for row in rows]

    async def past_moves(self, version: str) -> Sequence[PastMove]:
        query = select(assignments).where(assignments.c.version == version).order_by(assignments.c.from_revision)
        return [
            PastMove(
                version=row.version,
                from_stage=row.from_stage,
                to_stage=row.stage,
                displaced=row.displaced,
                transition=row.transition,
                actor=Actor(row.actor_id, row.actor_kind),
                reason=row.reason,
                time=row.time,
                revision=row.from_revision,
            )
            for row in await self._connection.execute(query)
        ]

    async def transition(self, name: str) -> Transition | None:
        row = (await self._connection.execute(select(transitions).where(transitions.c.name == name))).one_or_none()
        return None if row is None else to_transition(row)

    async def transitions(
        self, namespace: str, model: str | None, state: TransitionState | None, before: str, limit: int
    ) -> Sequence[Transition]:
        query = select(transitions).where(transitions.c.namespace == namespace)
        if model is not None:
            query = query.where(
                transitions.c.name.in_(
                    select(transition_versions.c.transition).where(transition_versions.c.model == model)
                )
            )
        if state is not None:
            query = query.where(transitions.c.state == state.value)
        if before:
            query = query.where(transitions.c.name < before)
        rows = await self._connection.execute(query.order_by(transitions.c.name.desc()).limit(limit))
        return [to_transition(row) for row in rows]

    async def open_transitions(self, versions: Sequence[str]) -> Sequence[Transition]:
        named = select(transition_versions.c.transition).where(
            transition_versions.c.version.in_(versions), transition_versions.c.pending
        )
        query = select(transitions).where(transitions.c.name.in_(named)).order_by(transitions.c.name)
        return [to_transition(row) for row in await self._connection.execute(query)]

    async def checks(self, versions: Iterable[str]) -> Sequence[Check]:
        query = select(checks.c.message).where(checks.c.version.in_(tuple(versions))).order_by(checks.c.name)
        return [to_check(message) for message in await self._messages(query)]

    async def check(self, name: str) -> Check | None:
        message = await self._message(select(checks.c.message).where(checks.c.name == name))
        return None if message is None else to_check(message)

    async def alias(self, name: str) -> Alias | None:
        message = await self._message(select(aliases.c.message).where(aliases.c.name == name))
        return None if message is None else to_alias(message)

    async def aliases(self, model: str) -> Sequence[Alias]:
        query = select(aliases.c.message).where(aliases.c.model == model).order_by(aliases.c.name)
        return [to_alias(message) for message in await self._messages(query)]

    async def aliases_of(self, versions: Sequence[str]) -> Sequence[Alias]:
        query = select(aliases.c.message).where(aliases.c.version.in_(versions)).order_by(aliases.c.name)
        return [to_alias(message) for message in await self._messages(query)]

    async def aliases_called(self, namespace: str, ids: Sequence[str]) -> Sequence[str]:
        below = aliases.c.model.startswith(f"{namespace}/models/", autoescape=True)
        query = select(aliases.c.name).where(below, aliases.c.alias.in_(ids)).order_by(aliases.c.name)
        return (await self._connection.scalars(query)).all()

    async def deployment(self, name: str) -> Deployment | None:
        message = await self._message(select(deployments.c.message).where(deployments.c.name == name))
        return None if message is None else to_deployment(message)

    async def deployments(self, model: str) -> Sequence[Deployment]:
        query = select(deployments.c.message).where(deployments.c.model == model).order_by(deployments.c.name)
        return [to_deployment(message) for message in await self._messages(query)]

    async def deployments_of(self, versions: Sequence[str]) -> Sequence[Deployment]:
        query = select(deployments.c.message).where(deployments.c.version.in_(versions)).order_by(deployments.c.name)
        return [to_deployment(message) for message in await self._messages(query)]

    async def named(self, model: str, name: str) -> Named:
        namespace = namespace_of(model)
        parameters = {"namespace": namespace, "model": model, "name": name, "alias_name": f"{model}/aliases/{name}"}
        row = (await self._connection.execute(NAMED, parameters)).one()
        return Named(
            graph=to_graph(namespace, row.graph),
            holder=row.holder and Pointed(row.holder, row.holder_digest, name),
            alias=row.alias and Pointed(row.alias, row.alias_digest, row.alias_stage or ""),
            revision=row.revision,
        )

    async def standing(self, version: str) -> Standing:
        namespace = namespace_of(version)
        parameters = {"namespace": namespace, "model": parent_of(version), "version": version}
        row = (await self._connection.execute(STANDING, parameters)).one()
        if row.current is not None:
            raise ModelRenamed(parent_of(version), row.current)
        return Standing(row.stage or to_graph(namespace, row.graph).first, row.revision)

    async def redirects(self, models: Collection[str]) -> Mapping[str, Redirect]:
        return await renaming.redirects(self._connection, models)

    async def renames(self, model: str) -> int:
        return await renaming.last_sequence(self._connection, model)

    async def _message(self, query: Select[bytes]) -> bytes | None:
        return (await self._connection.execute(query)).scalar_one_or_none()

    async def _messages(self, query: Select[bytes]) -> Sequence[bytes]:
        return (await self._connection.scalars(query)).all()

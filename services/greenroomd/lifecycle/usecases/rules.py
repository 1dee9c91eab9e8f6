"""Stage graphs and policies: what a namespace demands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from greenroomd.lifecycle.domain import Policy, Stage, StageGraph, namespace_id, namespace_of
from greenroomd.lifecycle.errors import StageGraphInvalid, StageUnknown
from greenroomd.lifecycle.graph import DEFAULT_ETAG, conflicts_with_use, contradictions
from greenroomd.lifecycle.ports import Catalog, LifecycleStore, Rules
from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.etags import check_etag, new_etag


def known_stage(graph: StageGraph, id: str) -> Stage:
    """Raises StageUnknown."""
    stage = graph.stage(id)
    if stage is None:
        raise StageUnknown(id, graph.ids)
    return stage


def policy_of(rules: Rules, stage: str) -> Policy:
    """Return the policy of a stage; one that demands nothing when none was set."""
    name = f"{namespace_of(rules.graph.name)}/policies/{stage}"
    return rules.policies.get(stage) or Policy(name, (), 0, None, DEFAULT_ETAG)


@dataclass(frozen=True, slots=True)
class StageRules:
    store: LifecycleStore
    catalog: Catalog
    clock: Clock

    async def get_graph(self, namespace: str) -> StageGraph:
        return (await self._rules(namespace)).graph

    async def update_graph(self, new: StageGraph) -> Written[StageGraph]:
        """Replace the graph of a namespace. `update_time` is set here, and `etag` is the one that the caller read."""
        namespace = namespace_of(new.name)
        await self.catalog.require_namespace(namespace)
        async with self.store.write() as transaction:
            await transaction.lock_namespace(namespace)
            before = (await transaction.rules(namespace)).graph
            check_etag(new.name, new.etag, before.etag)
            problems = contradictions(new) + conflicts_with_use(
                new,
                await transaction.stage_use(namespace),
                await transaction.aliases_called(namespace, new.ids),
            )
            if problems:
                raise StageGraphInvalid(new.name, problems)
            after = replace(new, update_time=self.clock.now(), etag=new_etag())
            await transaction.save_graph(after, _changed_capacities(before, after))
            was_set = before if before.update_time else None
            transaction.record(Recorded("stage_graph.updated", after.name, namespace_id(namespace), after, was_set))
        return Written(after, transaction.revision)

    async def get_policy(self, name: str) -> Policy:
        rules = await self._rules(namespace_of(name))
        stage = known_stage(rules.graph, name.rsplit("/", 1)[1])
        return policy_of(rules, stage.id)

    async def list_policies(self, namespace: str) -> Sequence[Policy]:
        rules = await self._rules(namespace)
        return [policy_of(rules, stage) for stage in rules.graph.ids]

    async def update_policy(self, new: Policy) -> Written[Policy]:
        """Replace the policy of a stage. `update_time` is set here, and `etag` is the one that the caller read."""
        namespace = namespace_of(new.name)
        await self.catalog.require_namespace(namespace)
        async with self.store.write() as transaction:
            await transaction.lock_namespace(namespace)
            rules = await transaction.rules(namespace)
            before = policy_of(rules, known_stage(rules.graph, new.stage).id)
            check_etag(new.name, new.etag, before.etag)
            after = replace(new, update_time=self.clock.now(), etag=new_etag())
            await transaction.save_policy(after)
            was_set = before if before.update_time else None
            transaction.record(Recorded("policy.updated", after.name, namespace_id(namespace), after, was_set))
        return Written(after, transaction.revision)

    async def _rules(self, namespace: str) -> Rules:
        await self.catalog.require_namespace(namespace)
        async with self.store.read() as reader:
            return await reader.rules(namespace)


def _changed_capacities(before: StageGraph, after: StageGraph) -> list[str]:
    old = {stage.id: stage.capacity for stage in before.stages}
    return [stage.id for stage in after.stages if old.get(stage.id, 0) != stage.capacity]

"""Random moves, rollbacks, aliases and deletions against dicts that say what must come out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from greenroom.lifecycle.v1.watch_pb2 import LifecycleResource
from greenroomd.lifecycle.convert import resource_bytes
from greenroomd.lifecycle.domain import TransitionState, VersionFacts, VersionState, parent_of
from greenroomd.lifecycle.errors import (
    NothingToRollBackTo,
    SelectorUnresolved,
    StageEdgeMissing,
    StageUnchanged,
    VersionDeleted,
)
from greenroomd.lifecycle.handler import UseCases
from greenroomd.lifecycle.stores.postgres import PostgresLifecycleStore
from greenroomd.lifecycle.usecases.requests import Wanted
from greenroomd.platform.changelog.log import ChangeLog
from greenroomd.platform.clock import SystemClock
from greenroomd.platform.context import Actor
from greenroomd.platform.database import Database

T = TypeVar("T")

STAGES = ("development", "staging", "production", "archived")
EDGES = {
    "development": ("staging", "archived"),
    "staging": ("development", "production", "archived"),
    "production": ("archived",),
    "archived": ("development",),
}
ALIASES = ("champion", "challenger")

namespaces = count()


class ReferenceCatalog:
    """Versions as a dict, behind the lifecycle's port."""

    def __init__(self) -> None:
        self.known: dict[str, VersionFacts] = {}

    def register(self, model: str) -> str:
        number = sum(parent_of(name) == model for name in self.known) + 1
        name = f"{model}/versions/{number}"
        digest = f"sha256:{number:064x}"
        self.known[name] = VersionFacts(name, VersionState.READY, digest, Actor("author", "user"), datetime.now(UTC))
        return name

    async def require_namespace(self, name: str) -> None: ...

    async def require_model(self, name: str) -> None: ...

    async def version(self, name: str) -> VersionFacts:
        return self.known[name]

    async def versions(self, names: Sequence[str]) -> Sequence[VersionFacts]:
        return [self.known[name] for name in names]

    async def latest(self, model: str) -> VersionFacts:
        raise NotImplementedError

    async def by_number(self, model: str, number: int) -> VersionFacts:
        raise NotImplementedError

    async def by_digest(self, model: str, digest: str) -> VersionFacts:
        raise NotImplementedError

    async def by_semver(self, model: str, range: str) -> VersionFacts:
        raise NotImplementedError


@dataclass
class Expected:
    """What must be true, kept as simply as it can be said."""

    stage: dict[str, str] = field(default_factory=lambda: defaultdict(lambda: "development"))
    holders: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    """In the order in which they entered."""
    visits: dict[tuple[str, str], list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    """What a stage can go back to: version and number of the visit."""
    visit: dict[str, int] = field(default_factory=dict)
    """The visit that a version is on now."""
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    steps: count[int] = field(default_factory=count)

    def put(self, version: str, stage: str) -> None:
        model, here = parent_of(version), self.stage[version]
        if version in self.holders[model, here]:
            self.holders[model, here].remove(version)
        self.stage[version] = stage
        self.holders[model, stage].append(version)
        self.visit[version] = next(self.steps)

    def move(self, version: str, stage: str) -> None:
        model = parent_of(version)
        if stage == "production" and self.holders[model, stage]:
            self._make_room(self.holders[model, stage][0])
        self.put(version, stage)
        self.visits[model, stage].append((version, self.visit[version]))

    def _make_room(self, version: str) -> None:
        self.put(version, "archived")
        self.visits[parent_of(version), "archived"].append((version, self.visit[version]))

    def previous(self, model: str, stage: str) -> str | None:
        for version, _ in reversed(self.visits[model, stage]):
            elsewhere = self.stage[version] == "production" and stage != "production"
            if version not in self.holders[model, stage] and version not in self.deleted and not elsewhere:
                return version
        return None

    def roll_back(self, model: str, stage: str) -> None:
        target = self.previous(model, stage)
        assert target is not None
        if stage == "production" and self.holders[model, stage]:
            self._make_room(self.holders[model, stage][-1])
        visits = self.visits[model, stage]
        depth = max(index for index, (version, _) in enumerate(visits) if version == target)
        here = [visit for visit in visits[depth + 1 :] if self.visit[visit[0]] == visit[1]]
        self.put(target, stage)
        visits[depth:] = [*here, (target, self.visit[target])]

    def in_use(self, version: str) -> bool:
        return self.stage[version] in ("staging", "production") or version in self.aliases.values()


class LifecycleMachine(RuleBasedStateMachine):
    """Two models in a namespace of their own, in a database that all runs share."""

    runner: asyncio.Runner
    log: ChangeLog

    versions: Bundle[str] = Bundle("versions")

    def __init__(self) -> None:
        super().__init__()
        namespace = f"namespaces/run-{next(namespaces)}"
        self.namespace = namespace
        self.models = [f"{namespace}/models/a", f"{namespace}/models/b"]
        self.catalog = ReferenceCatalog()
        self.expected = Expected()
        self.do = UseCases.build(PostgresLifecycleStore(self.log), self.catalog, SystemClock())
        self.start = self.run(self.log.head())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def request(self, versions: tuple[str, ...], stage: str) -> None:
        wanted = Wanted(self.namespace, versions, stage, "because", "")
        written = self.run(self.do.transitions.request(wanted, validate_only=False))
        assert written.value.state is TransitionState.COMPLETED

    @rule(target=versions, model=st.integers(0, 1))
    def register(self, model: int) -> Any:
        return self.catalog.register(self.models[model])

    @rule(target=versions, model=st.integers(0, 1))
    def register_and_promote(self, model: int) -> Any:
        """Long ways are rare when every step is random."""
        version = self.catalog.register(self.models[model])
        for stage in ("staging", "production"):
            self.request((version,), stage)
            self.expected.move(version, stage)
        return multiple(version)

    @rule(version=versions, stage=st.sampled_from(STAGES))
    def move(self, version: str, stage: str) -> None:
        here = self.expected.stage[version]
        try:
            self.request((version,), stage)
        except StageUnchanged:
            assert here == stage
        except StageEdgeMissing as error:
            assert stage not in EDGES[here]
            assert error.metadata["reachable"] == ",".join(EDGES[here])
        except VersionDeleted:
            assert version in self.expected.deleted
        else:
            assert stage in EDGES[here]
            self.expected.move(version, stage)

    @rule(first=versions, second=versions, stage=st.sampled_from(STAGES))
    def move_together(self, first: str, second: str, stage: str) -> None:
        if parent_of(first) == parent_of(second):
            return
        both = (first, second)
        possible = all(
            stage in EDGES[self.expected.stage[version]] and version not in self.expected.deleted for version in both
        )
        try:
            self.request(both, stage)
        except (StageUnchanged, StageEdgeMissing, VersionDeleted):
            assert not possible
        else:
            assert possible
            for version in both:
                self.expected.move(version, stage)

    @rule(model=st.integers(0, 1), stage=st.sampled_from(("production", "staging", "production")))
    def roll_back(self, model: int, stage: str) -> None:
        name = self.models[model]
        previous = self.expected.previous(name, stage)
        try:
            written = self.run(self.do.rollbacks.roll_back(name, stage, "worse", ""))
        except NothingToRollBackTo:
            assert previous is None
        else:
            assert written.value.versions == (previous,)
            self.expected.roll_back(name, stage)

    @rule(version=versions, alias=st.sampled_from(ALIASES))
    def set_alias(self, version: str, alias: str) -> None:
        model = parent_of(version)
        try:
            self.run(self.do.aliases.set(f"{model}/aliases/{alias}", version, "", ""))
        except VersionDeleted:
            assert version in self.expected.deleted
        else:
            self.expected.aliases[model, alias] = version

    @rule(model=st.integers(0, 1), alias=st.sampled_from(ALIASES))
    def delete_alias(self, model: int, alias: str) -> None:
        if self.expected.aliases.pop((self.models[model], alias), None) is not None:
            self.run(self.do.aliases.delete(f"{self.models[model]}/aliases/{alias}", ""))

    @rule(version=consumes(versions))
    def delete(self, version: str) -> None:
        """As the catalog does it: only what is not in use."""
        (standing,), _ = self.run(self.do.states.versions(parent_of(version), [version]))
        assert standing.in_use == self.expected.in_use(version)
        assert standing.stage == self.expected.stage[version]
        if not standing.in_use:
            self.catalog.known[version] = replace(self.catalog.known[version], state=VersionState.DELETED)
            self.expected.deleted.add(version)

    @rule(model=st.integers(0, 1), name=st.sampled_from(("production", "staging", *ALIASES)))
    def resolves_as_expected(self, model: int, name: str) -> None:
        short = self.models[model].replace("namespaces/", "").replace("/models", "")
        assert self.resolve(f"{short}@{name}") == self.named(self.models[model], name)

    @invariant()
    def states_are_as_expected(self) -> None:
        for model in self.models:
            state = self.run(self.do.states.model(model))
            assert dict(state.stages) == {
                stage: tuple(reversed(self.expected.holders[model, stage])) for stage in STAGES
            }
            assert {alias.name.rsplit("/", 1)[1]: alias.version for alias in state.aliases} == {
                alias: version for (owner, alias), version in self.expected.aliases.items() if owner == model
            }

    def named(self, model: str, name: str) -> str | None:
        holders = self.expected.holders[model, name]
        return holders[-1] if holders else self.expected.aliases.get((model, name))

    def resolve(self, selector: str) -> str | None:
        try:
            resolution = self.run(self.do.resolver.resolve(selector))
        except SelectorUnresolved:
            return None
        assert resolution.stage == self.expected.stage[resolution.version]
        assert resolution.artifact_digest == self.catalog.known[resolution.version].artifact_digest
        return resolution.version

    def teardown(self) -> None:
        """The log alone tells the same story, and at no revision has production two holders."""
        production: dict[str, str] = {}
        for change in self.run(self.log.read_after(self.start, 10_000)):
            if change.type != "transition.completed":
                continue
            assert change.after is not None
            for move in LifecycleResource.FromString(change.after).transition.moves:
                if move.from_stage == "production":
                    assert production.pop(parent_of(move.version), move.version) == move.version
                if move.to_stage == "production":
                    production[parent_of(move.version)] = move.version
        assert production == {
            model: holders[0]
            for (model, stage), holders in self.expected.holders.items()
            if stage == "production" and holders
        }


def test_the_lifecycle_does_what_dicts_say(database_url: str) -> None:
    with asyncio.Runner() as runner:
        database = Database(database_url, "lifecycle")
        LifecycleMachine.runner, LifecycleMachine.log = runner, ChangeLog(database, resource_bytes)
        try:
            run_state_machine_as_test(
                LifecycleMachine,
                settings=settings(
                    max_examples=40,
                    phases=[Phase.generate],  # shrinking takes minutes; allow it by hand when this fails
                    stateful_step_count=30,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(database.close())

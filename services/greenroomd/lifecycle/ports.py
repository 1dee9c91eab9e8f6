"""What the lifecycle needs from outside: a store, and the catalog."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from greenroomd.lifecycle.board import Entry, Holding, Placement
from greenroomd.lifecycle.domain import (
    Alias,
    Check,
    Deployment,
    ModelRename,
    Policy,
    StageGraph,
    Transition,
    TransitionState,
    VersionFacts,
)
from greenroomd.lifecycle.standings import Named, PastMove, Standing
from greenroomd.platform.changelog.log import Recorded
from greenroomd.platform.redirects import Redirect


@dataclass(frozen=True, slots=True)
class Rules:
    """What a namespace has set, or the defaults."""

    graph: StageGraph
    policies: Mapping[str, Policy]
    """By stage; stages without a policy are missing."""


class LifecycleReader(Protocol):
    """Reads of one connection. What is not there is None; lists are by name unless said otherwise."""

    async def head(self) -> int:
        """The last revision of the log."""
        ...

    async def rules(self, namespace: str) -> Rules: ...

    async def holdings(
        self, models: Sequence[str], versions: Sequence[str], stages: Sequence[str]
    ) -> Sequence[Holding]:
        """Current holdings of the given versions, and of all versions of the models in the given stages."""
        ...

    async def model_holdings(self, model: str) -> Sequence[Holding]:
        """All current holdings of a model."""
        ...

    async def stage_use(self, namespace: str) -> Mapping[tuple[str, str], int]:
        """Number of versions by stage and model, where there are any."""
        ...

    async def entries(self, model: str, stage: str) -> Sequence[Entry]:
        """Every entry into a stage, oldest first."""
        ...

    async def past_moves(self, version: str) -> Sequence[PastMove]:
        """The version's moves, oldest first."""
        ...

    async def transition(self, name: str) -> Transition | None: ...

    async def transitions(
        self, namespace: str, model: str | None, state: TransitionState | None, before: str, limit: int
    ) -> Sequence[Transition]:
        """Transitions named below `before` (all when it is empty), newest first."""
        ...

    async def open_transitions(self, versions: Sequence[str]) -> Sequence[Transition]:
        """Pending transitions that move one of the versions, oldest first."""
        ...

    async def checks(self, versions: Iterable[str]) -> Sequence[Check]: ...

    async def check(self, name: str) -> Check | None: ...

    async def alias(self, name: str) -> Alias | None: ...

    async def aliases(self, model: str) -> Sequence[Alias]: ...

    async def aliases_of(self, versions: Sequence[str]) -> Sequence[Alias]: ...

    async def aliases_called(self, namespace: str, ids: Sequence[str]) -> Sequence[str]:
        """Resource names of the namespace's aliases with one of these ids."""
        ...

    async def deployment(self, name: str) -> Deployment | None: ...

    async def deployments(self, model: str) -> Sequence[Deployment]: ...

    async def deployments_of(self, versions: Sequence[str]) -> Sequence[Deployment]: ...

    async def named(self, model: str, name: str) -> Named: ...

    async def standing(self, version: str) -> Standing:
        """Raises ModelRenamed."""
        ...

    async def redirects(self, models: Collection[str]) -> Mapping[str, Redirect]:
        """Where those of the names lead that are former ones."""
        ...

    async def renames(self, model: str) -> int:
        """Which renaming gave the model its present name; 0 when it has had no other."""
        ...


class LifecycleWriter(LifecycleReader, Protocol):
    """A transaction: what it writes and records becomes visible together, at `revision`, or not at all."""

    @property
    def revision(self) -> int:
        """The last revision that the transaction made; known after it has ended."""
        ...

    async def lock(self, namespace: str, names: Iterable[str], *, within: Iterable[str] = ()) -> None:
        """Keep others from changing what belongs to these models (or other resources), until the transaction ends.

        Also keeps the stage graph of the namespace as it is, and models from being renamed. To be called once, before
        anything is read that the transaction decides on; facts from the catalog are asked for after it.

        Args:
            within: models of the other resources, which others may go on to change.

        Raises:
            ModelRenamed: one of the models has another name.
        """
        ...

    async def lock_renaming(self, namespace: str, models: Iterable[str]) -> None:
        """Do what `lock` does, with names that may be former ones."""
        ...

    async def extend_redirect(self, rename: ModelRename) -> None:
        """Let a former name lead on until the time that the renaming says."""
        ...

    async def rename_model(self, rename: ModelRename) -> None:
        """Move everything of a model to its new name, and lead the former name there."""
        ...

    async def lock_namespace(self, namespace: str) -> None:
        """Keep everything in a namespace as it is until the transaction ends."""
        ...

    def record(self, change: Recorded) -> None: ...

    def record_moves(self, change: Recorded, transition: Transition, placements: Sequence[Placement]) -> None:
        """Record a completed transition together with its moves, which happen at the change's revision."""
        ...

    async def save_graph(self, graph: StageGraph, changed_capacities: Sequence[str]) -> None:
        """Store a graph and give the holders of stages whose capacity changed their places."""
        ...

    async def save_policy(self, policy: Policy) -> None: ...

    async def save_transition(self, transition: Transition) -> None: ...

    async def save_check(self, check: Check) -> None: ...

    async def save_alias(self, alias: Alias) -> None: ...

    async def delete_alias(self, name: str) -> None: ...

    async def save_deployment(self, deployment: Deployment) -> None: ...


class LifecycleStore(Protocol):
    def read(self) -> AbstractAsyncContextManager[LifecycleReader]:
        """Reads that each see the newest committed state by themselves."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[LifecycleReader]:
        """Reads that all see one committed state."""
        ...

    def write(self) -> AbstractAsyncContextManager[LifecycleWriter]: ...

    async def redirects(self, models: Collection[str]) -> Mapping[str, Redirect]:
        """Return where those of the names lead that are former ones."""
        ...

    async def settle(self, model: str) -> None:
        """Wait until the transactions that hold the model's lock now have ended: later reads see their outcome."""
        ...


class Catalog(Protocol):
    """The catalog, as far as the lifecycle asks it. What is not there raises NotFound as the catalog says it.

    Every method raises Unavailable when the catalog is away.
    """

    async def require_namespace(self, name: str) -> None: ...

    async def require_model(self, name: str) -> None: ...

    async def version(self, name: str) -> VersionFacts:
        """Return a version, also one that is being or has been deleted."""
        ...

    async def versions(self, names: Sequence[str]) -> Sequence[VersionFacts]:
        """Return several versions in the order asked."""
        ...

    async def latest(self, model: str) -> VersionFacts: ...

    async def by_number(self, model: str, number: int) -> VersionFacts: ...

    async def by_digest(self, model: str, digest: str) -> VersionFacts: ...

    async def by_semver(self, model: str, range: str) -> VersionFacts:
        """Raises InvalidArgument when the range cannot be read."""
        ...

"""Where the versions of some models are, and what happens there when one moves: slots, displacement, going back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from greenroomd.lifecycle.domain import Stage, StageGraph, StageMove, TransitionKind, VersionFacts, parent_of
from greenroomd.lifecycle.errors import StageEdgeMissing, StageFull, StageUnchanged


@dataclass(frozen=True, slots=True)
class Holding:
    """A version that is in a stage now."""

    version: str
    artifact_digest: str
    stage: str
    slot: int | None
    """Which of the stage's 1 to `capacity` places it takes; None in a stage without a capacity."""
    entered: int
    """Revision at which it entered: orders the holders of a stage."""

    @property
    def model(self) -> str:
        return parent_of(self.version)


@dataclass(frozen=True, slots=True)
class Placement:
    """A move as it is to be stored: what the transition shows, and the place taken."""

    move: StageMove
    artifact_digest: str
    slot: int | None


class Board:
    """Some holdings under a stage graph. Moving changes the board only; `fork` first what may have to be dropped.

    Args:
        graph: the stage graph of the models' namespace.
        holdings: those of every version that is to move, and all those of every stage with a capacity that is to
            be entered; others may be missing.
    """

    def __init__(self, graph: StageGraph, holdings: Iterable[Holding]) -> None:
        self.graph = graph
        self._holdings = {holding.version: holding for holding in holdings}

    def fork(self) -> Board:
        """Return a board that starts as this one."""
        return Board(self.graph, self._holdings.values())

    def stage_of(self, version: str) -> str:
        """Return the stage a version is in: the first when it was never moved."""
        holding = self._holdings.get(version)
        return self.graph.first if holding is None else holding.stage

    def holders(self, model: str, stage: str) -> list[Holding]:
        """Return the versions of a model in a stage, the one that entered last first."""
        found = [holding for holding in self._holdings.values() if holding.stage == stage and holding.model == model]
        return sorted(found, key=lambda holding: holding.entered, reverse=True)

    def current(self, model: str, stage: str) -> str:
        """Return the version that a selector with this stage names; empty when there is none."""
        holders = self.holders(model, stage)
        return holders[0].version if holders else ""

    def check_move(self, version: str, target: Stage) -> None:
        """Raises StageUnchanged, StageEdgeMissing."""
        here = self.stage_of(version)
        if here == target.id:
            raise StageUnchanged(version, here)
        reachable = self.graph.reachable(here)
        if target.id not in reachable:
            raise StageEdgeMissing(version, here, target.id, reachable)

    def move(self, versions: Sequence[VersionFacts], target: Stage) -> tuple[Placement, ...]:
        """Move versions of different models along an edge; those that make room for them move too, and come first.

        Raises StageUnchanged, StageEdgeMissing, StageFull.
        """
        for version in versions:
            self.check_move(version.name, target)
        displaced: list[Placement] = []
        moved = []
        for version in versions:
            slot = None
            if target.capacity:
                holders = self.holders(parent_of(version.name), target.id)
                if len(holders) >= target.capacity:
                    displaced.append(self._displace(holders[-1], target, len(holders)))
                    slot = holders[-1].slot
                else:
                    taken = {holder.slot for holder in holders}
                    slot = next(slot for slot in range(1, target.capacity + 1) if slot not in taken)
            moved.append(self._place(version.name, version.artifact_digest, target.id, slot, displaced=False))
        return (*displaced, *moved)

    def go_back(self, version: VersionFacts, target: Stage) -> tuple[Placement, ...]:
        """Return a stage to an earlier holder, without an edge: the one that entered last makes room for it.

        In a stage that names no `displaced_to`, which then has no capacity either, nobody has to leave.
        """
        holders = self.holders(parent_of(version.name), target.id)
        if not holders or not target.displaced_to:
            slot = 1 if target.capacity else None
            return (self._place(version.name, version.artifact_digest, target.id, slot, displaced=False),)
        leaving = self._displace(holders[0], target, len(holders))
        entering = self._place(version.name, version.artifact_digest, target.id, holders[0].slot, displaced=False)
        return (leaving, entering)

    def _displace(self, holder: Holding, stage: Stage, holders: int) -> Placement:
        if not stage.displaced_to:
            raise StageFull(stage.id, stage.capacity, holders)
        return self._place(holder.version, holder.artifact_digest, stage.displaced_to, None, displaced=True)

    def _place(self, version: str, digest: str, stage: str, slot: int | None, *, displaced: bool) -> Placement:
        move = StageMove(version, self.stage_of(version), stage, displaced)
        latest = max((holding.entered for holding in self._holdings.values()), default=0)
        self._holdings[version] = Holding(version, digest, stage, slot, latest + 1)
        return Placement(move, digest, slot)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a version into a stage, now or earlier."""

    version: str
    kind: TransitionKind
    from_revision: int
    to_revision: int | None
    """When it left; None while it is there."""


def earlier_holders(entries: Sequence[Entry]) -> list[str]:
    """Return the versions that a stage can go back to, the nearest first, whoever holds it now left out.

    The entries of a stage, oldest first, are a stack: a move puts a version on it, a rollback takes off what
    came after the version that it returned to. So one rollback after another goes further and further back, and what
    was rolled away from is not returned to:

        v1 v2 v3 in turn          v1 v2 v3
        rollback, to v2           v1 v2
        rollback, to v1           v1          and there is nothing to return to
        v4 promoted               v1 v4
        rollback, to v1           v1

    What was moved away by hand stays on the stack: after `v3 → archived` a rollback returns to v3.
    """
    stack: list[Entry] = []
    for entry in entries:
        if entry.kind is TransitionKind.ROLLBACK:
            depth = max((i for i, below in enumerate(stack) if below.version == entry.version), default=len(stack))
            still_there = [above for above in stack[depth + 1 :] if _held_at(above, entry.from_revision)]
            stack[depth:] = still_there
        stack.append(entry)
    holding = {entry.version for entry in entries if entry.to_revision is None}
    return [version for version in dict.fromkeys(entry.version for entry in reversed(stack)) if version not in holding]


def _held_at(entry: Entry, revision: int) -> bool:
    return entry.to_revision is None or entry.to_revision > revision


def may_return(version: str, stage: str, board: Board) -> bool:
    """Return whether a rollback of `stage` may take a version from where it is.

    Not from another stage with a capacity: somebody relies on finding a version there.
    """
    here = board.graph.stage(board.stage_of(version))
    return here is None or here.id == stage or not here.capacity

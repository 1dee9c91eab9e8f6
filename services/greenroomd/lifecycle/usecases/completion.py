"""Judging and closing transitions, inside a transaction that holds the locks of their models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from greenroomd.lifecycle.board import Board, Placement
from greenroomd.lifecycle.domain import (
    StageGraph,
    Transition,
    TransitionState,
    UnmetGate,
    VersionFacts,
    VersionState,
    namespace_id,
)
from greenroomd.lifecycle.errors import (
    StageEdgeMissing,
    StageFull,
    StageUnchanged,
    StageUnknown,
    VersionBeingDeleted,
    VersionDeleted,
)
from greenroomd.lifecycle.gates import unmet_gates
from greenroomd.lifecycle.ports import Catalog, LifecycleReader, LifecycleWriter, Rules
from greenroomd.lifecycle.usecases.rules import known_stage, policy_of
from greenroomd.platform.changelog.log import Recorded
from greenroomd.platform.context import caller
from greenroomd.platform.etags import new_etag

IMPOSSIBLE = (StageUnknown, StageEdgeMissing, StageUnchanged, StageFull, VersionDeleted)
"""What a move that was allowed when it was requested can have run into since."""


def require_ready(facts: VersionFacts) -> None:
    """Raises VersionDeleted; VersionBeingDeleted, which the caller may retry, while a deletion is being decided."""
    if facts.state is VersionState.DELETED:
        raise VersionDeleted(facts.name, facts.delete_time, facts.deleter.id if facts.deleter else "")
    if facts.state is VersionState.DELETING:
        raise VersionBeingDeleted(facts.name)


async def ready_versions(catalog: Catalog, names: Sequence[str]) -> Sequence[VersionFacts]:
    """Return the facts of versions, all of which can be moved. Raises as `require_ready`, and VERSION_NOT_FOUND."""
    facts = await catalog.versions(names)
    for version in facts:
        require_ready(version)
    return facts


async def load_board(
    reader: LifecycleReader, graph: StageGraph, transitions: Sequence[Transition], also: Sequence[str] = ()
) -> Board:
    """Return a board on which the transitions can be made.

    Args:
        also: stages whose holders are wanted although they have no capacity.
    """
    versions = [version for transition in transitions for version in transition.versions]
    models = sorted({model for transition in transitions for model in transition.models})
    targets = {transition.target_stage for transition in transitions}
    entered = [stage.id for stage in graph.stages if stage.id in targets and (stage.capacity or stage.id in also)]
    return Board(graph, await reader.holdings(models, versions, entered))


async def still_unmet(reader: LifecycleReader, rules: Rules, transition: Transition) -> tuple[UnmetGate, ...]:
    """Return what the policy in force demands of a transition beyond what is there."""
    policy = policy_of(rules, transition.target_stage)
    reported = await reader.checks(transition.versions) if policy.required_checks else ()
    return unmet_gates(policy, transition, {check.name: check for check in reported})


@dataclass(frozen=True, slots=True)
class Outcome:
    """A transition after an attempt to complete it."""

    transition: Transition
    placements: tuple[Placement, ...]
    board: Board
    """The board after it."""


def completed(transition: Transition, facts: Sequence[VersionFacts], board: Board, now: datetime) -> Outcome:
    """Make the moves of a transition whose gates are met. Raises StageUnknown and what `Board.move` raises."""
    after = board.fork()
    placements = after.move(facts, known_stage(board.graph, transition.target_stage))
    moves = tuple(placement.move for placement in placements)
    closed = _closed(transition, TransitionState.COMPLETED, "", now)
    return Outcome(replace(closed, moves=moves), placements, after)


async def attempt(catalog: Catalog, transition: Transition, board: Board, now: datetime) -> Outcome:
    """Complete a pending transition whose gates are met, or fail it when the move has become impossible.

    Raises VersionBeingDeleted, and Unavailable when the catalog is away.
    """
    try:
        return completed(transition, await ready_versions(catalog, transition.versions), board, now)
    except IMPOSSIBLE as error:
        return Outcome(_closed(transition, TransitionState.FAILED, error.message, now), (), board)


def _closed(transition: Transition, state: TransitionState, reason: str, now: datetime) -> Transition:
    return replace(
        transition,
        state=state,
        unmet_gates=(),
        outcome_reason=reason,
        closer=caller(),
        close_time=now,
        etag=new_etag(),
    )


async def write_outcome(writer: LifecycleWriter, before: Transition | None, outcome: Outcome) -> None:
    """Store and record a completed or failed transition.

    Args:
        before: the transition as it was stored; None when it is new.
    """
    after = outcome.transition
    await writer.save_transition(after)
    if after.state is TransitionState.COMPLETED:
        writer.record_moves(change("completed", after, before), after, outcome.placements)
    else:
        writer.record(change("failed", after, before))


def change(what: str, after: Transition, before: Transition | None) -> Recorded:
    """Return the change of a transition; a watch on any version that it moves delivers it."""
    related = dict.fromkeys((*after.versions, *(move.version for move in after.moves)))
    namespace = namespace_id(after.name)
    return Recorded(f"transition.{what}", after.name, namespace, after, before, tuple(related))

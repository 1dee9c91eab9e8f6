"""Moves on a board: edges, slots, displacement, and which version a rollback returns to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from greenroomd.lifecycle.board import Board, Entry, Holding, earlier_holders, may_return
from greenroomd.lifecycle.domain import Stage, StageGraph, StageMove, TransitionKind, VersionFacts, VersionState
from greenroomd.lifecycle.errors import StageEdgeMissing, StageFull, StageUnchanged
from greenroomd.lifecycle.graph import default_graph
from greenroomd.platform.context import Actor

DEFAULT = default_graph("namespaces/demo")
MODEL = "namespaces/demo/models/digits"
MOVE, ROLLBACK = TransitionKind.MOVE, TransitionKind.ROLLBACK


def version(number: int, model: str = MODEL) -> VersionFacts:
    name = f"{model}/versions/{number}"
    return VersionFacts(name, VersionState.READY, f"sha256:{number}", Actor("a", "user"), datetime.now(UTC))


def holding(number: int, stage: str, slot: int | None = None, entered: int = 1, model: str = MODEL) -> Holding:
    return Holding(f"{model}/versions/{number}", f"sha256:{number}", stage, slot, entered)


def stage(id: str, graph: StageGraph = DEFAULT) -> Stage:
    found = graph.stage(id)
    assert found is not None
    return found


def with_capacity(capacity: int, displaced_to: str = "archived") -> StageGraph:
    production = Stage("production", capacity=capacity, displaced_to=displaced_to)
    return replace(DEFAULT, stages=(*DEFAULT.stages[:2], production, DEFAULT.stages[3]))


def test_a_version_that_never_moved_is_in_the_first_stage() -> None:
    assert Board(DEFAULT, []).stage_of(version(1).name) == "development"


def test_a_skipped_stage_is_named() -> None:
    with pytest.raises(StageEdgeMissing) as caught:
        Board(DEFAULT, []).move([version(1)], stage("production"))
    assert caught.value.metadata == {
        "from_stage": "development",
        "to_stage": "production",
        "reachable": "staging,archived",
    }


def test_a_version_is_not_moved_to_where_it_is() -> None:
    with pytest.raises(StageUnchanged):
        Board(DEFAULT, [holding(1, "staging")]).move([version(1)], stage("staging"))


def test_the_displaced_version_gives_its_slot() -> None:
    board = Board(DEFAULT, [holding(1, "production", slot=1), holding(2, "staging")])
    moved = board.move([version(2)], stage("production"))
    assert [(placement.move, placement.slot) for placement in moved] == [
        (StageMove(version(1).name, "production", "archived", True), None),
        (StageMove(version(2).name, "staging", "production", False), 1),
    ]
    assert board.current(MODEL, "production") == version(2).name
    assert board.stage_of(version(1).name) == "archived"


def test_of_several_holders_the_first_that_entered_makes_room() -> None:
    graph = with_capacity(2)
    board = Board(graph, [holding(1, "production", 2, 10), holding(2, "production", 1, 20), holding(3, "staging")])
    moved = board.move([version(3)], stage("production", graph))
    assert [(placement.move.version, placement.slot) for placement in moved] == [
        (version(1).name, None),
        (version(3).name, 2),
    ]
    assert [holder.version for holder in board.holders(MODEL, "production")] == [version(3).name, version(2).name]


def test_a_free_slot_is_taken_before_anybody_is_displaced() -> None:
    graph = with_capacity(3)
    board = Board(graph, [holding(1, "production", 1), holding(2, "production", 3), holding(3, "staging")])
    (only,) = board.move([version(3)], stage("production", graph))
    assert only.slot == 2


def test_a_full_stage_that_names_nowhere_to_go() -> None:
    graph = with_capacity(1, displaced_to="")
    board = Board(graph, [holding(1, "production", 1), holding(2, "staging")])
    with pytest.raises(StageFull) as caught:
        board.move([version(2)], stage("production", graph))
    assert caught.value.metadata == {"stage": "production", "capacity": "1", "holders": "1"}


def test_models_do_not_displace_each_other() -> None:
    other = "namespaces/demo/models/other"
    board = Board(DEFAULT, [holding(1, "production", 1), holding(1, "staging", model=other)])
    (only,) = board.move([version(1, other)], stage("production"))
    assert only.move.version == version(1, other).name


def test_a_fork_leaves_the_board_as_it_was() -> None:
    board = Board(DEFAULT, [holding(1, "staging")])
    board.fork().move([version(1)], stage("production"))
    assert board.stage_of(version(1).name) == "staging"


def test_going_back_needs_no_edge_and_swaps_places() -> None:
    board = Board(DEFAULT, [holding(1, "archived"), holding(2, "production", 1)])
    moved = board.go_back(version(1), stage("production"))
    assert [(placement.move, placement.slot) for placement in moved] == [
        (StageMove(version(2).name, "production", "archived", True), None),
        (StageMove(version(1).name, "archived", "production", False), 1),
    ]


def test_going_back_into_an_empty_stage() -> None:
    (only,) = Board(DEFAULT, [holding(1, "archived")]).go_back(version(1), stage("production"))
    assert (only.move.to_stage, only.slot) == ("production", 1)


def test_a_rollback_does_not_take_a_version_from_another_limited_stage() -> None:
    board = Board(DEFAULT, [holding(1, "production", 1), holding(2, "archived")])
    assert not may_return(version(1).name, "staging", board)
    assert may_return(version(2).name, "staging", board)
    assert may_return(version(3).name, "staging", board)


def entries(*steps: tuple[str, TransitionKind]) -> list[Entry]:
    """Return the entries of a stage with capacity 1 that versions entered one after another."""
    last = len(steps)
    return [
        Entry(name, kind, revision, revision + 1 if revision < last else None)
        for revision, (name, kind) in enumerate(steps, start=1)
    ]


SEQUENCES = {
    "nothing entered": ([], []),
    "one holder": ([("v1", MOVE)], []),
    "three in turn": ([("v1", MOVE), ("v2", MOVE), ("v3", MOVE)], ["v2", "v1"]),
    "rolled back once": ([("v1", MOVE), ("v2", MOVE), ("v3", MOVE), ("v2", ROLLBACK)], ["v1"]),
    "rolled back twice": ([("v1", MOVE), ("v2", MOVE), ("v3", MOVE), ("v2", ROLLBACK), ("v1", ROLLBACK)], []),
    "then promoted": (
        [("v1", MOVE), ("v2", MOVE), ("v3", MOVE), ("v2", ROLLBACK), ("v1", ROLLBACK), ("v4", MOVE)],
        ["v1"],
    ),
    "what was rolled away from is forgotten": (
        [("v1", MOVE), ("v2", MOVE), ("v1", ROLLBACK), ("v3", MOVE)],
        ["v1"],
    ),
    "promoted again after being displaced": ([("v1", MOVE), ("v2", MOVE), ("v1", MOVE)], ["v2"]),
    "rolled back over a deleted one": ([("v1", MOVE), ("v2", MOVE), ("v3", MOVE), ("v1", ROLLBACK)], []),
}


@pytest.mark.parametrize(("steps", "expected"), SEQUENCES.values(), ids=SEQUENCES.keys())
def test_what_a_rollback_returns_to(steps: list[tuple[str, TransitionKind]], expected: list[str]) -> None:
    assert earlier_holders(entries(*steps)) == expected


def test_a_version_moved_away_by_hand_is_returned_to() -> None:
    left = [Entry("v1", MOVE, 1, 2), Entry("v2", MOVE, 2, 3)]
    assert earlier_holders(left) == ["v2", "v1"]


def test_a_holder_beside_the_one_that_leaves_stays_known() -> None:
    """Capacity 2: v2 and v3 were there, v3 made room for v1, and v4 has displaced v2 since."""
    history = [
        Entry("v1", MOVE, 1, 3),
        Entry("v2", MOVE, 2, 5),
        Entry("v3", MOVE, 3, 4),
        Entry("v1", ROLLBACK, 4, None),
        Entry("v4", MOVE, 5, None),
    ]
    assert earlier_holders(history) == ["v2"]

"""Which stage graphs are accepted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from greenroomd.lifecycle.domain import Stage, StageEdge, StageGraph
from greenroomd.lifecycle.graph import conflicts_with_use, contradictions, default_graph

DEFAULT = default_graph("namespaces/demo")


def graph(*stages: Stage, edges: tuple[tuple[str, str], ...] = ()) -> StageGraph:
    return replace(DEFAULT, stages=stages, edges=tuple(StageEdge(*edge) for edge in edges))


def test_the_default_graph_is_sound() -> None:
    assert contradictions(DEFAULT) == []
    assert DEFAULT.first == "development"
    production = DEFAULT.stage("production")
    assert production is not None
    assert (production.capacity, production.displaced_to) == (1, "archived")


def test_the_default_graph_has_no_short_cut_to_production() -> None:
    assert DEFAULT.reachable("development") == ("staging", "archived")
    assert DEFAULT.reachable("staging") == ("development", "production", "archived")
    assert DEFAULT.reachable("production") == ("archived",)
    assert DEFAULT.reachable("archived") == ("development",)


def test_versions_rest_in_the_first_stage_and_where_displaced_ones_go() -> None:
    assert [id for id in DEFAULT.ids if DEFAULT.holds(id)] == ["staging", "production"]


FREE = Stage("free")

WRONG = {
    "a stage twice": (graph(FREE, Stage("a"), Stage("a")), ["DUPLICATE_STAGE"]),
    "latest is a selector": (graph(FREE, Stage("latest")), ["STAGE_RESERVED"]),
    "the first is limited": (graph(Stage("a", capacity=1, displaced_to="free"), FREE), ["FIRST_STAGE"]),
    "nowhere to go": (graph(FREE, Stage("a", capacity=1)), ["DISPLACED_TO"]),
    "displaced to an unknown stage": (graph(FREE, Stage("a", capacity=1, displaced_to="b")), ["DISPLACED_TO"]),
    "displaced to itself": (graph(FREE, Stage("a", capacity=1, displaced_to="a")), ["DISPLACED_TO"]),
    "displaced to a limited stage": (
        graph(FREE, Stage("a", capacity=1, displaced_to="b"), Stage("b", capacity=2, displaced_to="free")),
        ["DISPLACED_TO"],
    ),
    "an edge to nowhere": (graph(FREE, edges=(("free", "b"),)), ["UNKNOWN_STAGE"]),
    "an edge from and to nowhere": (graph(FREE, edges=(("b", "c"),)), ["UNKNOWN_STAGE", "UNKNOWN_STAGE"]),
    "an edge to where it starts": (graph(FREE, edges=(("free", "free"),)), ["EDGE"]),
    "an edge twice": (graph(FREE, Stage("a"), edges=(("free", "a"), ("free", "a"))), ["EDGE"]),
    "all at once": (
        graph(FREE, FREE, Stage("a", capacity=1), edges=(("free", "b"),)),
        ["DUPLICATE_STAGE", "DISPLACED_TO", "UNKNOWN_STAGE"],
    ),
}


@pytest.mark.parametrize(("wrong", "kinds"), WRONG.values(), ids=WRONG.keys())
def test_a_graph_that_contradicts_itself(wrong: StageGraph, kinds: list[str]) -> None:
    assert [problem.type for problem in contradictions(wrong)] == kinds


def test_a_graph_that_does_not_fit_what_is_there() -> None:
    new = graph(FREE, Stage("a", capacity=1, displaced_to="free"))
    holders = {("a", "m1"): 1, ("a", "m2"): 2, ("gone", "m1"): 3, ("free", "m1"): 9}
    problems = conflicts_with_use(new, holders, ["m1/aliases/a"])
    assert [(problem.type, problem.subject) for problem in problems] == [
        ("CAPACITY", "a"),
        ("STAGE_IN_USE", "gone"),
        ("ALIAS", "m1/aliases/a"),
    ]
    assert "3 versions of m1" in problems[1].message

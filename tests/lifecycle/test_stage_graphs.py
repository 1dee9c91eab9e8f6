"""A namespace's own stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import grpc
import pytest

from greenroom.lifecycle.v1 import lifecycle_service_pb2 as pb
from greenroom.lifecycle.v1.stage_graph_pb2 import Stage, StageEdge, StageGraph
from support.lifecycle import DEMO, DIGITS, Team
from support.server import refused

NAME = f"{DEMO}/stageGraph"


async def get(team: Team) -> StageGraph:
    answer = await team.as_("viewer").GetStageGraph(pb.GetStageGraphRequest(name=NAME))
    return answer.stage_graph  # type: ignore[no-any-return]


def update(team: Team, graph: StageGraph) -> Any:
    return team.as_("admin").UpdateStageGraph(pb.UpdateStageGraphRequest(stage_graph=graph))


def without(graph: StageGraph, id: str) -> None:
    stages = [stage for stage in graph.stages if stage.id != id]
    edges = [edge for edge in graph.edges if id not in (edge.from_stage, edge.to_stage)]
    del graph.stages[:]
    del graph.edges[:]
    graph.stages.extend(stages)
    graph.edges.extend(edges)


async def test_the_default_and_a_graph_of_ones_own(team: Team) -> None:
    default = await get(team)
    assert [stage.id for stage in default.stages] == ["development", "staging", "production", "archived"]
    assert not default.HasField("update_time")
    version = await team.version()
    assert (await refused(team.request(version, "canary"))).reason == "STAGE_UNKNOWN"

    changed = StageGraph()
    changed.CopyFrom(default)
    changed.stages.insert(2, Stage(id="canary", capacity=2, displaced_to="staging"))
    changed.edges.append(StageEdge(from_stage="development", to_stage="canary"))
    answer = await update(team, changed)
    assert answer.stage_graph.HasField("update_time")
    assert await get(team) == answer.stage_graph
    (change,) = await team.changes()
    assert (change.metadata.type, change.metadata.resource) == ("stage_graph.updated", NAME)
    assert not change.HasField("before")
    await team.move(version, "canary")
    stale = await refused(update(team, changed))
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "ETAG_STALE")

    for _ in range(2):
        await team.move(await team.version(), "canary")
    assert await team.holders() == {"canary": ["3", "2"], "staging": ["1"]}


def limit(graph: StageGraph, id: str, capacity: int) -> None:
    (stage,) = (stage for stage in graph.stages if stage.id == id)
    stage.capacity, stage.displaced_to = capacity, "archived"


WRONG: dict[str, Callable[[StageGraph], Any]] = {
    "a capacity without a way out": lambda graph: graph.stages.add(id="canary", capacity=1),
    "an edge to nowhere": lambda graph: graph.edges.add(from_stage="staging", to_stage="nowhere"),
    "a stage twice": lambda graph: graph.stages.add(id="staging"),
    "a stage called latest": lambda graph: graph.stages.add(id="latest"),
    "a stage in use removed": lambda graph: without(graph, "staging"),
    "an alias's name": lambda graph: graph.stages.add(id="champion"),
    "less room than is taken": lambda graph: limit(graph, "staging", 1),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG.keys())
async def test_graphs_that_are_refused(team: Team, spoil: Callable[[StageGraph], Any]) -> None:
    first, second = await team.versions(2)
    for version in (first, second):
        await team.move(version, "staging")
    await team.as_("author").SetAlias(pb.SetAliasRequest(name=f"{DIGITS}/aliases/champion", version=first))
    graph, before = await get(team), await team.head()
    spoil(graph)
    refusal = await refused(update(team, graph))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STAGE_GRAPH_INVALID")
    assert len(refusal.preconditions) == 1
    assert refusal.preconditions[0] in refusal.message
    assert await team.head() == before


async def test_every_problem_is_listed(team: Team) -> None:
    await team.move(await team.version(), "staging")
    graph = await get(team)
    without(graph, "staging")
    graph.stages.add(id="canary", capacity=1)
    graph.edges.add(from_stage="canary", to_stage="nowhere")
    assert len((await refused(update(team, graph))).preconditions) == 3


SLOTS = """
    SELECT slot FROM lifecycle.assignments WHERE stage = 'staging' AND to_revision IS NULL ORDER BY from_revision
"""


async def test_a_stage_that_becomes_limited_gives_its_holders_places(team: Team, database_url: str) -> None:
    """So that the database guards the new capacity too, and room is made for the next one."""

    async def slots() -> list[int | None]:
        connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
        try:
            rows = await connection.fetch(SLOTS)
        finally:
            await connection.close()
        return [row["slot"] for row in rows]

    versions = await team.versions(4)
    for version in versions[:2]:
        await team.move(version, "staging")
    graph = await get(team)
    limit(graph, "staging", 2)
    assert await slots() == [None, None]
    graph = (await update(team, graph)).stage_graph
    assert await slots() == [1, 2]
    for version in versions[2:]:
        await team.move(version, "staging")
    assert await team.holders() == {"staging": ["4", "3"], "archived": ["2", "1"]}
    assert await slots() == [1, 2]
    graph.stages[1].capacity = 0
    await update(team, graph)
    assert await slots() == [None, None]
    await team.move(versions[0], "development", "staging")
    assert len((await team.holders())["staging"]) == 3


async def test_graphs_of_namespaces_that_are_not_there(team: Team) -> None:
    graph = await get(team)
    graph.name = "namespaces/nobody/stageGraph"
    for call in (
        update(team, graph),
        team.as_("viewer").GetStageGraph(pb.GetStageGraphRequest(name=graph.name)),
        team.as_("viewer").GetModelState(pb.GetModelStateRequest(name="namespaces/nobody/models/digits")),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND")

"""Stage graphs: the default one, and what is wrong with one.

The default, for a namespace that has set none:

    development ⇄ staging → production → archived
    development, staging → archived → development

Production holds one version of a model; the one that makes room goes to archived. A version comes back from the
archive through development, so that it passes staging's and production's gates again; `Rollback` is the short way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from greenroomd.lifecycle.domain import Stage, StageEdge, StageGraph
from greenroomd.platform.errors import PreconditionViolation

DEFAULT_ETAG = "0" * 16
"""Etag of a graph or policy that nobody has set, so that setting it first is guarded too."""

LATEST = "latest"
"""What selectors call the newest version; no stage and no alias can have this name."""

DEFAULT_STAGES = (
    Stage("development", "Being worked on; where every new version starts"),
    Stage("staging", "Being tried on the way to production"),
    Stage("production", "What serving systems use", capacity=1, displaced_to="archived"),
    Stage("archived", "No longer used"),
)

DEFAULT_EDGES = (
    StageEdge("development", "staging"),
    StageEdge("staging", "production"),
    StageEdge("staging", "development"),
    StageEdge("production", "archived"),
    StageEdge("staging", "archived"),
    StageEdge("development", "archived"),
    StageEdge("archived", "development"),
)


def default_graph(namespace: str) -> StageGraph:
    """Return the graph of a namespace that has set none."""
    return StageGraph(f"{namespace}/stageGraph", DEFAULT_STAGES, DEFAULT_EDGES, None, DEFAULT_ETAG)


def contradictions(graph: StageGraph) -> list[PreconditionViolation]:
    """Return what a graph says that cannot be, whatever it is used for."""
    found: list[PreconditionViolation] = []

    def add(kind: str, subject: str, message: str) -> None:
        found.append(PreconditionViolation(kind, subject, message))

    ids = graph.ids
    for id in sorted({id for id in ids if ids.count(id) > 1}):
        add("DUPLICATE_STAGE", id, f"stage {id} is listed more than once; list it once")
    if LATEST in ids:
        add("STAGE_RESERVED", LATEST, "latest is what selectors call the newest version; choose another id")
    if graph.stages[0].capacity:
        message = f"every new version enters {graph.first}, so it cannot have a capacity; set it to 0"
        add("FIRST_STAGE", graph.first, message)
    for stage in graph.stages:
        if problem := displacement_problem(graph, stage):
            add("DISPLACED_TO", stage.id, problem)
    for edge in graph.edges:
        subject = f"{edge.from_stage}->{edge.to_stage}"
        for end in dict.fromkeys((edge.from_stage, edge.to_stage)):
            if end not in ids:
                add(
                    "UNKNOWN_STAGE", subject, f"the edge names {end}, which is not a stage; stages are {', '.join(ids)}"
                )
        if edge.from_stage == edge.to_stage:
            add("EDGE", subject, "an edge leads from one stage to another; remove it")
        if graph.edges.count(edge) > 1 and not any(unmet.subject == subject for unmet in found):
            add("EDGE", subject, "the edge is listed more than once; list it once")
    return found


def displacement_problem(graph: StageGraph, stage: Stage) -> str:
    """Return why versions that make room in `stage` would have nowhere to go; empty when they have."""
    if not stage.displaced_to:
        return (
            f"{stage.id} has capacity {stage.capacity}: say where the displaced version goes" if stage.capacity else ""
        )
    target = graph.stage(stage.displaced_to)
    if target is None:
        return f"{stage.displaced_to} is not a stage; stages are {', '.join(graph.ids)}"
    if target.id == stage.id:
        return f"a version displaced from {stage.id} cannot stay there; name another stage"
    if target.capacity:
        return f"{target.id} has capacity {target.capacity}, so displaced versions might not fit; name a stage without"
    return ""


def conflicts_with_use(
    graph: StageGraph, holders: Mapping[tuple[str, str], int], aliases: Sequence[str]
) -> list[PreconditionViolation]:
    """Return why a graph does not fit what its namespace holds now.

    Args:
        graph: the new graph.
        holders: number of versions by stage and model, where there are any.
        aliases: resource names of the namespace's aliases that are called like a stage of the new graph.
    """
    found = []
    for (id, model), count in sorted(holders.items()):
        stage = graph.stage(id)
        if stage is None:
            there, them = ("1 version of {} is", "it") if count == 1 else (f"{count} versions of {{}} are", "them")
            message = f"{there.format(model)} in {id}; move {them} away before removing the stage"
            found.append(PreconditionViolation("STAGE_IN_USE", id, message))
        elif stage.capacity and count > stage.capacity:
            message = f"{count} versions of {model} are in {id}; move some away before limiting it to {stage.capacity}"
            found.append(PreconditionViolation("CAPACITY", id, message))
    for name in aliases:
        message = f"{name} has the name of a stage; delete the alias or choose another id for the stage"
        found.append(PreconditionViolation("ALIAS", name, message))
    return found

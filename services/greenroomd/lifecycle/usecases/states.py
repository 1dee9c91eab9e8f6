"""Where versions stand, and how they came there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenroomd.lifecycle.board import Board
from greenroomd.lifecycle.domain import VersionFacts, last_segment, namespace_of, parent_of
from greenroomd.lifecycle.ports import Catalog, LifecycleReader, LifecycleStore
from greenroomd.lifecycle.standings import ModelStanding, PastMove, VersionStanding
from greenroomd.lifecycle.usecases.renaming import check_not_renamed
from greenroomd.platform.errors import FieldViolation, field_invalid


@dataclass(frozen=True, slots=True)
class States:
    store: LifecycleStore
    catalog: Catalog

    async def model(self, model: str) -> ModelStanding:
        async with self.store.snapshot() as reader:
            graph = (await reader.rules(namespace_of(model))).graph
            holdings = await reader.model_holdings(model)
            aliases = await reader.aliases(model)
            revision = await reader.head()
            if not holdings and not aliases:
                await check_not_renamed(reader, model)
        if not holdings and not aliases:
            await self.catalog.require_namespace(namespace_of(model))
        board = Board(graph, holdings)
        stages = tuple((id, tuple(holder.version for holder in board.holders(model, id))) for id in graph.ids)
        return ModelStanding(model, stages, tuple(aliases), revision)

    async def versions(self, model: str, versions: Sequence[str]) -> tuple[Sequence[VersionStanding], int]:
        """Return where versions of one model stand, in the order asked, and the revision that this is true at.

        Answers only after transitions of the model that are being decided now: the catalog asks before it deletes.
        """
        violations = [
            FieldViolation(f"versions[{index}]", f"is not a version of {model}")
            for index, version in enumerate(versions)
            if parent_of(version) != model
        ]
        if violations:
            raise field_invalid(*violations)
        await self.store.settle(model)
        async with self.store.snapshot() as reader:
            # In the same snapshot: versions that never moved, and those of a former name, both have no rows here.
            await check_not_renamed(reader, model)
            return await standings(reader, model, versions), await reader.head()

    async def history(self, version: str) -> Sequence[PastMove]:
        """Return the version's way through the stages, its registration first."""
        facts = await self.catalog.version(version)
        async with self.store.read() as reader:
            moves = await reader.past_moves(version)
            if not moves:
                await check_not_renamed(reader, parent_of(version))
            graph = (await reader.rules(namespace_of(version))).graph
        return [registration(facts, moves[0].from_stage if moves else graph.first), *moves]


async def standings(reader: LifecycleReader, model: str, versions: Sequence[str]) -> Sequence[VersionStanding]:
    graph = (await reader.rules(namespace_of(model))).graph
    board = Board(graph, await reader.holdings([model], versions, ()))
    aliases = await reader.aliases_of(versions)
    checks = await reader.checks(versions)
    deployments = await reader.deployments_of(versions)
    found = []
    for version in versions:
        named = tuple(last_segment(alias.name) for alias in aliases if alias.version == version)
        found.append(
            VersionStanding(
                version=version,
                stage=board.stage_of(version),
                aliases=named,
                checks=tuple(check for check in checks if parent_of(check.name) == version),
                deployments=tuple(deployment for deployment in deployments if deployment.version == version),
                in_use=bool(named) or graph.holds(board.stage_of(version)),
            )
        )
    return found


def registration(facts: VersionFacts, stage: str) -> PastMove:
    return PastMove(facts.name, "", stage, False, "", facts.creator, "", facts.create_time, 0)

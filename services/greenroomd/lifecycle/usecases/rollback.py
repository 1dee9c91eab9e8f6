"""Rollback: returning a stage to its previous holder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenroomd.lifecycle.board import Board, earlier_holders, may_return
from greenroomd.lifecycle.domain import (
    Stage,
    Transition,
    TransitionKind,
    TransitionState,
    VersionFacts,
    VersionState,
    namespace_of,
)
from greenroomd.lifecycle.errors import NothingToRollBackTo
from greenroomd.lifecycle.ports import Catalog, LifecycleStore
from greenroomd.lifecycle.usecases.completion import Outcome, require_ready, write_outcome
from greenroomd.lifecycle.usecases.requests import check_expected, transition_id
from greenroomd.lifecycle.usecases.rules import known_stage
from greenroomd.platform.changelog.log import Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.context import caller
from greenroomd.platform.errors import FieldViolation, field_invalid
from greenroomd.platform.etags import new_etag


@dataclass(frozen=True, slots=True)
class Rollbacks:
    store: LifecycleStore
    catalog: Catalog
    clock: Clock

    async def roll_back(self, model: str, stage_id: str, reason: str, expected: str) -> Written[Transition]:
        """Return a stage of a model to the holder before the current one, at once and without an edge.

        The version passed the gates of the stage when it first entered. `board.earlier_holders` says which one it is.

        Args:
            expected: the version that must hold the stage now; empty when the caller expects nothing.
        """
        if expected and not expected.startswith(f"{model}/versions/"):
            raise field_invalid(FieldViolation("expected_current_version", f"is not a version of {model}"))
        async with self.store.write() as transaction:
            await transaction.lock(namespace_of(model), [model])
            graph = (await transaction.rules(namespace_of(model))).graph
            stage = known_stage(graph, stage_id)
            candidates = earlier_holders(await transaction.entries(model, stage.id))
            board = Board(graph, await transaction.holdings([model], candidates, [stage.id]))
            check_expected(f"the holder of {stage.id}", expected, board.current(model, stage.id))
            target = await self._first_usable(model, stage, candidates, board)
            now = self.clock.now()
            placements = board.go_back(target, stage)
            rollback = Transition(
                name=f"{namespace_of(model)}/transitions/{transition_id(now)}",
                kind=TransitionKind.ROLLBACK,
                state=TransitionState.COMPLETED,
                versions=(target.name,),
                artifact_digests=(target.artifact_digest,),
                creators=(target.creator.id,),
                target_stage=stage.id,
                reason=reason,
                requester=caller(),
                unmet_gates=(),
                approvals=(),
                moves=tuple(placement.move for placement in placements),
                outcome_reason="",
                closer=caller(),
                create_time=now,
                close_time=now,
                etag=new_etag(),
            )
            await write_outcome(transaction, None, Outcome(rollback, placements, board))
        return Written(rollback, transaction.revision)

    async def _first_usable(self, model: str, stage: Stage, candidates: Sequence[str], board: Board) -> VersionFacts:
        for candidate in candidates:
            if may_return(candidate, stage.id, board):
                facts = await self.catalog.version(candidate)
                if facts.state is not VersionState.DELETED:
                    require_ready(facts)
                    return facts
        await self.catalog.require_model(model)
        raise NothingToRollBackTo(model, stage.id)

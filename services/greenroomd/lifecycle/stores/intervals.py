"""Stage assignments as intervals of revisions: what one transaction ends and begins, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from greenroomd.lifecycle.board import Placement
from greenroomd.lifecycle.domain import Transition, TransitionKind, parent_of

# Runs after the log's lock is taken, so it is one statement. The INSERT reads from the UPDATE, which therefore comes
# first: the place that a displaced version leaves is free when the other takes it.
MOVE = text("""
    WITH left_behind AS (
        UPDATE assignments SET to_revision = leaving.revision
        FROM unnest(CAST(:leaving AS text[]), CAST(:left_at AS bigint[])) AS leaving (version, revision)
        WHERE assignments.version = leaving.version AND assignments.to_revision IS NULL
        RETURNING 1
    )
    INSERT INTO assignments (
        model, version, artifact_digest, stage, slot, from_stage, from_revision, to_revision, displaced, kind,
        transition, actor_id, actor_kind, reason, time
    )
    SELECT entering.*
    FROM (SELECT count(*) FROM left_behind) AS after_that, unnest(
        CAST(:model AS text[]), CAST(:version AS text[]), CAST(:artifact_digest AS text[]), CAST(:stage AS text[]),
        CAST(:slot AS int[]), CAST(:from_stage AS text[]), CAST(:from_revision AS bigint[]),
        CAST(:to_revision AS bigint[]), CAST(:displaced AS boolean[]), CAST(:kind AS smallint[]),
        CAST(:transition AS text[]), CAST(:actor_id AS text[]), CAST(:actor_kind AS text[]), CAST(:reason AS text[]),
        CAST(:time AS timestamptz[])
    ) AS entering
""")


@dataclass(slots=True)
class Opening:
    """An interval that the transaction opens, and perhaps also ends."""

    change: int
    """Which of the recorded changes it happens at."""
    transition: Transition
    placement: Placement
    ended_by: int | None = None

    def holds(self, version: str) -> bool:
        """Return whether the version is in this interval so far."""
        return self.ended_by is None and self.placement.move.version == version

    def row(self, revisions: Sequence[int]) -> dict[str, Any]:
        """Return the row of the interval."""
        transition, move = self.transition, self.placement.move
        return {
            "model": parent_of(move.version),
            "version": move.version,
            "artifact_digest": self.placement.artifact_digest,
            "stage": move.to_stage,
            "slot": self.placement.slot,
            "from_stage": move.from_stage,
            "from_revision": revisions[self.change],
            "to_revision": None if self.ended_by is None else revisions[self.ended_by],
            "displaced": move.displaced,
            # What a rollback displaces did not come back to where it goes.
            "kind": (TransitionKind.MOVE if move.displaced else transition.kind).value,
            "transition": transition.name,
            "actor_id": transition.requester.id,
            "actor_kind": transition.requester.kind,
            "reason": transition.reason,
            "time": transition.close_time,
        }


class Intervals:
    """What the moves of one transaction end and begin. A version can move twice in it, at two changes."""

    def __init__(self) -> None:
        self._leaving: dict[str, int] = {}
        self._openings: list[Opening] = []

    def __bool__(self) -> bool:
        return bool(self._openings)

    def add(self, change: int, transition: Transition, placements: Sequence[Placement]) -> None:
        """Add the moves of a transition, which happen at the change with this index."""
        for placement in placements:
            version = placement.move.version
            earlier = next((opening for opening in self._openings if opening.holds(version)), None)
            if earlier is None:
                self._leaving[version] = change
            else:
                earlier.ended_by = change
            self._openings.append(Opening(change, transition, placement))

    def parameters(self, revisions: Sequence[int]) -> dict[str, list[Any]]:
        """Return the parameters of MOVE.

        Args:
            revisions: revision by index of the change.
        """
        rows = [opening.row(revisions) for opening in self._openings]
        return {
            "leaving": list(self._leaving),
            "left_at": [revisions[change] for change in self._leaving.values()],
            **{column: [row[column] for row in rows] for column in rows[0]},
        }

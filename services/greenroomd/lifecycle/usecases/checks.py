"""Checks: what outside systems found out about a version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenroomd.lifecycle.domain import (
    Check,
    CheckState,
    Transition,
    TransitionState,
    VersionState,
    namespace_id,
    namespace_of,
    parent_of,
)
from greenroomd.lifecycle.errors import VersionDeleted
from greenroomd.lifecycle.ports import Catalog, LifecycleStore, LifecycleWriter
from greenroomd.lifecycle.usecases.completion import attempt, load_board, still_unmet, write_outcome
from greenroomd.lifecycle.usecases.renaming import check_not_renamed
from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.context import caller


@dataclass(frozen=True, slots=True)
class Report:
    """A result as it was reported."""

    name: str
    state: CheckState
    summary: str
    link: str


@dataclass(frozen=True, slots=True)
class Reported:
    check: Check
    completed: tuple[str, ...]
    """Names of the transitions that the check completed."""


@dataclass(frozen=True, slots=True)
class Checks:
    store: LifecycleStore
    catalog: Catalog
    clock: Clock

    async def report(self, report: Report) -> Written[Reported]:
        """Record the state of a check, and complete the pending transitions that waited for nothing else.

        Those may move other models too, whose locks are needed before anything is decided and are taken in one order
        by everybody: when some turn out to be missing, the transaction starts again with all of them.
        """
        version = parent_of(report.name)
        models = {parent_of(version)}
        while True:
            async with self.store.write() as transaction:
                await transaction.lock(namespace_of(version), models)
                waiting = await transaction.open_transitions([version]) if report.state is CheckState.PASSED else ()
                needed = models.union(*(transition.models for transition in waiting))
                if needed == models:
                    check = await self._save(transaction, version, report)
                    completed = await self._complete(transaction, waiting)
                    break
            models = needed
        return Written(Reported(check, completed), transaction.revision)

    async def list(self, version: str) -> Sequence[Check]:
        async with self.store.read() as reader:
            found = await reader.checks([version])
            if not found:
                await check_not_renamed(reader, parent_of(version))
        if not found:
            await self.catalog.version(version)
        return found

    async def _save(self, transaction: LifecycleWriter, version: str, report: Report) -> Check:
        facts = await self.catalog.version(version)
        if facts.state is VersionState.DELETED:
            raise VersionDeleted(facts.name, facts.delete_time, facts.deleter.id if facts.deleter else "")
        before = await transaction.check(report.name)
        now = self.clock.now()
        check = Check(
            name=report.name,
            state=report.state,
            summary=report.summary,
            link=report.link,
            artifact_digest=facts.artifact_digest,
            reporter=caller(),
            create_time=before.create_time if before else now,
            update_time=now,
        )
        await transaction.save_check(check)
        transaction.record(Recorded("check.reported", check.name, namespace_id(version), check, before))
        return check

    async def _complete(self, transaction: LifecycleWriter, waiting: Sequence[Transition]) -> tuple[str, ...]:
        if not waiting:
            return ()
        rules = await transaction.rules(namespace_of(waiting[0].name))
        met = [pending for pending in waiting if not await still_unmet(transaction, rules, pending)]
        board = await load_board(transaction, rules.graph, met)
        completed = []
        for pending in met:
            outcome = await attempt(self.catalog, pending, board, self.clock.now())
            board = outcome.board
            await write_outcome(transaction, pending, outcome)
            if outcome.transition.state is TransitionState.COMPLETED:
                completed.append(pending.name)
        return tuple(completed)

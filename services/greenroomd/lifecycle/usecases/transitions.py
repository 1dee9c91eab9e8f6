"""Transitions: asking for a move, approving it, rejecting it, taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from greenroomd.lifecycle.domain import (
    Approval,
    Decision,
    Transition,
    TransitionKind,
    TransitionState,
    namespace_of,
    parent_of,
)
from greenroomd.lifecycle.errors import SelfApproval, TransitionClosed, TransitionNotFound
from greenroomd.lifecycle.gates import unmet_gates
from greenroomd.lifecycle.ports import Catalog, LifecycleReader, LifecycleStore, LifecycleWriter
from greenroomd.lifecycle.usecases.completion import (
    attempt,
    change,
    completed,
    load_board,
    ready_versions,
    still_unmet,
    write_outcome,
)
from greenroomd.lifecycle.usecases.renaming import check_not_renamed
from greenroomd.lifecycle.usecases.requests import (
    Wanted,
    check_expected,
    check_none_open,
    check_wanted,
    transition_id,
)
from greenroomd.lifecycle.usecases.rules import known_stage, policy_of
from greenroomd.platform.changelog.log import Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.context import caller
from greenroomd.platform.etags import check_etag, new_etag


@dataclass(frozen=True, slots=True)
class Transitions:
    store: LifecycleStore
    catalog: Catalog
    clock: Clock

    async def request(self, wanted: Wanted, *, validate_only: bool) -> Written[Transition]:
        """Move versions, or note what is missing before they may move.

        The models are locked before the catalog is asked, so a version cannot be deleted between its answer and the
        move: see `CatalogService.DeleteVersion`.
        """
        check_wanted(wanted)
        models = [parent_of(version) for version in wanted.versions]
        async with self.store.write() as transaction:
            await transaction.lock(wanted.namespace, models)
            rules = await transaction.rules(wanted.namespace)
            stage = known_stage(rules.graph, wanted.target_stage)
            facts = await ready_versions(self.catalog, wanted.versions)
            now = self.clock.now()
            new = Transition(
                name="" if validate_only else f"{wanted.namespace}/transitions/{transition_id(now)}",
                kind=TransitionKind.MOVE,
                state=TransitionState.PENDING,
                versions=wanted.versions,
                artifact_digests=tuple(version.artifact_digest for version in facts),
                creators=tuple(version.creator.id for version in facts),
                target_stage=stage.id,
                reason=wanted.reason,
                requester=caller(),
                unmet_gates=(),
                approvals=(),
                moves=(),
                outcome_reason="",
                closer=None,
                create_time=now,
                close_time=None,
                etag="" if validate_only else new_etag(),
            )
            expected = wanted.expected_current_version
            board = await load_board(transaction, rules.graph, [new], also=[stage.id] if expected else [])
            if expected:
                check_expected(f"the holder of {stage.id}", expected, board.current(models[0], stage.id))
            # Tried also while gates are unmet: a move that is impossible now is refused, not left pending.
            outcome = completed(new, facts, board, now)
            await check_none_open(transaction, wanted)
            unmet = await still_unmet(transaction, rules, new)
            pending = replace(new, unmet_gates=unmet)
            if not validate_only and unmet:
                await transaction.save_transition(pending)
                transaction.record(change("requested", pending, None))
            elif not validate_only:
                await write_outcome(transaction, None, outcome)
        answer = pending if unmet else outcome.transition
        return Written(replace(answer, etag="") if validate_only else answer, transaction.revision)

    async def get(self, name: str) -> Transition:
        async with self.store.read() as reader:
            found = await reader.transition(name)
            if found is None:
                raise TransitionNotFound(name)
            return (await with_gates_of_now(reader, namespace_of(name), [found]))[0]

    async def list(
        self, namespace: str, model: str | None, state: TransitionState | None, before: str, limit: int
    ) -> Sequence[Transition]:
        """List transitions named below `before` (all when it is empty), newest first."""
        await self.catalog.require_namespace(namespace)
        async with self.store.read() as reader:
            found = await reader.transitions(namespace, model, state, before, limit)
            if not found and model is not None:
                await check_not_renamed(reader, model)
            return await with_gates_of_now(reader, namespace, found)

    async def approve(self, name: str, comment: str, etag: str) -> Written[Transition]:
        async with self.store.write() as transaction:
            before = await pending_transition(transaction, name)
            check_not_own(before)
            check_etag(name, etag, before.etag)
            now = self.clock.now()
            approved = replace(before, approvals=answered(before, Decision.APPROVED, comment, now), etag=new_etag())
            rules = await transaction.rules(namespace_of(name))
            unmet = await still_unmet(transaction, rules, approved)
            if unmet:
                after = replace(approved, unmet_gates=unmet)
                await transaction.save_transition(after)
                transaction.record(change("approved", after, before))
            else:
                board = await load_board(transaction, rules.graph, [approved])
                outcome = await attempt(self.catalog, approved, board, now)
                await write_outcome(transaction, before, outcome)
                after = outcome.transition
        return Written(after, transaction.revision)

    async def reject(self, name: str, comment: str, etag: str) -> Written[Transition]:
        return await self._close(name, TransitionState.REJECTED, "rejected", comment, etag)

    async def cancel(self, name: str, comment: str, etag: str) -> Written[Transition]:
        return await self._close(name, TransitionState.CANCELLED, "cancelled", comment, etag)

    async def _close(
        self, name: str, state: TransitionState, what: str, comment: str, etag: str
    ) -> Written[Transition]:
        async with self.store.write() as transaction:
            before = await pending_transition(transaction, name)
            check_etag(name, etag, before.etag)
            now = self.clock.now()
            rejecting = state is TransitionState.REJECTED
            after = replace(
                before,
                state=state,
                unmet_gates=(),
                approvals=answered(before, Decision.REJECTED, comment, now) if rejecting else before.approvals,
                outcome_reason=comment,
                closer=caller(),
                close_time=now,
                etag=new_etag(),
            )
            await transaction.save_transition(after)
            transaction.record(change(what, after, before))
        return Written(after, transaction.revision)


async def pending_transition(transaction: LifecycleWriter, name: str) -> Transition:
    """Return a pending transition, its models locked. Raises TransitionNotFound, TransitionClosed."""
    found = await transaction.transition(name)
    if found is None:
        raise TransitionNotFound(name)
    # What a transition moves never changes; everything else is read again under the lock.
    await transaction.lock(namespace_of(name), found.models)
    found = await transaction.transition(name) or found
    if found.state is not TransitionState.PENDING:
        raise TransitionClosed(name, found.state.name)
    return found


def check_not_own(transition: Transition) -> None:
    """Raises SelfApproval when the caller requested the transition or made one of its versions."""
    principal = caller().id
    if principal == transition.requester.id:
        raise SelfApproval(transition.name, principal, "requested the transition")
    for version, creator in zip(transition.versions, transition.creators, strict=True):
        if principal == creator:
            raise SelfApproval(transition.name, principal, f"made {version}")


def answered(transition: Transition, decision: Decision, comment: str, now: datetime) -> tuple[Approval, ...]:
    """Return the answers with the caller's; who answers again changes the earlier answer."""
    who = caller()
    others = tuple(answer for answer in transition.approvals if answer.approver.id != who.id)
    return (*others, Approval(who, decision, comment, now))


async def with_gates_of_now(
    reader: LifecycleReader, namespace: str, transitions: Sequence[Transition]
) -> list[Transition]:
    """Return the transitions, the pending ones with what is missing by the policy and the checks of now."""
    pending = [transition for transition in transitions if transition.state is TransitionState.PENDING]
    if not pending:
        return [*transitions]
    rules = await reader.rules(namespace)
    reported = await reader.checks({version for transition in pending for version in transition.versions})
    checks = {check.name: check for check in reported}
    return [
        replace(transition, unmet_gates=unmet_gates(policy_of(rules, transition.target_stage), transition, checks))
        if transition.state is TransitionState.PENDING
        else transition
        for transition in transitions
    ]

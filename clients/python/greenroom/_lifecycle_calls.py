"""Calls about where versions are and who lets them: transitions, checks, rollback and history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Literal

from greenroom._calls import Calls, pages
from greenroom._naming import (
    AnyModel,
    AnyNamespace,
    AnyTransition,
    AnyVersion,
    model_name,
    namespace_name,
)
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.errors import FieldInvalid
from greenroom.lifecycle.v1.check_pb2 import Check
from greenroom.lifecycle.v1.lifecycle_service_pb2 import (
    ApproveTransitionRequest,
    CancelTransitionRequest,
    GetModelStateRequest,
    GetTransitionRequest,
    ListChecksRequest,
    ListStageHistoryRequest,
    ListTransitionsRequest,
    RejectTransitionRequest,
    ReportCheckRequest,
    RequestTransitionRequest,
    RollbackRequest,
)
from greenroom.lifecycle.v1.state_pb2 import ModelState, StageHistoryEntry
from greenroom.lifecycle.v1.transition_pb2 import Transition
from greenroom.names import CheckName, VersionName

CheckState = Literal["queued", "running", "passed", "failed"]
TransitionState = Literal["pending", "completed", "rejected", "cancelled", "failed"]


class LifecycleCalls(Calls):
    """Transitions, checks, rollback and history."""

    async def promote(
        self,
        version: AnyVersion,
        stage: str,
        *,
        reason: str = "",
        expected_current: AnyVersion | None = None,
    ) -> Transition:
        """Ask to move one version to a stage; see `request_transition`."""
        return await self.request_transition(version, stage, reason=reason, expected_current=expected_current)

    async def request_transition(
        self,
        versions: AnyVersion | Iterable[AnyVersion],
        stage: str,
        *,
        reason: str = "",
        expected_current: AnyVersion | None = None,
        validate_only: bool = False,
    ) -> Transition:
        """Ask to move versions to a stage; several move together or not at all.

        The answer is COMPLETED when every gate is met, else PENDING with `unmet_gates`: the last check or approval
        completes it.

        Args:
            versions: a version, or up to 16 of different models of one namespace.
            stage: stage to enter.
            reason: why; kept with the transition.
            expected_current: version that must hold the stage now; for a single version only.
            validate_only: only tell what would happen.

        Raises:
            VersionNotFound, StageUnknown, StageEdgeMissing, StageUnchanged, StageFull, TransitionOpen.
            ExpectedVersionMismatch: another version holds the stage.
        """
        several = [versions] if isinstance(versions, str | VersionName | Version) else list(versions)
        if not several:
            raise FieldInvalid("name at least one version to move")
        names = [await self._version(one) for one in several]
        request = RequestTransitionRequest(
            parent=str(names[0].parent.parent),
            versions=[str(name) for name in names],
            target_stage=stage,
            reason=reason,
            expected_current_version=await self._optional(expected_current),
            validate_only=validate_only,
        )
        return (await self._connection.unary(self._connection.lifecycle.RequestTransition, request)).transition

    async def get_transition(self, transition: AnyTransition, *, min_revision: int = 0) -> Transition:
        """Return a transition. Raises TransitionNotFound."""
        request = GetTransitionRequest(name=await self._transition(transition), min_revision=min_revision)
        return (await self._connection.unary(self._connection.lifecycle.GetTransition, request)).transition

    async def list_transitions(
        self,
        namespace: AnyNamespace,
        *,
        model: AnyModel | None = None,
        state: TransitionState | None = None,
        min_revision: int = 0,
    ) -> AsyncIterator[Transition]:
        """Yield the transitions of a namespace, newest first. Raises NamespaceNotFound."""
        request = ListTransitionsRequest(
            parent=str(namespace_name(namespace)),
            model="" if model is None else str(model_name(model)),
            state=Transition.State.Value(f"STATE_{(state or 'unspecified').upper()}"),
            min_revision=min_revision,
        )
        async for page in pages(self._connection.lifecycle.ListTransitions, request, self._connection):
            for transition in page.transitions:
                yield transition

    async def approve(self, transition: AnyTransition, *, comment: str = "", etag: str = "") -> Transition:
        """Say yes to a pending transition; the last approval that is needed completes it.

        Args:
            transition: its name, `demo/ID`, or the version `demo/digits/3` when it has one pending transition.
            comment: why.
            etag: the transition as it was judged; checked when set.

        Raises:
            TransitionNotFound, TransitionClosed, EtagStale.
            SelfApproval: the requester or the version's author tried to approve.
        """
        request = ApproveTransitionRequest(name=await self._transition(transition), comment=comment, etag=etag)
        return (await self._connection.unary(self._connection.lifecycle.ApproveTransition, request)).transition

    async def reject(self, transition: AnyTransition, *, comment: str = "", etag: str = "") -> Transition:
        """Say no to a pending transition and close it. Raises TransitionNotFound, TransitionClosed, EtagStale."""
        request = RejectTransitionRequest(name=await self._transition(transition), comment=comment, etag=etag)
        return (await self._connection.unary(self._connection.lifecycle.RejectTransition, request)).transition

    async def cancel(self, transition: AnyTransition, *, comment: str = "", etag: str = "") -> Transition:
        """Take a pending transition back. Raises TransitionNotFound, TransitionClosed, EtagStale."""
        request = CancelTransitionRequest(name=await self._transition(transition), comment=comment, etag=etag)
        return (await self._connection.unary(self._connection.lifecycle.CancelTransition, request)).transition

    async def rollback(
        self,
        model: AnyModel,
        stage: str = "production",
        *,
        reason: str,
        expected_current: AnyVersion | None = None,
    ) -> Transition:
        """Return a stage to its previous holder; called again it goes one further back.

        Raises:
            ModelNotFound, StageUnknown, NothingToRollBackTo, ExpectedVersionMismatch.
        """
        request = RollbackRequest(
            name=str(model_name(model)),
            stage=stage,
            reason=reason,
            expected_current_version=await self._optional(expected_current),
        )
        return (await self._connection.unary(self._connection.lifecycle.Rollback, request)).transition

    async def report_check(
        self,
        version: AnyVersion,
        check: str,
        state: CheckState,
        *,
        summary: str = "",
        link: str = "",
    ) -> Check:
        """Record the state of a check; a passed one can complete pending transitions.

        Args:
            version: version that was judged.
            check: id of the check, such as `bias-test`.
            state: `queued`, `running`, `passed` or `failed`.
            summary: the result in a sentence.
            link: where to look at it.

        Raises:
            VersionNotFound, VersionDeleted.
        """
        name = await self._version(version)
        report = Check(
            name=str(CheckName(name.namespace, name.model, name.number, check)),
            state=Check.State.Value(f"STATE_{state.upper()}"),
            summary=summary,
            link=link,
        )
        request = ReportCheckRequest(check=report)
        return (await self._connection.unary(self._connection.lifecycle.ReportCheck, request)).check

    async def list_checks(self, version: AnyVersion, *, min_revision: int = 0) -> list[Check]:
        """Return the checks of a version by id. Raises VersionNotFound."""
        request = ListChecksRequest(parent=str(await self._version(version)), min_revision=min_revision)
        return list((await self._connection.unary(self._connection.lifecycle.ListChecks, request)).checks)

    async def get_model_state(self, model: AnyModel, *, min_revision: int = 0) -> ModelState:
        """Return where the versions of a model stand, all at one revision."""
        request = GetModelStateRequest(name=str(model_name(model)), min_revision=min_revision)
        return (await self._connection.unary(self._connection.lifecycle.GetModelState, request)).state

    async def history(self, version: AnyVersion, *, min_revision: int = 0) -> list[StageHistoryEntry]:
        """Return the way of a version through the stages, from its registration on. Raises VersionNotFound."""
        request = ListStageHistoryRequest(parent=str(await self._version(version)), min_revision=min_revision)
        return list((await self._connection.unary(self._connection.lifecycle.ListStageHistory, request)).entries)

    async def _optional(self, version: AnyVersion | None) -> str:
        return "" if version is None else str(await self._version(version))

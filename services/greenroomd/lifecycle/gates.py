"""The gates of a stage: what a policy still demands of a transition, in words for people."""

from __future__ import annotations

from collections.abc import Mapping

from greenroomd.lifecycle.domain import (
    Check,
    CheckState,
    Decision,
    GateKind,
    Policy,
    Transition,
    UnmetGate,
)

PROGRESS = {CheckState.QUEUED: "is waiting to run", CheckState.RUNNING: "is running", CheckState.FAILED: "has failed"}


def unmet_gates(policy: Policy, transition: Transition, checks: Mapping[str, Check]) -> tuple[UnmetGate, ...]:
    """Return what is missing before `transition` may complete; empty when nothing is.

    Args:
        policy: that of the target stage.
        transition: the request with the approvals so far.
        checks: reports on the transition's versions, by resource name.
    """
    unmet = [
        gate
        for version, digest in zip(transition.versions, transition.artifact_digests, strict=True)
        for id in dict.fromkeys(policy.required_checks)
        if (gate := _unmet_check(id, version, digest, checks.get(f"{version}/checks/{id}"))) is not None
    ]
    missing = policy.approvals - len(approvers(transition))
    if missing > 0:
        unmet.append(UnmetGate(GateKind.APPROVAL, "", "", _approvals_missing(missing, policy.approvals, transition)))
    return tuple(unmet)


def approvers(transition: Transition) -> frozenset[str]:
    """Return the ids of those whose yes counts: each once, never the requester or who made one of the versions."""
    said_yes = {answer.approver.id for answer in transition.approvals if answer.decision is Decision.APPROVED}
    return frozenset(said_yes - excluded(transition))


def excluded(transition: Transition) -> frozenset[str]:
    """Return the ids of those who cannot approve."""
    return frozenset((transition.requester.id, *transition.creators))


def _unmet_check(id: str, version: str, digest: str, check: Check | None) -> UnmetGate | None:
    if check is None:
        what = "has not been reported; run it and report how it ended"
    elif check.state is not CheckState.PASSED:
        what = f"{PROGRESS[check.state]}; it must pass"
    elif check.artifact_digest != digest:
        what = f"judged other bytes ({check.artifact_digest}); run it on {digest}"
    else:
        return None
    return UnmetGate(GateKind.CHECK, id, version, f"check {id} on {version} {what}")


def _approvals_missing(missing: int, needed: int, transition: Transition) -> str:
    not_these = ", ".join(sorted(excluded(transition)))
    counted = f"{missing} of {needed} approvals {'is' if missing == 1 else 'are'}" if needed > 1 else "the approval is"
    return (
        f"{counted} missing; anybody who may approve can say yes, except who requested it or made the version"
        f" ({not_these})"
    )

"""What a policy demands beyond what is there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from greenroomd.lifecycle.domain import (
    Approval,
    Check,
    CheckState,
    Decision,
    GateKind,
    Policy,
    Transition,
    TransitionKind,
    TransitionState,
)
from greenroomd.lifecycle.gates import unmet_gates
from greenroomd.platform.context import Actor

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VERSION = "namespaces/demo/models/digits/versions/1"
OTHER = "namespaces/demo/models/other/versions/4"
DIGEST = "sha256:1"


def actor(id: str) -> Actor:
    return Actor(id, "user")


def transition(*approvers: str, rejecters: tuple[str, ...] = (), versions: tuple[str, ...] = (VERSION,)) -> Transition:
    answers = [Approval(actor(id), Decision.APPROVED, "", NOW) for id in approvers]
    answers += [Approval(actor(id), Decision.REJECTED, "", NOW) for id in rejecters]
    return Transition(
        name="namespaces/demo/transitions/t",
        kind=TransitionKind.MOVE,
        state=TransitionState.PENDING,
        versions=versions,
        artifact_digests=tuple(DIGEST for _ in versions),
        creators=tuple("author" for _ in versions),
        target_stage="production",
        reason="",
        requester=actor("requester"),
        unmet_gates=(),
        approvals=tuple(answers),
        moves=(),
        outcome_reason="",
        closer=None,
        create_time=NOW,
        close_time=None,
        etag="",
    )


def policy(*checks: str, approvals: int = 0) -> Policy:
    return Policy("namespaces/demo/policies/production", checks, approvals, None, "")


def reported(id: str, state: CheckState, digest: str = DIGEST, version: str = VERSION) -> dict[str, Check]:
    name = f"{version}/checks/{id}"
    return {name: Check(name, state, "", "", digest, actor("ci"), NOW, NOW)}


def test_no_policy_demands_nothing() -> None:
    assert unmet_gates(policy(), transition(), {}) == ()


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ({}, "has not been reported"),
        (reported("bias", CheckState.QUEUED), "is waiting to run"),
        (reported("bias", CheckState.RUNNING), "is running"),
        (reported("bias", CheckState.FAILED), "has failed"),
        (reported("bias", CheckState.PASSED, digest="sha256:2"), "judged other bytes (sha256:2)"),
        (reported("bias", CheckState.PASSED, version=OTHER), "has not been reported"),
    ],
)
def test_a_check_that_has_not_passed_on_these_bytes(checks: dict[str, Check], words: str) -> None:
    (gate,) = unmet_gates(policy("bias"), transition(), checks)
    assert (gate.kind, gate.subject, gate.version) == (GateKind.CHECK, "bias", VERSION)
    assert words in gate.message


def test_a_passed_check_meets_its_gate() -> None:
    assert unmet_gates(policy("bias"), transition(), reported("bias", CheckState.PASSED)) == ()


def test_every_version_needs_every_check() -> None:
    both = transition(versions=(VERSION, OTHER))
    unmet = unmet_gates(policy("bias", "speed", "bias"), both, reported("bias", CheckState.PASSED))
    assert [(gate.subject, gate.version) for gate in unmet] == [
        ("speed", VERSION),
        ("bias", OTHER),
        ("speed", OTHER),
    ]


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        (transition(), 2),
        (transition("a"), 1),
        (transition("a", "a"), 1),
        (transition("requester", "author"), 2),
        (transition("a", "requester"), 1),
        (transition("a", rejecters=("b",)), 1),
        (transition("a", "b"), 0),
        (transition("a", "b", "c"), 0),
    ],
)
def test_approvals_are_counted_once_and_never_ones_own(asked: Transition, missing: int) -> None:
    unmet = unmet_gates(policy(approvals=2), asked, {})
    if missing:
        (gate,) = unmet
        assert gate.kind is GateKind.APPROVAL
        assert gate.message.startswith(f"{missing} of 2 approvals {'is' if missing == 1 else 'are'} missing")
        assert "author, requester" in gate.message
    else:
        assert unmet == ()

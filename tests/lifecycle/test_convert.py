"""What goes out comes in again unchanged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from greenroom.lifecycle.v1.watch_pb2 import LifecycleResource
from greenroomd.lifecycle import convert
from greenroomd.lifecycle.convert_transition import transition_from_proto, transition_to_proto
from greenroomd.lifecycle.domain import (
    Alias,
    Approval,
    Check,
    CheckState,
    Decision,
    Deployment,
    DeploymentState,
    GateKind,
    Policy,
    StageMove,
    Transition,
    TransitionKind,
    TransitionState,
    UnmetGate,
)
from greenroomd.lifecycle.graph import default_graph
from greenroomd.platform.context import Actor

THEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
NOW = datetime(2026, 2, 2, tzinfo=UTC)
BOB = Actor("bob", "user")
CI = Actor("ci", "service")
VERSION = "namespaces/demo/models/digits/versions/7"
GRAPH = default_graph("namespaces/demo")
POLICY = Policy("namespaces/demo/policies/production", ("bias", "speed"), 2, NOW, "e1")
ALIAS = Alias("namespaces/demo/models/digits/aliases/a", VERSION, "sha256:1", BOB, NOW, "e2")
CHECK = Check(f"{VERSION}/checks/bias", CheckState.FAILED, "no", "https://ci", "sha256:1", CI, THEN, NOW)
DEPLOYMENT = Deployment("d/deployments/eu", VERSION, DeploymentState.STOPPED, "eu", "bye", CI, THEN, NOW)
TRANSITION = Transition(
    name="namespaces/demo/transitions/t",
    kind=TransitionKind.ROLLBACK,
    state=TransitionState.FAILED,
    versions=(VERSION,),
    artifact_digests=("sha256:1",),
    creators=("alice",),
    target_stage="production",
    reason="because",
    requester=BOB,
    unmet_gates=(UnmetGate(GateKind.CHECK, "bias", VERSION, "missing"),),
    approvals=(Approval(CI, Decision.REJECTED, "no", NOW),),
    moves=(StageMove(VERSION, "staging", "production", True),),
    outcome_reason="gone",
    closer=CI,
    create_time=THEN,
    close_time=NOW,
    etag="e3",
)


def test_resources_come_back() -> None:
    assert convert.graph_from_proto(convert.graph_to_proto(GRAPH)) == GRAPH
    assert convert.policy_from_proto(convert.policy_to_proto(POLICY)) == POLICY
    assert convert.alias_from_proto(convert.alias_to_proto(ALIAS)) == ALIAS
    assert convert.check_from_proto(convert.check_to_proto(CHECK)) == CHECK
    assert convert.deployment_from_proto(convert.deployment_to_proto(DEPLOYMENT)) == DEPLOYMENT
    assert transition_from_proto(transition_to_proto(TRANSITION), ["alice"]) == TRANSITION


@pytest.mark.parametrize(
    ("resource", "member"),
    [
        (GRAPH, "stage_graph"),
        (POLICY, "policy"),
        (ALIAS, "alias"),
        (CHECK, "check"),
        (DEPLOYMENT, "deployment"),
        (TRANSITION, "transition"),
    ],
)
def test_the_log_says_what_a_resource_is(resource: object, member: str) -> None:
    assert LifecycleResource.FromString(convert.resource_bytes(resource)).WhichOneof("resource") == member


def test_the_log_holds_nothing_else() -> None:
    with pytest.raises(TypeError, match="no str"):
        convert.resource_bytes("x")

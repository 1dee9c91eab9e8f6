"""Transitions to protobuf and back."""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.lifecycle.v1 import transition_pb2
from greenroomd.lifecycle import domain
from greenroomd.platform.wellknown import actor_from_proto, actor_to_proto, moment, timestamp


def transition_to_proto(transition: domain.Transition) -> transition_pb2.Transition:
    return transition_pb2.Transition(
        name=transition.name,
        kind=transition_pb2.Transition.Kind.ValueType(transition.kind.value),
        state=transition_pb2.Transition.State.ValueType(transition.state.value),
        versions=transition.versions,
        artifact_digests=transition.artifact_digests,
        target_stage=transition.target_stage,
        reason=transition.reason,
        requester=actor_to_proto(transition.requester),
        unmet_gates=[
            transition_pb2.UnmetGate(
                kind=transition_pb2.UnmetGate.Kind.ValueType(gate.kind.value),
                subject=gate.subject,
                version=gate.version,
                message=gate.message,
            )
            for gate in transition.unmet_gates
        ],
        approvals=[
            transition_pb2.Approval(
                approver=actor_to_proto(answer.approver),
                decision=transition_pb2.Approval.Decision.ValueType(answer.decision.value),
                comment=answer.comment,
                time=timestamp(answer.time),
            )
            for answer in transition.approvals
        ],
        moves=[
            transition_pb2.StageMove(
                version=move.version, from_stage=move.from_stage, to_stage=move.to_stage, displaced=move.displaced
            )
            for move in transition.moves
        ],
        outcome_reason=transition.outcome_reason,
        closer=None if transition.closer is None else actor_to_proto(transition.closer),
        create_time=timestamp(transition.create_time),
        close_time=timestamp(transition.close_time),
        etag=transition.etag,
    )


def transition_from_proto(message: transition_pb2.Transition, creators: Sequence[str]) -> domain.Transition:
    """Return a transition; `creators` stand beside the message."""
    return domain.Transition(
        name=message.name,
        kind=domain.TransitionKind(message.kind),
        state=domain.TransitionState(message.state),
        versions=tuple(message.versions),
        artifact_digests=tuple(message.artifact_digests),
        creators=tuple(creators),
        target_stage=message.target_stage,
        reason=message.reason,
        requester=actor_from_proto(message.requester),
        unmet_gates=tuple(
            domain.UnmetGate(domain.GateKind(gate.kind), gate.subject, gate.version, gate.message)
            for gate in message.unmet_gates
        ),
        approvals=tuple(
            domain.Approval(
                actor_from_proto(answer.approver), domain.Decision(answer.decision), answer.comment, moment(answer.time)
            )
            for answer in message.approvals
        ),
        moves=tuple(
            domain.StageMove(move.version, move.from_stage, move.to_stage, move.displaced) for move in message.moves
        ),
        outcome_reason=message.outcome_reason,
        closer=actor_from_proto(message.closer) if message.HasField("closer") else None,
        create_time=moment(message.create_time),
        close_time=moment(message.close_time) if message.HasField("close_time") else None,
        etag=message.etag,
    )

"""What reads answer about where versions are, to protobuf."""

from __future__ import annotations

from greenroom.lifecycle.v1 import resolution_pb2, state_pb2
from greenroomd.lifecycle import standings
from greenroomd.lifecycle.convert import alias_to_proto, check_to_proto, deployment_to_proto
from greenroomd.platform.wellknown import actor_to_proto, timestamp


def model_to_proto(model: standings.ModelStanding) -> state_pb2.ModelState:
    return state_pb2.ModelState(
        model=model.model,
        stages=[state_pb2.StageHolders(stage=stage, versions=versions) for stage, versions in model.stages],
        aliases=[alias_to_proto(alias) for alias in model.aliases],
        revision=model.revision,
    )


def version_to_proto(version: standings.VersionStanding) -> state_pb2.VersionState:
    return state_pb2.VersionState(
        version=version.version,
        stage=version.stage,
        aliases=version.aliases,
        checks=[check_to_proto(check) for check in version.checks],
        deployments=[deployment_to_proto(deployment) for deployment in version.deployments],
        in_use=version.in_use,
    )


def past_move_to_proto(move: standings.PastMove) -> state_pb2.StageHistoryEntry:
    return state_pb2.StageHistoryEntry(
        version=move.version,
        from_stage=move.from_stage,
        to_stage=move.to_stage,
        actor=actor_to_proto(move.actor),
        time=timestamp(move.time),
        reason=move.reason,
        transition=move.transition,
        revision=move.revision,
        displaced=move.displaced,
    )


def resolution_to_proto(resolution: standings.Resolution) -> resolution_pb2.Resolution:
    return resolution_pb2.Resolution(
        selector=resolution.selector,
        version=resolution.version,
        artifact_digest=resolution.artifact_digest,
        stage=resolution.stage,
        revision=resolution.revision,
    )

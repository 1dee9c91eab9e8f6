"""Domain objects to protobuf and back. Round-trips are tested: what goes out comes in again unchanged."""

from __future__ import annotations

from greenroom.lifecycle.v1 import (
    alias_pb2,
    check_pb2,
    deployment_pb2,
    model_rename_pb2,
    policy_pb2,
    stage_graph_pb2,
    watch_pb2,
)
from greenroomd.lifecycle import domain
from greenroomd.lifecycle.convert_transition import transition_to_proto
from greenroomd.platform.wellknown import actor_from_proto, actor_to_proto, moment, timestamp


def resource_bytes(resource: object) -> bytes:
    """Return the serialised LifecycleResource of a domain object, as the log stores it."""
    match resource:
        case domain.StageGraph():
            message = watch_pb2.LifecycleResource(stage_graph=graph_to_proto(resource))
        case domain.Policy():
            message = watch_pb2.LifecycleResource(policy=policy_to_proto(resource))
        case domain.Transition():
            message = watch_pb2.LifecycleResource(transition=transition_to_proto(resource))
        case domain.Alias():
            message = watch_pb2.LifecycleResource(alias=alias_to_proto(resource))
        case domain.Check():
            message = watch_pb2.LifecycleResource(check=check_to_proto(resource))
        case domain.Deployment():
            message = watch_pb2.LifecycleResource(deployment=deployment_to_proto(resource))
        case domain.ModelRename():
            message = watch_pb2.LifecycleResource(model_rename=rename_to_proto(resource))
        case _:
            raise TypeError(f"the lifecycle's log holds no {type(resource).__name__}")
    return message.SerializeToString(deterministic=True)


def graph_to_proto(graph: domain.StageGraph) -> stage_graph_pb2.StageGraph:
    return stage_graph_pb2.StageGraph(
        name=graph.name,
        stages=[
            stage_graph_pb2.Stage(
                id=stage.id,
                description=stage.description,
                capacity=stage.capacity,
                displaced_to=stage.displaced_to,
            )
            for stage in graph.stages
        ],
        edges=[stage_graph_pb2.StageEdge(from_stage=edge.from_stage, to_stage=edge.to_stage) for edge in graph.edges],
        update_time=timestamp(graph.update_time),
        etag=graph.etag,
    )


def graph_from_proto(message: stage_graph_pb2.StageGraph) -> domain.StageGraph:
    return domain.StageGraph(
        name=message.name,
        stages=tuple(
            domain.Stage(stage.id, stage.description, stage.capacity, stage.displaced_to) for stage in message.stages
        ),
        edges=tuple(domain.StageEdge(edge.from_stage, edge.to_stage) for edge in message.edges),
        update_time=moment(message.update_time) if message.HasField("update_time") else None,
        etag=message.etag,
    )


def policy_to_proto(policy: domain.Policy) -> policy_pb2.Policy:
    return policy_pb2.Policy(
        name=policy.name,
        required_checks=policy.required_checks,
        approvals=policy_pb2.ApprovalRequirement(count=policy.approvals) if policy.approvals else None,
        update_time=timestamp(policy.update_time),
        etag=policy.etag,
    )


def policy_from_proto(message: policy_pb2.Policy) -> domain.Policy:
    return domain.Policy(
        name=message.name,
        required_checks=tuple(message.required_checks),
        approvals=message.approvals.count,
        update_time=moment(message.update_time) if message.HasField("update_time") else None,
        etag=message.etag,
    )


def alias_to_proto(alias: domain.Alias) -> alias_pb2.Alias:
    return alias_pb2.Alias(
        name=alias.name,
        version=alias.version,
        artifact_digest=alias.artifact_digest,
        updater=actor_to_proto(alias.updater),
        update_time=timestamp(alias.update_time),
        etag=alias.etag,
    )


def alias_from_proto(message: alias_pb2.Alias) -> domain.Alias:
    return domain.Alias(
        name=message.name,
        version=message.version,
        artifact_digest=message.artifact_digest,
        updater=actor_from_proto(message.updater),
        update_time=moment(message.update_time),
        etag=message.etag,
    )


def check_to_proto(check: domain.Check) -> check_pb2.Check:
    return check_pb2.Check(
        name=check.name,
        state=check_pb2.Check.State.ValueType(check.state.value),
        summary=check.summary,
        link=check.link,
        artifact_digest=check.artifact_digest,
        reporter=actor_to_proto(check.reporter),
        create_time=timestamp(check.create_time),
        update_time=timestamp(check.update_time),
    )


def check_from_proto(message: check_pb2.Check) -> domain.Check:
    return domain.Check(
        name=message.name,
        state=domain.CheckState(message.state),
        summary=message.summary,
        link=message.link,
        artifact_digest=message.artifact_digest,
        reporter=actor_from_proto(message.reporter),
        create_time=moment(message.create_time),
        update_time=moment(message.update_time),
    )


def deployment_to_proto(deployment: domain.Deployment) -> deployment_pb2.Deployment:
    return deployment_pb2.Deployment(
        name=deployment.name,
        version=deployment.version,
        state=deployment_pb2.Deployment.State.ValueType(deployment.state.value),
        environment=deployment.environment,
        message=deployment.message,
        reporter=actor_to_proto(deployment.reporter),
        start_time=timestamp(deployment.start_time),
        update_time=timestamp(deployment.update_time),
    )


def deployment_from_proto(message: deployment_pb2.Deployment) -> domain.Deployment:
    return domain.Deployment(
        name=message.name,
        version=message.version,
        state=domain.DeploymentState(message.state),
        environment=message.environment,
        message=message.message,
        reporter=actor_from_proto(message.reporter),
        start_time=moment(message.start_time),
        update_time=moment(message.update_time),
    )


def rename_to_proto(rename: domain.ModelRename) -> model_rename_pb2.ModelRename:
    return model_rename_pb2.ModelRename(
        name=rename.name,
        former_name=rename.former_name,
        sequence=rename.sequence,
        redirect_expire_time=timestamp(rename.expire_time),
    )


def rename_from_proto(message: model_rename_pb2.ModelRename) -> domain.ModelRename:
    return domain.ModelRename(
        name=message.name,
        former_name=message.former_name,
        sequence=message.sequence,
        expire_time=moment(message.redirect_expire_time),
    )

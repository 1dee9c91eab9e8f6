"""Protobuf to what the index knows, and the index to protobuf."""

from __future__ import annotations

from collections.abc import Mapping

from greenroom.catalog.v1.model_pb2 import Model as ModelMessage
from greenroom.catalog.v1.version_pb2 import Version as VersionMessage
from greenroom.catalog.v1.watch_pb2 import CatalogChange
from greenroom.lifecycle.v1.deployment_pb2 import Deployment as DeploymentMessage
from greenroom.lifecycle.v1.watch_pb2 import LifecycleChange
from greenroom.search.v1.hit_pb2 import Hit as HitMessage
from greenroom.search.v1.index_pb2 import Index as IndexMessage
from greenroom.search.v1.watch_pb2 import SearchResource
from greenroom.type.v1.service_revision_pb2 import ServiceRevision
from greenroomd.platform.wellknown import moment, timestamp, values_from_proto
from greenroomd.search import domain
from greenroomd.search.domain import Effects, SourceChange
from greenroomd.search.renames import Rename

DEPLOYMENT_STATES = {
    number: name.removeprefix("STATE_").lower() for name, number in DeploymentMessage.State.items() if number
}


def resource_bytes(resource: object) -> bytes:
    """Return the serialised SearchResource of a domain object, as the log stores it."""
    if not isinstance(resource, domain.Index):
        raise TypeError(f"search's log holds no {type(resource).__name__}")
    return SearchResource(index=index_to_proto(resource)).SerializeToString(deterministic=True)


def index_to_proto(index: domain.Index) -> IndexMessage:
    return IndexMessage(
        name=domain.INDEX,
        positions=positions_to_proto(index.positions),
        version_count=index.version_count,
        generation=index.state.generation,
        rebuild_time=timestamp(index.state.rebuild_time),
    )


def positions_to_proto(positions: Mapping[str, int]) -> list[ServiceRevision]:
    return [ServiceRevision(service=service, revision=revision) for service, revision in positions.items()]


def hit_to_proto(hit: domain.Hit) -> HitMessage:
    return HitMessage(
        version=VersionMessage.FromString(hit.version),
        stage=hit.stage,
        aliases=hit.aliases,
        deployments=[DeploymentMessage.FromString(message) for message in hit.deployments],
        score=hit.score,
    )


def catalog_change(change: CatalogChange) -> SourceChange:
    """Return what a change of the catalog does to the index; nothing for one that is not about models or versions."""
    effects = Effects()
    rename = None
    match change.metadata.type:
        case "model.created" | "model.updated" | "model.renamed":
            effects.models[change.metadata.resource] = model_from_proto(change.after.model)
            if change.metadata.type == "model.renamed":
                former = change.after.model.former_names[0]
                rename = Rename(former.name, change.after.model.name, moment(former.redirect_expire_time))
        case "version.created" | "version.updated":
            effects.versions[change.metadata.resource] = version_from_proto(change.after.version)
        case "version.deleted":
            effects.versions[change.metadata.resource] = None
    return SourceChange(change.metadata.revision, effects, rename)


def lifecycle_change(change: LifecycleChange) -> SourceChange:
    """Return what a change of lifecycle does to the index; nothing for one that moves nothing, such as a request."""
    effects = Effects()
    rename = None
    after = change.after
    match change.metadata.type:
        case "transition.completed":
            effects.stages.update((move.version, move.to_stage) for move in after.transition.moves)
        case "stage_graph.updated" if after.stage_graph.stages:
            namespace = domain.namespace_of(after.stage_graph.name)
            effects.first_stages[namespace] = after.stage_graph.stages[0].id
        case "alias.set":
            effects.aliases[after.alias.name] = after.alias.version
        case "alias.deleted":
            effects.aliases[change.metadata.resource] = None
        case "deployment.reported":
            effects.deployments[after.deployment.name] = deployment_from_proto(after.deployment)
        case "model.renamed":
            renamed = after.model_rename
            rename = Rename(renamed.former_name, renamed.name, moment(renamed.redirect_expire_time))
    return SourceChange(change.metadata.revision, effects, rename)


def model_from_proto(message: ModelMessage) -> domain.Model:
    return domain.Model(message.name, message.description, values_from_proto(message.tags))


def version_from_proto(message: VersionMessage) -> domain.Version:
    facts = message.facts
    return domain.Version(
        name=message.name,
        number=message.number,
        create_time=moment(message.create_time),
        creator=message.creator.id,
        framework=facts.framework,
        model_type=facts.model_type,
        task=facts.task,
        semver=message.semver,
        artifact=message.artifact_digest,
        description=message.description,
        metrics=tuple(
            domain.Metric(metric.name, metric.dataset, metric.slice, metric.step, metric.value)
            for metric in facts.metrics
        ),
        params=values_from_proto(facts.params),
        tags=values_from_proto(message.tags),
        datasets=tuple(domain.Dataset(dataset.name, dataset.digest) for dataset in facts.datasets),
        message=message.SerializeToString(),
    )


def deployment_from_proto(message: DeploymentMessage) -> domain.Deployment:
    return domain.Deployment(
        name=message.name,
        version=message.version,
        state=DEPLOYMENT_STATES.get(message.state, ""),
        environment=message.environment,
        message=message.SerializeToString(),
    )

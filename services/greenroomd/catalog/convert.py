"""Domain objects to protobuf and back. Round-trips are tested: what goes out comes in again unchanged."""

from __future__ import annotations

from uuid import UUID

from greenroom.catalog.v1 import model_pb2, namespace_pb2, version_pb2, watch_pb2
from greenroomd.catalog import domain
from greenroomd.catalog.convert_facts import facts_from_proto, facts_to_proto
from greenroomd.platform.wellknown import (
    actor_from_proto,
    actor_to_proto,
    moment,
    timestamp,
    values_from_proto,
    values_to_proto,
)


def resource_bytes(resource: object) -> bytes:
    """Return the serialised CatalogResource of a domain object, as the log stores it."""
    match resource:
        case domain.Namespace():
            message = watch_pb2.CatalogResource(namespace=namespace_to_proto(resource))
        case domain.Model():
            message = watch_pb2.CatalogResource(model=model_to_proto(resource))
        case domain.Version():
            message = watch_pb2.CatalogResource(version=version_to_proto(resource))
        case _:
            raise TypeError(f"the catalog's log holds no {type(resource).__name__}")
    return message.SerializeToString(deterministic=True)


def namespace_to_proto(namespace: domain.Namespace) -> namespace_pb2.Namespace:
    return namespace_pb2.Namespace(
        name=namespace.name,
        uid=str(namespace.uid),
        description=namespace.description,
        creator=actor_to_proto(namespace.creator),
        create_time=timestamp(namespace.create_time),
        update_time=timestamp(namespace.update_time),
        etag=namespace.etag,
    )


def namespace_from_proto(message: namespace_pb2.Namespace) -> domain.Namespace:
    return domain.Namespace(
        name=message.name,
        uid=UUID(message.uid),
        description=message.description,
        creator=actor_from_proto(message.creator),
        create_time=moment(message.create_time),
        update_time=moment(message.update_time),
        etag=message.etag,
    )


def model_to_proto(model: domain.Model) -> model_pb2.Model:
    return model_pb2.Model(
        name=model.name,
        uid=str(model.uid),
        description=model.description,
        tags=values_to_proto(model.tags),
        owner=model.owner,
        creator=actor_to_proto(model.creator),
        create_time=timestamp(model.create_time),
        update_time=timestamp(model.update_time),
        etag=model.etag,
        former_names=[
            model_pb2.FormerName(name=former.name, redirect_expire_time=timestamp(former.redirect_expire_time))
            for former in model.former_names
        ],
    )


def model_from_proto(message: model_pb2.Model) -> domain.Model:
    return domain.Model(
        name=message.name,
        uid=UUID(message.uid),
        namespace=message.name.rsplit("/models/", 1)[0],
        description=message.description,
        tags=values_from_proto(message.tags),
        owner=message.owner,
        creator=actor_from_proto(message.creator),
        create_time=moment(message.create_time),
        update_time=moment(message.update_time),
        etag=message.etag,
        former_names=tuple(
            domain.FormerName(former.name, moment(former.redirect_expire_time)) for former in message.former_names
        ),
    )


def version_to_proto(version: domain.Version) -> version_pb2.Version:
    return version_pb2.Version(
        name=version.name,
        uid=str(version.uid),
        number=version.number,
        state=version_pb2.Version.State.ValueType(version.state.value),
        artifact_digest=version.artifact_digest,
        artifact_size_bytes=version.artifact_size_bytes,
        semver=version.semver,
        facts=facts_to_proto(version.facts),
        description=version.description,
        tags=values_to_proto(version.tags),
        creator=actor_to_proto(version.creator),
        create_time=timestamp(version.create_time),
        update_time=timestamp(version.update_time),
        delete_time=timestamp(version.delete_time),
        deleter=None if version.deleter is None else actor_to_proto(version.deleter),
        etag=version.etag,
    )


def version_from_proto(message: version_pb2.Version) -> domain.Version:
    model = message.name.rsplit("/versions/", 1)[0]
    return domain.Version(
        name=message.name,
        uid=UUID(message.uid),
        namespace=model.rsplit("/models/", 1)[0],
        model=model,
        number=message.number,
        state=domain.VersionState(message.state),
        artifact_digest=message.artifact_digest,
        artifact_size_bytes=message.artifact_size_bytes,
        semver=message.semver,
        facts=facts_from_proto(message.facts),
        description=message.description,
        tags=values_from_proto(message.tags),
        creator=actor_from_proto(message.creator),
        create_time=moment(message.create_time),
        update_time=moment(message.update_time),
        delete_time=moment(message.delete_time) if message.HasField("delete_time") else None,
        deleter=actor_from_proto(message.deleter) if message.HasField("deleter") else None,
        etag=message.etag,
    )


def new_version_from_proto(message: version_pb2.Version) -> domain.NewVersion:
    """Return what a caller says about a version; output-only fields are ignored."""
    return domain.NewVersion(
        artifact_digest=message.artifact_digest,
        semver=message.semver,
        facts=facts_from_proto(message.facts),
        description=message.description,
        tags=values_from_proto(message.tags),
    )

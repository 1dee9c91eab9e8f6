"""What the protos say about each RPC: read once, when the server starts."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor

from greenroom.options.v1 import options_pb2

IdempotencyLevel = descriptor_pb2.MethodOptions.IdempotencyLevel


class ServiceMisdeclaredError(Exception):
    """A proto leaves out what the server must know about an RPC. The message names the RPC and the option."""


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC as its proto declares it."""

    path: str
    """`/greenroom.catalog.v1.CatalogService/CreateModel`."""
    service: str
    """`greenroom.catalog.v1.CatalogService`."""
    name: str
    """`CreateModel`."""
    permission: str
    """What a caller must hold, such as `catalog.models.create`."""
    request: Descriptor
    response: Descriptor
    request_streaming: bool
    response_streaming: bool
    mutates: bool
    """False when it is declared NO_SIDE_EFFECTS."""


def methods_of(service: ServiceDescriptor) -> tuple[Method, ...]:
    """Return the RPCs of a service.

    Raises:
        ServiceMisdeclaredError: an RPC has no permission or no idempotency level.
    """
    return tuple(_method(service, method) for method in service.methods)


def _method(service: ServiceDescriptor, method: MethodDescriptor) -> Method:
    options = method.GetOptions()
    permission = options.Extensions[options_pb2.permission]
    if not permission:
        raise ServiceMisdeclaredError(
            f"{method.full_name} has no permission, so nobody could be allowed or denied to call it; add"
            ' `option (greenroom.options.v1.permission) = "<service>.<nouns>.<verb>";` to the RPC'
        )
    if options.idempotency_level == IdempotencyLevel.IDEMPOTENCY_UNKNOWN:
        raise ServiceMisdeclaredError(
            f"{method.full_name} does not say whether it may be repeated; add"
            " `option idempotency_level = NO_SIDE_EFFECTS;` (it only reads) or `IDEMPOTENT` to the RPC"
        )
    return Method(
        path=f"/{service.full_name}/{method.name}",
        service=service.full_name,
        name=method.name,
        permission=permission,
        request=method.input_type,
        response=method.output_type,
        request_streaming=method.client_streaming,
        response_streaming=method.server_streaming,
        mutates=options.idempotency_level != IdempotencyLevel.NO_SIDE_EFFECTS,
    )

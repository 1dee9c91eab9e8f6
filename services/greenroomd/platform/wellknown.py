"""Shared protobuf types to plain Python and back: timestamps, actors, typed values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from greenroom.type.v1.actor_pb2 import Actor as ActorMessage
from greenroom.type.v1.value_pb2 import Value as ValueMessage
from greenroom.type.v1.value_pb2 import ValueList
from greenroomd.platform.context import Actor, ActorKind
from greenroomd.platform.values import Scalar, Value

ACTOR_KINDS: dict[ActorKind, ActorMessage.Kind.ValueType] = {
    "user": ActorMessage.KIND_USER,
    "service": ActorMessage.KIND_SERVICE,
}
ACTOR_KIND_NAMES: dict[ActorMessage.Kind.ValueType, ActorKind] = {number: name for name, number in ACTOR_KINDS.items()}


def timestamp(moment: datetime | None) -> Timestamp | None:
    """Return a Timestamp; None stays None, which leaves a field unset."""
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def moment(message: Timestamp) -> datetime:
    """Return a timezone-aware UTC datetime."""
    return message.ToDatetime(tzinfo=UTC)


def actor_to_proto(actor: Actor) -> ActorMessage:
    return ActorMessage(id=actor.id, kind=ACTOR_KINDS[actor.kind])


def actor_from_proto(message: ActorMessage) -> Actor:
    return Actor(message.id, ACTOR_KIND_NAMES[message.kind])


def value_to_proto(value: Value) -> ValueMessage:
    match value:
        case bool():  # before int: a bool is an int in Python
            return ValueMessage(bool_value=value)
        case int():
            return ValueMessage(int_value=value)
        case float():
            return ValueMessage(double_value=value)
        case str():
            return ValueMessage(string_value=value)
        case tuple():
            return ValueMessage(list_value=ValueList(values=[value_to_proto(item) for item in value]))


def value_from_proto(message: ValueMessage) -> Value:
    if message.WhichOneof("kind") == "list_value":
        return tuple(scalar_from_proto(item) for item in message.list_value.values)
    return scalar_from_proto(message)


def scalar_from_proto(message: ValueMessage) -> Scalar:
    """Return a scalar; a value without a kind is an empty text, as protobuf's defaults are."""
    kind = message.WhichOneof("kind")
    scalar: Scalar = "" if kind in (None, "list_value") else getattr(message, kind)
    return scalar


def values_to_proto(values: Mapping[str, Value]) -> dict[str, ValueMessage]:
    return {key: value_to_proto(value) for key, value in values.items()}


def values_from_proto(message: Mapping[str, ValueMessage]) -> dict[str, Value]:
    return {key: value_from_proto(value) for key, value in sorted(message.items())}

"""A stored change in the two forms in which it leaves the service: protobuf for watches, CloudEvents for Redis."""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar
from uuid import UUID

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from greenroomd.platform.changelog.log import StoredChange
from greenroomd.platform.wellknown import ACTOR_KINDS

ChangeT = TypeVar("ChangeT", bound=Message)

CHANNEL_WITHOUT_NAMESPACE = "-"


class ChangeCodec(Generic[ChangeT]):
    """Builds the `<Service>Change` messages of one service.

    Args:
        service: name of the service.
        change_type: its change message: `metadata`, `after` and `before`.
    """

    def __init__(self, service: str, change_type: type[ChangeT]) -> None:
        self.service = service
        self._change_type = change_type

    def to_proto(self, stored: StoredChange) -> ChangeT:
        """Return the change as a watch delivers it."""
        change: Any = self._change_type()
        metadata = change.metadata
        metadata.revision = stored.revision
        metadata.id = str(stored.id)
        metadata.type = stored.type
        metadata.resource = stored.resource
        metadata.related_resources.extend(stored.related)
        metadata.actor.id = stored.actor_id
        metadata.actor.kind = ACTOR_KINDS[stored.actor_kind]
        metadata.time.FromDatetime(stored.time)
        metadata.request_id = stored.request_id
        metadata.method = stored.method
        metadata.trace_parent = stored.trace_parent
        metadata.previous_hash = stored.previous_hash
        metadata.hash = stored.hash
        metadata.transaction_last_revision = stored.transaction_last_revision
        if stored.after is not None:
            change.after.ParseFromString(stored.after)
        if stored.before is not None:
            change.before.ParseFromString(stored.before)
        return change  # type: ignore[no-any-return]

    def to_cloud_event(self, stored: StoredChange, log_id: UUID) -> bytes:
        """Return the change as a CloudEvents 1.0 JSON document.

        `source` and `id` together are unique, as the specification demands. `revision` is an extension attribute, a
        text because the specification's integers end at 2^31.
        """
        event = {
            "specversion": "1.0",
            "id": str(stored.id),
            "source": f"/greenroom/{log_id}/{self.service}",
            "type": f"greenroom.{self.service}.{stored.type}",
            "subject": stored.resource,
            "time": stored.time.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "revision": str(stored.revision),
            "data": MessageToDict(self.to_proto(stored)),
        }
        if stored.trace_parent:
            event["traceparent"] = stored.trace_parent
        return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()

    def channel(self, stored: StoredChange) -> str:
        """Return the Redis channel of the change: `greenroom.<service>.<namespace>`."""
        return f"greenroom.{self.service}.{stored.namespace or CHANNEL_WITHOUT_NAMESPACE}"

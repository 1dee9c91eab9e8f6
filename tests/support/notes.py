"""The smallest resource that a change log can hold, and how to write some."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.catalog.v1.watch_pb2 import CatalogResource
from greenroomd.platform.changelog.log import ChangeLog, Recorded


@dataclass(frozen=True)
class Note:
    """The smallest resource that a log can hold."""

    name: str
    text: str


def encode(resource: object) -> bytes:
    assert isinstance(resource, Note)
    message = CatalogResource()
    message.namespace.name = resource.name
    message.namespace.description = resource.text
    return message.SerializeToString()


async def write(log: ChangeLog, *texts: str, namespace: str = "demo") -> int:
    """Write one transaction with a change for each text; return its revision."""
    async with log.write() as transaction:
        for text in texts:
            note = Note(f"namespaces/{namespace}", text)
            transaction.record(Recorded("namespace.created", note.name, namespace, note))
    return transaction.revision

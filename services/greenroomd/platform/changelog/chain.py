"""The hash chain: what makes an altered, removed or reordered entry show."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from greenroomd.platform.changelog.log import StoredChange

GENESIS = bytes(32)
"""What the first change names as the hash before it."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def content_hash(change: StoredChange) -> bytes:
    """Return the SHA-256 that `change` must carry; the same bytes as the SQL function `append_changes` hashes."""
    microseconds = (change.time - EPOCH) // timedelta(microseconds=1)
    parts: list[bytes | None] = [
        *(text.encode() for text in (change.type, change.resource, "\n".join(change.related), change.namespace)),
        *(text.encode() for text in (change.actor_id, change.actor_kind, change.request_id)),
        change.request_hash,
        *(text.encode() for text in (change.method, change.trace_parent)),
        change.before,
        change.after,
    ]
    fixed = struct.pack(">q16sq", change.revision, change.id.bytes, microseconds)
    return hashlib.sha256(change.previous_hash + fixed + b"".join(map(length_prefixed, parts))).digest()


def length_prefixed(value: bytes | None) -> bytes:
    return struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value


def first_broken_link(changes: Iterable[StoredChange]) -> int | None:
    """Return the revision of the first entry that does not follow from the one before; None when all do.

    `changes` is the log from its beginning.
    """
    previous = GENESIS
    for revision, change in enumerate(changes, start=1):
        if (change.revision, change.previous_hash) != (revision, previous) or content_hash(change) != change.hash:
            return revision
        previous = change.hash
    return None

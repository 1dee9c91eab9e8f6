"""Pages of a list: where the next one starts, as a token that only fits the request it was made for.

A token is opaque, not secret: it holds the sort key of the last row that was sent, a fingerprint of the request, and
a checksum over both. Permissions are checked on every page as on the first.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message

from greenroomd.platform.errors import InvalidArgument

RowT = TypeVar("RowT")

PAGE_FIELDS = ("page_size", "page_token", "min_revision")
"""Fields that may differ between the pages of one list."""

_CHECK_BYTES = 8


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page a caller wants."""

    size: int
    """Most rows to return."""
    after: tuple[str, ...] = ()
    """Sort key of the last row of the page before; empty for the first page."""


def read_page(request: Message, *, default: int = 50, maximum: int = 1000) -> PageRequest:
    """Return the page that a `List…Request` with `page_size` and `page_token` asks for.

    Raises:
        InvalidArgument: PAGE_TOKEN_INVALID, when the token was not issued for this request.
    """
    size = page_size(request.page_size, default=default, maximum=maximum)  # type: ignore[attr-defined]
    token: str = request.page_token  # type: ignore[attr-defined]
    return PageRequest(size, decode(token, fingerprint(request)) if token else ())


def next_page_token(request: Message, last: Sequence[str] | None) -> str:
    """Return the token of the page after `last`, the sort key of the last row sent; empty when `last` is None."""
    return "" if last is None else encode(last, fingerprint(request))


def page_size(asked: int, *, default: int = 50, maximum: int = 1000) -> int:
    """Return how many rows a page has: `default` for 0, never more than `maximum`."""
    return min(asked, maximum) if asked > 0 else default


def fingerprint(request: Message) -> bytes:
    """Return what identifies a list request apart from the page: the same for every page of one list."""
    rest = type(request)()
    rest.CopyFrom(request)
    for name in PAGE_FIELDS:
        if name in rest.DESCRIPTOR.fields_by_name:
            rest.ClearField(name)
    return rest.DESCRIPTOR.full_name.encode() + b"\0" + rest.SerializeToString(deterministic=True)


def encode(position: Sequence[str], fingerprint: bytes) -> str:
    """Return the token for a position in the list that `fingerprint` identifies."""
    payload = json.dumps(list(position), separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(_check(payload, fingerprint) + payload).decode().rstrip("=")


def decode(token: str, fingerprint: bytes) -> tuple[str, ...]:
    """Return the position in a token.

    Raises:
        InvalidArgument: PAGE_TOKEN_INVALID, when the token is malformed or belongs to another list.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise _invalid() from None
    check, payload = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if check != _check(payload, fingerprint):
        raise _invalid()
    return tuple(json.loads(payload))


def _check(payload: bytes, fingerprint: bytes) -> bytes:
    return hashlib.sha256(len(payload).to_bytes(4, "big") + payload + fingerprint).digest()[:_CHECK_BYTES]


def _invalid() -> InvalidArgument:
    return InvalidArgument(
        "PAGE_TOKEN_INVALID",
        "page_token is not one that this server gave for this request; send next_page_token of the page before"
        " with all other fields unchanged, or no token to start at the first page",
    )


def cut(rows: Sequence[RowT], size: int) -> tuple[Sequence[RowT], RowT | None]:
    """Return a page from rows of which one more than `size` was read, and its last row when there is a page after."""
    return (rows[:size], rows[size - 1]) if len(rows) > size else (rows, None)

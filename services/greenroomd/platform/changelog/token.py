"""Resume tokens: a position bound to the log it was taken from."""

from __future__ import annotations

import base64
import binascii
import struct
from uuid import UUID

from greenroomd.platform.errors import InvalidArgument

LAYOUT = struct.Struct(">B16sq")
"""Format number, log id, revision."""

FORMAT = 1


def encode(log_id: UUID, revision: int) -> str:
    """Return the opaque token for a position."""
    packed = LAYOUT.pack(FORMAT, log_id.bytes, revision)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode(token: str, log_id: UUID, service: str) -> int:
    """Return the revision in `token`.

    Raises:
        InvalidArgument: WATCH_TOKEN_MALFORMED, or WATCH_TOKEN_FOREIGN when it was taken from another log.
    """
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        format_number, owner, revision = LAYOUT.unpack(packed)
        if format_number != FORMAT or revision < 0:
            raise ValueError(token)
    except (ValueError, binascii.Error, struct.error):
        raise InvalidArgument(
            "WATCH_TOKEN_MALFORMED",
            "resume_token is not a token of this API; send one exactly as a watch returned it, or none",
        ) from None
    if owner != log_id.bytes:
        raise InvalidArgument(
            "WATCH_TOKEN_FOREIGN",
            f"resume_token was taken from another log than this installation's {service} log; start again from a"
            " revision, and treat what you have as the state of that other installation",
            service=service,
        )
    return int(revision)

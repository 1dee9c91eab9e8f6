"""Etags: what guards an update against a change that its author has not seen."""

from __future__ import annotations

import secrets

from greenroomd.platform.errors import Aborted


def new_etag() -> str:
    """Return a fresh etag: 16 hex digits."""
    return secrets.token_hex(8)


def check_etag(resource: str, etag: str, current: str) -> None:
    """Raise Aborted ETAG_STALE when the caller names another etag than the current one; an empty one names none."""
    if etag and etag != current:
        raise Aborted(
            "ETAG_STALE",
            f"{resource} changed since you read it (etag {etag}, now {current}); read it again and repeat the change",
            resource=resource,
            etag=etag,
            current_etag=current,
        )

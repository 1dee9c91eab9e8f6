"""Who may call: the principals file, tokens, and what each role may do.

A token is `gr_<id>_<secret>`. The file keeps the SHA-256 of the secret only: it is 32 random bytes, so a plain hash is
as strong as a slow one and costs a microsecond on every call.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from greenroomd.platform.context import Principal
from greenroomd.platform.private_file import write_private

logger = structlog.get_logger()

LONGEST_TOKEN = 8 * 1024
ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
READ = ("*.get", "*.list", "*.watch", "artifact.blobs.read", "lifecycle.selectors.resolve", "search.versions.search")

ROLES: dict[str, tuple[str, ...]] = {
    "viewer": READ,
    "contributor": (
        *READ,
        "catalog.models.create",
        "catalog.models.update",
        "catalog.versions.create",
        "catalog.versions.update",
        "artifact.blobs.find",
        "artifact.uploads.*",
        "artifact.artifacts.create",
        "lifecycle.transitions.request",
        "lifecycle.transitions.cancel",
        "lifecycle.aliases.*",
    ),
    "approver": (
        *READ,
        "lifecycle.transitions.approve",
        "lifecycle.transitions.reject",
        "lifecycle.transitions.cancel",
        "lifecycle.transitions.rollback",
    ),
    # CI and serving systems: report what they saw, move what passed. They never approve.
    "deployer": (
        *READ,
        "lifecycle.checks.report",
        "lifecycle.deployments.report",
        "lifecycle.transitions.request",
        "lifecycle.transitions.rollback",
    ),
    "admin": ("*",),
    # Greenroom's own services ask each other; the one thing that they tell each other is that a model was renamed.
    "service": (*READ, "artifact.blobs.find", "lifecycle.models.rename"),
}
"""Permission patterns of each role. What no pattern covers is denied."""

RELOAD_SECONDS = 1.0
"""How long a change of the file can go unnoticed."""


class IdentityError(Exception):
    """The principals file cannot be used as it is. The message says what to do."""


@dataclass(frozen=True, slots=True)
class StoredPrincipal:
    """One entry of the principals file."""

    id: str
    kind: Literal["user", "service"]
    roles: tuple[str, ...]
    secret_sha256: str
    """Lower-case hex."""


def roles_with(permission: str) -> list[str]:
    """Return the roles that include a permission, `service` left out: it is not for people to be given."""
    return [
        role for role, grants in ROLES.items() if role != "service" and Principal("", "user", grants).holds(permission)
    ]


class Principals:
    """The principals file, read again when it changes.

    Args:
        path: the file; must exist and be readable by its owner alone.

    Raises:
        IdentityError: it does not exist, is malformed, or others can read it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[bytes, Principal]] = {}
        self._signature: tuple[int, ...] = ()
        self._next_look = 0.0
        self._load()

    def authenticate(self, token: str) -> Principal | None:
        """Return whose token this is; None for one that is malformed, unknown or revoked."""
        self._reload_when_due()
        principal = self._match(token)
        if principal is None:
            # A token that was made a moment ago works at once; only a revoked one may live on for RELOAD_SECONDS.
            self._next_look = 0.0
            self._reload_when_due()
            principal = self._match(token)
        return principal

    def _match(self, token: str) -> Principal | None:
        if len(token) > LONGEST_TOKEN or not token.startswith("gr_"):
            return None
        identifier, _, secret = token[3:].partition("_")
        # An unknown id costs what a known one costs: the answer's time tells nothing.
        expected, principal = self._known.get(identifier, (bytes(32), None))
        given = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        return principal if hmac.compare_digest(given, expected) else None

    def _reload_when_due(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + RELOAD_SECONDS
        try:
            if _signature(self._path) != self._signature:
                self._load()
        except (IdentityError, OSError) as error:
            # Whoever was known stays known: a file that is being repaired must not lock everybody out.
            logger.error("principals file not reloaded", path=str(self._path), error=str(error))

    def _load(self) -> None:
        signature = _signature(self._path)
        self._known = {
            stored.id: (
                bytes.fromhex(stored.secret_sha256),
                Principal(stored.id, stored.kind, tuple(grant for role in stored.roles for grant in ROLES[role])),
            )
            for stored in read_principals(self._path)
        }
        self._signature = signature


def read_principals(path: Path) -> list[StoredPrincipal]:
    """Return what the file holds.

    Raises:
        IdentityError: it does not exist, is malformed, or others can read it.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise IdentityError(
                    f"{path} holds credentials, and others can read or change it (mode {mode & 0o777:o});"
                    f" run: chmod 600 {path}"
                )
            document = json.load(file)
    except FileNotFoundError:
        raise IdentityError(
            f"{path} does not exist; `greenroom up` writes one, or name another with GREENROOM_PRINCIPALS_FILE"
        ) from None
    except PermissionError:
        raise IdentityError(f"{path} cannot be read by user id {os.geteuid()}; it must belong to that user") from None
    except ValueError as error:
        raise IdentityError(f"{path} is not JSON: {error}") from None
    try:
        return [_parse(entry) for entry in document["principals"]]
    except (KeyError, TypeError, ValueError) as error:
        raise IdentityError(f"{path} is not a principals file: {error}") from None


def create_principal(path: Path, id: str, *, kind: Literal["user", "service"] = "user", roles: Sequence[str]) -> str:
    """Add a principal to the file, creating the file when there is none, and return its token.

    The token is shown this once: the file has only a hash of it. A principal of that id gets the new token and roles,
    and its earlier token stops working.

    Raises:
        IdentityError: the id or a role is not acceptable, or the file cannot be used.
    """
    if not ID.fullmatch(id):
        raise IdentityError(f"{id!r} is not an id: 1 to 63 lower-case letters, digits and hyphens")
    if unknown := [role for role in roles if role not in ROLES] or ([] if roles else ["no role"]):
        raise IdentityError(f"{', '.join(unknown)}: the roles are {', '.join(ROLES)}")
    secret = secrets.token_urlsafe(32)
    stored = StoredPrincipal(id, kind, tuple(roles), hashlib.sha256(secret.encode()).hexdigest())
    with _locked(path):
        others = [entry for entry in _read_if_present(path) if entry.id != id]
        _write(path, [*others, stored])
    return f"gr_{id}_{secret}"


def revoke_principal(path: Path, id: str) -> None:
    """Remove a principal from the file; servers refuse its token within `RELOAD_SECONDS`.

    Raises:
        IdentityError: there is no such principal, or the file cannot be used.
    """
    with _locked(path):
        entries = read_principals(path)
        rest = [entry for entry in entries if entry.id != id]
        if len(rest) == len(entries):
            raise IdentityError(f"{path} has no principal {id!r}; it has {', '.join(entry.id for entry in entries)}")
        _write(path, rest)


def _parse(entry: dict[str, Any]) -> StoredPrincipal:
    stored = StoredPrincipal(entry["id"], entry["kind"], tuple(entry["roles"]), entry["secret_sha256"])
    if not ID.fullmatch(stored.id) or stored.kind not in ("user", "service"):
        raise ValueError(f"{stored.id!r} of kind {stored.kind!r}")
    if unknown := [role for role in stored.roles if role not in ROLES]:
        raise ValueError(f"{stored.id} has unknown roles {', '.join(unknown)}")
    if len(bytes.fromhex(stored.secret_sha256)) != hashlib.sha256().digest_size:
        raise ValueError(f"the secret hash of {stored.id} is not a SHA-256")
    return stored


def _read_if_present(path: Path) -> list[StoredPrincipal]:
    return read_principals(path) if path.exists() else []


def _write(path: Path, entries: Sequence[StoredPrincipal]) -> None:
    """Replace the file as a whole: a reader sees the old or the new one, also after a power cut."""
    document = {
        "principals": [
            {"id": e.id, "kind": e.kind, "roles": list(e.roles), "secret_sha256": e.secret_sha256} for e in entries
        ]
    }
    write_private(path, json.dumps(document, indent=2) + "\n")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other writers out while the block runs: two additions at once must both be in the file."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _signature(path: Path) -> tuple[int, ...]:
    """What changes when the file is replaced or rewritten."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode

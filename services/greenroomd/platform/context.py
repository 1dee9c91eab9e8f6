"""What is known about the call in progress: set by the interceptor chain, read by the log and by use cases."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

ActorKind = Literal["user", "service"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, as it is kept with what was done."""

    id: str
    kind: ActorKind


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller."""

    id: str
    kind: ActorKind
    grants: tuple[str, ...]
    """Permission patterns such as `catalog.*` or `lifecycle.transitions.approve`."""

    def holds(self, permission: str) -> bool:
        """Return whether one of the grants covers the permission."""
        return any(fnmatchcase(permission, grant) for grant in self.grants)


@dataclass(slots=True)
class Call:
    """One RPC in progress. The chain fills it link by link."""

    method: str
    """Full name, such as `/greenroom.catalog.v1.CatalogService/CreateModel`."""
    request_id: str = ""
    """The caller's `request_id` field; empty when it gave none or the RPC has none."""
    request_hash: bytes = b""
    """SHA-256 of the request, set together with `request_id`."""
    trace_parent: str = ""
    """W3C trace context; empty when the call is not traced."""
    correlation_id: str = ""
    """Identifies this call in logs; returned in the `x-request-id` trailer."""
    principal: Principal | None = None
    """Who calls; None until authentication has run."""
    log_fields: dict[str, str] = field(default_factory=dict)
    """More for this call's log line."""
    metadata: Mapping[str, str | bytes] = field(default_factory=dict, repr=False)
    """What the caller sent beside the request, by lower-case key. Holds the bearer token: never to be logged."""
    deadline: float | None = None
    """When the caller stops waiting, on the clock of `time.monotonic()`; None when it waits for ever."""
    code: str = "OK"
    """Canonical code that the call ended with; set when it has ended."""
    reason: str = ""
    """Error reason that it ended with; empty when it succeeded."""


SYSTEM = Principal(id="system", kind="service", grants=("*",))
"""The actor of work that a service does by itself: expiry, reaping, indexing."""

_current: ContextVar[Call | None] = ContextVar("greenroom_call", default=None)


def current_call() -> Call:
    """Return the call in progress; outside of any call, one by the system itself."""
    return _current.get() or Call(method="", principal=SYSTEM)


def caller() -> Actor:
    """Return who makes the call in progress. Raises RuntimeError before authentication has run."""
    principal = current_call().principal
    if principal is None:
        raise RuntimeError("a use case ran before authentication")
    return Actor(principal.id, principal.kind)


def enter_call(call: Call | None) -> None:
    """Make `call` the one in progress for this task and what it starts; None for no call at all."""
    _current.set(call)

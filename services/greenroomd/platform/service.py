"""How a service meets the process that runs it: what it is given, what it hands back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import grpc.aio
from google.protobuf.message import Message

from greenroomd.platform.changelog.log import FoundRequest
from greenroomd.platform.clock import Clock, SystemClock
from greenroomd.platform.errors import NotFound

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from greenroomd.platform.channels import Channels
    from greenroomd.platform.database import Database


class RequestLog(Protocol):
    """What the interceptor chain asks a service's change log."""

    async def head(self) -> int:
        """Return the last committed revision."""
        ...

    async def find_request(self, principal_id: str, method: str, request_id: str) -> FoundRequest | None:
        """Return what an earlier call of the same principal and RPC with this request id did; None if none did."""
        ...


class FormerNameMet(NotFound):
    """A resource has another name by now. The call is made again: with its request's names of now, or as it is."""


class Redirects(Protocol):
    """What the interceptor chain asks a service whose resources can be renamed."""

    async def current_names(self, names: Collection[str]) -> Mapping[str, str]:
        """Return the name of now for each of the resource names that is of a renamed resource or of one below it.

        Raises:
            NotFound: one of them leads nowhere any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """What the process gives a service to build itself from."""

    config: Any
    """The service's own settings, a frozen dataclass of `greenroomd.config`."""
    database: Database
    redis: Redis | None
    """None when no Redis is configured: watches poll then."""
    channels: Channels
    """Ways to the sibling services, this service's credential included."""
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class BuiltService:
    """A service ready to run."""

    name: str
    """Short name: `catalog`."""
    full_name: str
    """Name of its protobuf service: `greenroom.catalog.v1.CatalogService`."""
    register: Callable[[grpc.aio.Server], None]
    """Adds its servicer to a server."""
    requests: RequestLog
    """Its change log."""
    resource_type: type[Message]
    """Its `<Service>Resource` message, as the log carries it."""
    ready: Callable[[], Awaitable[None]]
    """Raises when a dependency that the service cannot work without does not answer."""
    close: Callable[[], Awaitable[None]]
    """Frees what it holds; called after the last call has ended."""
    redirects: Redirects | None = None
    """Knows its renamed resources; None when nothing can be renamed."""
    background: tuple[Callable[[], Awaitable[None]], ...] = ()
    """Long-running work. Each is started once and started again when it fails."""

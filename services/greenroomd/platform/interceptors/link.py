"""What a link of the chain is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeAlias

from google.protobuf.message import Message
from grpc.aio import ServicerContext

from greenroomd.platform.context import Call, Principal
from greenroomd.platform.interceptors.methods import Method
from greenroomd.platform.service import Redirects, RequestLog

if TYPE_CHECKING:
    from greenroomd.platform.telemetry import Telemetry

Context: TypeAlias = "ServicerContext[Any, Any]"

Proceed = Callable[[Call, Any, Context], Awaitable[Any]]
"""The rest of the chain, the handler at its end. Gives the response, or None when responses were streamed."""

UNREADABLE = object()
"""Stands for a request whose bytes are not a message of the type that the method takes."""


class Authenticator(Protocol):
    """Knows whose token a text is."""

    def authenticate(self, token: str) -> Principal | None:
        """Return the principal; None for a token that is malformed, unknown or revoked."""
        ...


@dataclass(frozen=True, slots=True)
class Wiring:
    """What links are made of, for the methods of one service."""

    identity: Authenticator
    requests: RequestLog
    resource_type: type[Message]
    telemetry: Telemetry
    redirects: Redirects | None = None


class Link(Protocol):
    """One concern of every call. There is one object a method, made when the server starts."""

    name: ClassVar[str]

    @classmethod
    def of(cls, method: Method, wiring: Wiring) -> Self | None:
        """Return the link for a method; None when the method does not need it, which then costs nothing."""
        ...

    async def __call__(self, call: Call, request: Any, context: Context, proceed: Proceed) -> Any:
        """Do this link's part and, unless the call ends here, `await proceed(call, request, context)`.

        `request` is a message, for a method with a request stream an async iterator of messages. The response is a
        message, or None for a method with a response stream.
        """
        ...

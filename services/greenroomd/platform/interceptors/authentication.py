"""Finds out who calls."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from greenroomd.platform.context import Call
from greenroomd.platform.errors import Unauthenticated
from greenroomd.platform.interceptors.link import Authenticator, Context, Proceed, Wiring
from greenroomd.platform.interceptors.methods import Method

HEADER = "authorization"
SCHEME = "bearer "


class Authentication:
    """Takes the bearer token. Whatever is wrong with one is answered alike, so that an answer tells nothing of it."""

    name: ClassVar[str] = "authentication"

    def __init__(self, identity: Authenticator) -> None:
        self._identity = identity

    @classmethod
    def of(cls, method: Method, wiring: Wiring) -> Self:
        return cls(wiring.identity)

    async def __call__(self, call: Call, request: Any, context: Context, proceed: Proceed) -> Any:
        header = call.metadata.get(HEADER)
        if not header:
            raise Unauthenticated(
                "TOKEN_MISSING",
                "the call carries no token; send metadata `authorization: Bearer <token>`"
                " (GREENROOM_TOKEN, or the credentials file that `greenroom up` wrote)",
            )
        principal = None
        if isinstance(header, str) and header[: len(SCHEME)].lower() == SCHEME:
            principal = self._identity.authenticate(header[len(SCHEME) :])
        if principal is None:
            raise Unauthenticated(
                "TOKEN_INVALID",
                "the token is malformed, unknown, revoked or expired; ask an administrator for a new one,"
                " or run `greenroom up` again for a local one",
            )
        call.principal = principal
        return await proceed(call, request, context)

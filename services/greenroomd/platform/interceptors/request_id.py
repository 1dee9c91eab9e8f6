"""Gives the call an id that its log lines share and the caller gets back, and makes it the call in progress."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Self

from greenroomd.platform.context import Call, enter_call
from greenroomd.platform.interceptors.link import Context, Proceed, Wiring
from greenroomd.platform.interceptors.methods import Method

HEADER = "x-request-id"
LONGEST = 128


class RequestId:
    """Takes the caller's `x-request-id` if it is 1 to 128 printable ASCII characters without spaces; else makes one."""

    name: ClassVar[str] = "request_id"

    @classmethod
    def of(cls, method: Method, wiring: Wiring) -> Self:
        return cls()

    async def __call__(self, call: Call, request: Any, context: Context, proceed: Proceed) -> Any:
        given = call.metadata.get(HEADER)
        call.correlation_id = given if isinstance(given, str) and _acceptable(given) else os.urandom(16).hex()
        enter_call(call)
        context.set_trailing_metadata(((HEADER, call.correlation_id),))
        return await proceed(call, request, context)


def _acceptable(given: str) -> bool:
    return 0 < len(given) <= LONGEST and given.isascii() and given.isprintable() and " " not in given

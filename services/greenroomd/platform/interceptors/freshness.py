"""Holds a read to the revision that its caller has seen."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from greenroomd.platform.context import Call
from greenroomd.platform.errors import OutOfRange
from greenroomd.platform.interceptors.link import Context, Proceed, Wiring
from greenroomd.platform.interceptors.methods import Method
from greenroomd.platform.service import RequestLog

FIELD = "min_revision"


class Freshness:
    """Refuses a read whose `min_revision` this service's log has not reached.

    A read that goes on is served from the same database, so it sees at least that revision.
    """

    name: ClassVar[str] = "freshness"

    def __init__(self, log: RequestLog) -> None:
        self._log = log

    @classmethod
    def of(cls, method: Method, wiring: Wiring) -> Self | None:
        if method.request_streaming or FIELD not in method.request.fields_by_name:
            return None
        return cls(wiring.requests)

    async def __call__(self, call: Call, request: Any, context: Context, proceed: Proceed) -> Any:
        if request.min_revision > 0:
            head = await self._log.head()
            if head < request.min_revision:
                raise OutOfRange(
                    "REVISION_AHEAD",
                    f"min_revision is {request.min_revision}, but the log of this service ends at {head}; a revision"
                    " of another service or installation does not belong here",
                    min_revision=str(request.min_revision),
                    revision=str(head),
                )
        return await proceed(call, request, context)

"""Gives a repeated request its first answer.

Optimistic: nothing is looked up while calls succeed. The log refuses a second change of the same principal, RPC and
request id, so a repetition always fails somewhere, at the latest at its append; only then is the log asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, ClassVar, Self

import grpc.aio
from google.protobuf import message_factory
from google.protobuf.message import Message
from sqlalchemy.exc import SQLAlchemyError

from greenroomd.platform.changelog.log import FoundRequest
from greenroomd.platform.context import Call
from greenroomd.platform.errors import GreenroomError, InvalidArgument, conflict
from greenroomd.platform.failures import is_lost_race
from greenroomd.platform.interceptors.link import Context, Proceed, Wiring
from greenroomd.platform.interceptors.methods import Method, ServiceMisdeclaredError
from greenroomd.platform.service import RequestLog

FIELD = "request_id"

Rebuild = Callable[[FoundRequest], Message | None]


class Idempotency:
    """Sets `Call.request_id` and `Call.request_hash`, and answers from the log what was answered before."""

    name: ClassVar[str] = "idempotency"

    def __init__(self, log: RequestLog, rebuild: Rebuild | None) -> None:
        self._log = log
        self._rebuild = rebuild

    @classmethod
    def of(cls, method: Method, wiring: Wiring) -> Self | None:
        if method.request_streaming or FIELD not in method.request.fields_by_name:
            return None
        # A mutation without a revision is not in the log: repeating it is harmless by itself.
        logged = "revision" in method.response.fields_by_name
        return cls(wiring.requests, _rebuild_for(method, wiring.resource_type) if logged else None)

    async def __call__(self, call: Call, request: Any, context: Context, proceed: Proceed) -> Any:
        if not request.request_id:
            return await proceed(call, request, context)
        call.request_id = request.request_id
        call.request_hash = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        try:
            return await proceed(call, request, context)
        except (GreenroomError, SQLAlchemyError, grpc.aio.AioRpcError) as error:
            answer = await self._first_answer(call, error)
            if answer is not None:
                call.log_fields["repeated"] = "true"
                return answer
            if is_lost_race(error):
                raise conflict() from error
            raise

    async def _first_answer(self, call: Call, error: Exception) -> Message | None:
        """Return what the first call with this request id answered; None when there was none.

        Raises:
            InvalidArgument: REQUEST_ID_REUSED, when the first call asked for something else.
        """
        if self._rebuild is None or call.principal is None:
            return None
        try:
            found = await self._log.find_request(call.principal.id, call.method, call.request_id)
        except Exception:
            # The log cannot be asked: what happened to this call itself says more than that.
            raise error from None
        if found is None:
            return None
        if found.request_hash != call.request_hash:
            raise InvalidArgument(
                "REQUEST_ID_REUSED",
                f"request_id {call.request_id} came before with another request to {call.method}; make a new id for"
                " every new request, and repeat one unchanged",
                request_id=call.request_id,
                method=call.method,
            )
        return self._rebuild(found)


def _rebuild_for(method: Method, resource_type: type[Message]) -> Rebuild:
    """Return what makes the response of `method` from a log entry: the resource in field 1, and the revision."""
    response_type = message_factory.GetMessageClass(method.response)
    answered = method.response.fields_by_number.get(1)
    union = resource_type.DESCRIPTOR.oneofs[0]
    members = {member.message_type.full_name for member in union.fields if member.message_type is not None}
    if answered is None or answered.message_type is None or answered.message_type.full_name not in members:
        raise ServiceMisdeclaredError(
            f"field 1 of {method.response.full_name} must be a resource of {resource_type.DESCRIPTOR.full_name}"
            " (one of its oneof members): a repeated request is answered from the log"
        )
    name, type_name = answered.name, answered.message_type.full_name

    def rebuild(found: FoundRequest) -> Message | None:
        entry = resource_type()
        entry.ParseFromString(found.after)
        member = entry.WhichOneof(union.name)
        if member is None or getattr(entry, member).DESCRIPTOR.full_name != type_name:
            return None
        response = response_type(revision=found.revision)
        getattr(response, name).CopyFrom(getattr(entry, member))
        return response

    return rebuild

"""Refuses requests that break the rules in the protos, with every wrong field at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar, Self

from greenroomd.platform.context import Call
from greenroomd.platform.errors import InvalidArgument, field_invalid
from greenroomd.platform.interceptors.link import UNREADABLE, Context, Proceed, Wiring
from greenroomd.platform.interceptors.methods import Method
from greenroomd.platform.validation import Validator


class Validation:
    """Handlers behind this link see valid requests only; each message of a request stream is checked as it is read."""

    name: ClassVar[str] = "validation"

    def __init__(self, method: Method) -> None:
        self._streaming = method.request_streaming
        self._type_name = method.request.full_name
        self._validator = Validator(method.request, in_stream=method.request_streaming)

    @classmethod
    def of(cls, method: Method, wiring: Wiring) -> Self:
        return cls(method)

    async def __call__(self, call: Call, request: Any, context: Context, proceed: Proceed) -> Any:
        if self._streaming:
            return await proceed(call, self._checked(request), context)
        self._check(request)
        return await proceed(call, request, context)

    async def _checked(self, messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for message in messages:
            self._check(message)
            yield message

    def _check(self, message: Any) -> None:
        if message is UNREADABLE:
            raise InvalidArgument(
                "FIELD_INVALID", f"the bytes sent are not a {self._type_name}: protobuf cannot read them as one"
            )
        if violations := self._validator.violations(message):
            raise field_invalid(*violations)

"""Makes a call that met a former name again, with the name of now.

Optimistic like idempotency: names are looked up only after a call has failed in a way that a former name explains. A
failed call has written nothing, so making it again is the whole cure, for reads and for writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from google.protobuf.message import Message

from greenroom.options.v1 import options_pb2
from greenroomd.platform.context import Call
from greenroomd.platform.errors import InvalidArgument, NotFound
from greenroomd.platform.interceptors.link import Context, Proceed, Wiring
from greenroomd.platform.interceptors.methods import Method
from greenroomd.platform.service import FormerNameMet, Redirects

ATTEMPTS = 4
"""Calls at most: each needs a renaming that happened during the one before."""


class Redirection:
    """Gives handlers the names of now. Those in fields that the protos declare as resource names; no other text."""

    name: ClassVar[str] = "redirection"

    def __init__(self, redirects: Redirects) -> None:
        self._redirects = redirects

    @classmethod
    def of(cls, method: Method, wiring: Wiring) -> Self | None:
        if wiring.redirects is None or method.request_streaming or method.response_streaming:
            return None
        return cls(wiring.redirects)

    async def __call__(self, call: Call, request: Any, context: Context, proceed: Proceed) -> Any:
        for _ in range(ATTEMPTS - 1):
            try:
                return await proceed(call, request, context)
            except (NotFound, InvalidArgument) as error:
                current = await self._current(request)
                if not current and not isinstance(error, FormerNameMet):
                    raise
            call.log_fields["redirected"] = "true"
            if current:
                request = renamed(request, current)
        return await proceed(call, request, context)

    async def _current(self, request: Message) -> Mapping[str, str]:
        names = {name for message, field, index in resource_names(request) if (name := read(message, field, index))}
        return await self._redirects.current_names(names) if names else {}


def renamed(request: Message, current: Mapping[str, str]) -> Message:
    """Return a copy of a request with other names."""
    copy = type(request)()
    copy.CopyFrom(request)
    for message, field, index in [*resource_names(copy)]:
        name = current.get(read(message, field, index))
        if name is None:
            continue
        if index is None:
            setattr(message, field, name)
        else:
            getattr(message, field)[index] = name
    return copy


def read(message: Message, field: str, index: int | None) -> str:
    value = getattr(message, field)
    return str(value if index is None else value[index])


def resource_names(message: Message) -> Iterator[tuple[Message, str, int | None]]:
    """Yield where resource names stand in a message: the message that holds one, its field, its index in a list."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        values = value if field.is_repeated else (value,)
        if field.message_type is not None:
            for below in values:
                yield from resource_names(below)
        elif field.GetOptions().Extensions[options_pb2.rules].resource:
            for index in range(len(values)):
                yield message, field.name, index if field.is_repeated else None

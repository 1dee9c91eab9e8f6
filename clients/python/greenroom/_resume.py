"""Going on after a broken stream, and doing many things a few at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from greenroom._connection import Connection
from greenroom.errors import GreenroomError, Unavailable, UploadOffsetMismatch

Item = TypeVar("Item")
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

STALL_SECONDS = 30.0
"""A stream that moves no byte for this long is given up and resumed."""

# What a stream ends with when the other side dies; with a reason it is an answer, without one it is an accident.
_ACCIDENTS = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.CANCELLED,
}


def is_resumable(error: GreenroomError) -> bool:
    """Tell whether going on from the last position may succeed."""
    if isinstance(error, Unavailable | UploadOffsetMismatch):
        return True
    return not error.reason and error.code in _ACCIDENTS


class Patience:
    """Waits longer after each failure in a row, and gives up after `attempts` of them.

    Waits 0.2 s, then doubling to `longest`, each shortened by up to half so that clients do not return in step.
    """

    def __init__(self, attempts: int | None = 8, longest: float = 5.0) -> None:
        self._attempts = attempts
        self._longest = longest
        self._failures = 0

    def progressed(self) -> None:
        """Start counting anew."""
        self._failures = 0

    async def wait_after(self, error: GreenroomError) -> None:
        """Sleep before the next attempt, or raise `error` when it is final or one too many."""
        self._failures += 1
        if not is_resumable(error) or (self._attempts is not None and self._failures >= self._attempts):
            raise error
        delay = min(0.2 * 2 ** min(self._failures - 1, 10), self._longest)
        await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret


async def persist(
    connection: Connection, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request
) -> Response:
    """Make a unary call and repeat it, with the same request id, while a server restarts."""
    patience = Patience()
    while True:
        try:
            return await connection.unary(method, request)
        except Unavailable as error:
            await patience.wait_after(error)


async def for_each(items: Iterable[Item], work: Callable[[Item], Awaitable[None]], at_once: int) -> None:
    """Run `work` for every item, `at_once` at a time. The first failure stops the others and is raised."""
    remaining = iter(items)

    async def worker() -> None:
        for item in remaining:
            await work(item)

    tasks = [asyncio.create_task(worker()) for _ in range(at_once)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

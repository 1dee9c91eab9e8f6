"""What the calls of every service share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar, cast

from greenroom._connection import Connection
from greenroom._naming import AnyTransition, AnyVersion, transition_name, version_name
from greenroom.catalog.v1.catalog_service_pb2 import GetVersionRequest
from greenroom.errors import FieldInvalid, SelectorUnresolved, TransitionNotFound
from greenroom.lifecycle.v1.lifecycle_service_pb2 import ListTransitionsRequest, ResolveRequest
from greenroom.lifecycle.v1.resolution_pb2 import Resolution
from greenroom.lifecycle.v1.transition_pb2 import Transition
from greenroom.names import InvalidName, VersionName

PAGE_SIZE = 200
"""Entries that a list asks for at once."""

Page = TypeVar("Page")


class Calls:
    """A group of calls over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def resolve(self, selector: str, *, min_revision: int = 0) -> Resolution:
        """Return which version, and which bytes, a selector names now.

        Args:
            selector: `demo/digits@production`, `@champion`, `@latest`, `@^1.2`, `@sha256:…` or `demo/digits/7`.
            min_revision: answer from a state at least as new as this revision of the lifecycle log.

        Raises:
            SelectorMalformed: the selector cannot be read; metadata tells where.
            SelectorUnresolved: it names nothing.
        """
        request = ResolveRequest(selector=selector, min_revision=min_revision)
        return (await self._connection.unary(self._connection.lifecycle.Resolve, request)).resolution

    async def _version(self, version: AnyVersion) -> VersionName:
        """Return a version's name; a selector with `@` is resolved."""
        if isinstance(version, str) and "@" in version:
            return resolved_version(await self.resolve(version))
        return version_name(version)

    async def _transition(self, transition: AnyTransition) -> str:
        """Return a transition's name; for a version, the name of its one pending transition."""
        if isinstance(transition, str) and "@" in transition:
            transition = str(await self._version(transition))
        elif not isinstance(transition, str) or transition.startswith("namespaces/") or transition.count("/") < 2:
            return str(transition_name(transition))
        version = version_name(transition)
        pending = await self._pending(version) or await self._pending(await self._current_name(version))
        if not pending:
            raise TransitionNotFound(f"{transition} has no pending transition; `greenroom transitions` lists all")
        if len(pending) > 1:
            raise FieldInvalid(f"{transition} has several pending transitions, name one: {', '.join(pending)}")
        return pending[0]

    async def _pending(self, version: VersionName) -> list[str]:
        request = ListTransitionsRequest(
            parent=str(version.parent.parent), model=str(version.parent), state=Transition.STATE_PENDING
        )
        return [
            found.name
            async for page in pages(self._connection.lifecycle.ListTransitions, request, self._connection)
            for found in page.transitions
            if str(version) in found.versions
        ]

    async def _current_name(self, version: VersionName) -> VersionName:
        """Return the name that a version has since its model was renamed. Raises VersionNotFound."""
        request = GetVersionRequest(name=str(version))
        found = await self._connection.unary(self._connection.catalog.GetVersion, request)
        return VersionName.parse(found.version.name)


def resolved_version(resolution: Resolution) -> VersionName:
    """Return the version that a selector was resolved to. Raises SelectorUnresolved when that is not a version."""
    try:
        return VersionName.parse(resolution.version)
    except InvalidName as error:
        raise SelectorUnresolved(f"the server resolved {resolution.selector!r} to no version: {error}") from error


async def pages(method: Callable[..., Awaitable[Page]], request: Any, connection: Connection) -> AsyncIterator[Page]:
    """Yield every page of a list, each fetched when the one before is used up."""
    request.page_size = request.page_size or PAGE_SIZE
    while True:
        page = cast(Any, await connection.unary(cast(Any, method), request))
        yield cast(Page, page)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token

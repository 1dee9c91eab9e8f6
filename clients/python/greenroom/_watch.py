"""Following the logs of services, across restarts of the server, without a gap and without a duplicate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import grpc

from greenroom._connection import Connection, method_name
from greenroom._resume import Patience
from greenroom.artifact.v1 import watch_pb2 as artifact_watch
from greenroom.catalog.v1 import watch_pb2 as catalog_watch
from greenroom.errors import Cancelled, FieldInvalid, GreenroomError, Unavailable, WatcherTooSlow, WatchTokenMalformed
from greenroom.lifecycle.v1 import watch_pb2 as lifecycle_watch
from greenroom.search.v1 import watch_pb2 as search_watch
from greenroom.type.v1.change_pb2 import ChangeMetadata, WatchFilter

Service = Literal["catalog", "artifact", "lifecycle", "search"]
AnyChange = (
    catalog_watch.CatalogChange
    | artifact_watch.ArtifactChange
    | lifecycle_watch.LifecycleChange
    | search_watch.SearchChange
)

BOOKMARK_SECONDS = 5.0
"""Longest silence of a healthy stream: the server says how far it is at least this often."""

_SILENCES = 4
_TAKEN = "~"
_CONNECT_SECONDS = 5.0
_FIRST_ATTEMPTS = 5
_REQUESTS: Mapping[str, Any] = {
    "catalog": catalog_watch.WatchChangesRequest,
    "artifact": artifact_watch.WatchChangesRequest,
    "lifecycle": lifecycle_watch.WatchChangesRequest,
    "search": search_watch.WatchChangesRequest,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a service's log."""

    service: str
    """Service whose log it is from: `catalog`, `artifact`, `lifecycle` or `search`."""
    message: AnyChange
    """The entry with the resource before and after."""
    resume_token: str
    """Where to resume after this change, for `resume_token` of this client's `watch`."""

    @property
    def metadata(self) -> ChangeMetadata:
        """Position, type, actor and hash."""
        return self.message.metadata

    @property
    def revision(self) -> int:
        """Position in the service's log."""
        return self.message.metadata.revision

    @property
    def type(self) -> str:
        """What happened, such as `transition.completed`."""
        return self.message.metadata.type

    @property
    def resource(self) -> str:
        """Resource name of what changed."""
        return self.message.metadata.resource

    @property
    def actor(self) -> str:
        """Who did it."""
        return self.message.metadata.actor.id

    @property
    def time(self) -> datetime:
        """When it was committed; order comes from `revision`."""
        return self.message.metadata.time.ToDatetime(UTC)


class ChangeStream:
    """Changes of one or several services as they happen; an async iterator and an async context manager.

    Within a service changes come in the order of their revisions, each once. Between services there is no order. When
    the server goes away the stream waits for it as long as it takes, and goes on where it was.
    """

    def __init__(
        self,
        connection: Connection,
        services: Iterable[str],
        watch_filter: WatchFilter,
        from_revision: int | Mapping[str, int] | None,
        resume_token: str | Mapping[str, str] | None,
    ) -> None:
        self._connection = connection
        self._filter = watch_filter
        self._services = tuple(dict.fromkeys(services))
        for service in self._services:
            if service not in _REQUESTS:
                raise FieldInvalid(f"{service!r} is not a service; watch any of {', '.join(_REQUESTS)}")
        if not self._services:
            raise FieldInvalid(f"name at least one service to watch: {', '.join(_REQUESTS)}")
        if isinstance(resume_token, str):
            if len(self._services) != 1:
                raise FieldInvalid("one resume token is of one service; give a token for each service by its name")
            resume_token = {self._services[0]: resume_token}
        if isinstance(from_revision, int):
            from_revision = dict.fromkeys(self._services, from_revision)
        self._from_revision = dict(from_revision or {})
        self.resume_tokens: dict[str, str] = dict(resume_token or {})
        """By service, where to resume after what was taken from this stream so far."""
        self._arrived: asyncio.Queue[tuple[str, str, AnyChange | None] | GreenroomError] = asyncio.Queue(256)
        self._live = {service: asyncio.Event() for service in self._services}
        self._followers: list[asyncio.Task[None]] = []
        self._failure: GreenroomError | None = None

    async def start(self) -> None:
        """Return when every service has accepted the watch: what happens from then on will be delivered.

        Raises:
            GreenroomError: the watch cannot start.
        """
        if not self._followers:
            await self._connection.ready(_CONNECT_SECONDS)
            self._followers = [asyncio.create_task(self._follow(service)) for service in self._services]
        everywhere = asyncio.create_task(self._everywhere())
        try:
            await asyncio.wait({everywhere, *self._followers}, return_when=asyncio.FIRST_COMPLETED)
            if self._failure is not None:
                raise self._failure
        finally:
            everywhere.cancel()

    async def _everywhere(self) -> None:
        for live in self._live.values():
            await live.wait()

    def __aiter__(self) -> ChangeStream:
        return self

    async def __anext__(self) -> Change:
        """Return the next change.

        Raises:
            GreenroomError: a watch ended for good, such as WatchTokenForeign.
        """
        if not self._followers:
            await self.start()
        while True:
            if self._failure is not None and self._arrived.empty():
                raise self._failure
            arrived = await self._arrived.get()
            if isinstance(arrived, GreenroomError):
                raise arrived
            service, token, message = arrived
            self.resume_tokens[service] = token
            if message is not None:
                return Change(service, message, token)

    async def aclose(self) -> None:
        """Stop following."""
        for follower in self._followers:
            follower.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)

    async def __aenter__(self) -> ChangeStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _follow(self, service: str) -> None:
        # The server's token stands for whole messages; behind it, the revision up to which one was taken already.
        token, _, taken_text = self.resume_tokens.get(service, "").partition(_TAKEN)
        if taken_text and not (taken_text.isdecimal() and len(taken_text) <= 18):
            self._end(WatchTokenMalformed(f"the resume token of {service} was changed or cut; give it as it was"))
            return
        taken = int(taken_text or 0)
        patience = Patience(_FIRST_ATTEMPTS)
        try:
            while True:
                try:
                    with self._connection.calling(method_name(_REQUESTS[service]())) as metadata:
                        call = getattr(self._connection, service).WatchChanges(
                            self._request(service, token, taken), metadata=metadata
                        )
                        try:
                            while True:
                                # Not wait_for: on Python 3.11 it can swallow the cancellation of this task.
                                async with asyncio.timeout(BOOKMARK_SECONDS * _SILENCES):
                                    response = await call.read()
                                if response is grpc.aio.EOF:
                                    break
                                if not self._live[service].is_set():
                                    patience = Patience(attempts=None)  # it worked once: wait for it for ever
                                patience.progressed()
                                fresh = [one for one in response.changes if one.metadata.revision > taken]
                                for change in fresh[:-1]:
                                    position = f"{token}{_TAKEN}{change.metadata.revision}"
                                    await self._arrived.put((service, position, change))
                                token = response.resume_token
                                await self._arrived.put((service, token, fresh[-1] if fresh else None))
                                self._live[service].set()
                        finally:
                            call.cancel()
                    raise Unavailable(f"the {service} service ended the watch")
                except TimeoutError:
                    await patience.wait_after(Unavailable(f"the {service} service has gone silent"))
                except WatcherTooSlow as error:
                    await patience.wait_after(Unavailable(error.message))
                except GreenroomError as error:
                    await patience.wait_after(error)
        except GreenroomError as error:
            self._end(error)
        except asyncio.CancelledError:
            self._end(Cancelled("the watch was closed"))
            raise

    def _end(self, error: GreenroomError) -> None:
        """Let the reader know, after what has arrived already."""
        self._failure = self._failure or error
        with suppress(asyncio.QueueFull):  # then the reader is busy, and looks before it waits
            self._arrived.put_nowait(error)

    def _request(self, service: str, token: str, taken: int) -> Any:
        request = _REQUESTS[service](filter=self._filter, bookmark_interval_ms=int(BOOKMARK_SECONDS * 1000))
        if token:
            request.resume_token = token
        elif taken:
            request.after_revision = taken
        elif service in self._from_revision:
            request.after_revision = self._from_revision[service]
        return request

"""The asynchronous client; everything that the SDK can do is here, `_client` only waits for it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from greenroom._catalog_calls import CatalogCalls
from greenroom._connection import DEFAULT_TIMEOUT, Connection
from greenroom._governance_calls import GovernanceCalls
from greenroom._lifecycle_calls import LifecycleCalls
from greenroom._naming import resource_name
from greenroom._search_calls import SearchCalls
from greenroom._transfer_calls import TransferCalls
from greenroom._watch import ChangeStream, Service
from greenroom.credentials import Credentials, discover
from greenroom.type.v1.change_pb2 import WatchFilter


class AsyncClient(CatalogCalls, TransferCalls, LifecycleCalls, GovernanceCalls, SearchCalls):
    """A client of a Greenroom server for asyncio. Make one with `greenroom.connect_async()`.

    Belongs to the event loop that it is made in; use it as an async context manager, or call `aclose()`.

    Args:
        credentials: server and token.
        timeout: seconds that a call may take, its retries included. Watches and transfers have no limit in all, but
            notice when nothing moves.
        ca_certificates: PEM file of the authorities to trust with `https://`.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        ca_certificates: str | os.PathLike[str] | None = None,
    ) -> None:
        authorities = None if ca_certificates is None else Path(ca_certificates)
        super().__init__(Connection(credentials, timeout=timeout, ca_certificates=authorities))

    @property
    def server(self) -> str:
        """Address of the server."""
        return self._connection.server

    @property
    def revisions(self) -> Mapping[str, int]:
        """By service, the newest revision that this client made: what to give as `min_revision` to read it back."""
        return dict(self._connection.revisions)

    def watch(
        self,
        services: Iterable[Service] = ("catalog", "lifecycle"),
        *,
        names: Iterable[str] = (),
        types: Iterable[str] = (),
        from_revision: int | Mapping[str, int] | None = None,
        resume_token: str | Mapping[str, str] | None = None,
    ) -> ChangeStream:
        """Follow changes as they happen; iterate over what is returned.

        Args:
            services: services whose logs to follow.
            names: namespaces, models or versions to hear of, with what belongs to them; unset means all.
            types: change types such as `transition.completed` or `transition.*`; unset means all.
            from_revision: start after this revision, of each service by name or the same for all; 0 replays the logs.
                Unset starts with the next change.
            resume_token: start where an earlier stream stopped, of each service by name: its `resume_tokens`.

        Raises:
            FieldInvalid: a service or a name cannot be read.
        """
        resources = [str(resource_name(name)) for name in names]
        watch_filter = WatchFilter(resources=resources, types=list(types))
        return ChangeStream(self._connection, services, watch_filter, from_revision, resume_token)

    async def aclose(self) -> None:
        """Close the connection; calls under way are cancelled."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def connect_async(
    server: str | None = None,
    token: str | None = None,
    *,
    token_file: str | os.PathLike[str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    ca_certificates: str | os.PathLike[str] | None = None,
) -> AsyncClient:
    """Return a client for asyncio; call it where an event loop runs. Arguments and errors as in `connect`."""
    return AsyncClient(discover(server, token, token_file), timeout=timeout, ca_certificates=ca_certificates)

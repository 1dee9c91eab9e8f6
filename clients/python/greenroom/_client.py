"""The blocking client: every method runs the AsyncClient's method of that name on one private event loop."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from greenroom._async_client import AsyncClient
from greenroom._connection import DEFAULT_TIMEOUT
from greenroom._watch import Change, ChangeStream, Service
from greenroom.credentials import Credentials, discover

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Item = TypeVar("Item")


def _blocking(
    method: Callable[Concatenate[AsyncClient, Arguments], Coroutine[Any, Any, Result]],
) -> Callable[Concatenate[Client, Arguments], Result]:
    """Make a coroutine method wait for its result."""

    @functools.wraps(method)
    def call(self: Client, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return self._loop.run(method(self._client, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[AsyncClient, Arguments], AsyncIterator[Item]],
) -> Callable[Concatenate[Client, Arguments], Iterator[Item]]:
    """Make an async generator method a plain iterator, as lazy as it is."""

    @functools.wraps(method)
    def call(self: Client, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Iterator[Item]:
        items = method(self._client, *args, **kwargs)

        async def following() -> list[Item]:
            return [item] if (item := await anext(items, None)) is not None else []

        while found := self._loop.run(following()):
            yield from found

    return call


class _LoopThread:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="greenroom", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine there and wait for it. An interrupt here cancels it there."""
        if threading.current_thread() is self._thread or not self._thread.is_alive():
            coroutine.close()
            closed = "the client is closed; make a new one with greenroom.connect()"
            inside = "a blocking client cannot be used in its own callbacks; use greenroom.connect_async()"
            raise RuntimeError(inside if self._thread.is_alive() else closed)
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what runs, run `last`, and end the thread. Does nothing the second time."""
        if not self._thread.is_alive():
            return

        async def finish() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await last()
            await self._loop.shutdown_asyncgens()
            await self._loop.shutdown_default_executor()

        asyncio.run_coroutine_threadsafe(finish(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class ChangeIterator:
    """Changes of one or several services as they happen; an iterator and a context manager."""

    def __init__(self, loop: _LoopThread, stream: ChangeStream) -> None:
        self._loop = loop
        self._stream = stream

    @property
    def resume_tokens(self) -> dict[str, str]:
        """By service, where to resume after what was taken from this iterator so far."""
        return dict(self._stream.resume_tokens)

    def start(self) -> None:
        """Return when every service has accepted the watch; see `ChangeStream.start`."""
        self._loop.run(self._stream.start())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        """Wait for the next change. Raises GreenroomError when a watch ended for good."""
        return self._loop.run(self._stream.__anext__())

    def close(self) -> None:
        """Stop following."""
        self._loop.run(self._stream.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Client:
    """A client of a Greenroom server. Make one with `greenroom.connect()`.

    Every method is the AsyncClient's method of the same name and waits for its result. Usable from several threads;
    use it as a context manager, or call `close()`.

    Args:
        credentials: server and token.
        timeout: seconds that a call may take, its retries included.
        ca_certificates: PEM file of the authorities to trust with `https://`.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        ca_certificates: str | os.PathLike[str] | None = None,
    ) -> None:
        async def make() -> AsyncClient:
            return AsyncClient(credentials, timeout=timeout, ca_certificates=ca_certificates)

        self._loop = _LoopThread()
        try:
            self._client = self._loop.run(make())
        except BaseException:
            self._loop.stop(_nothing)
            raise
        # A client that nobody closes is closed with the interpreter, before gRPC is.
        self._close = weakref.finalize(self, self._loop.stop, self._client.aclose)

    create_namespace = _blocking(AsyncClient.create_namespace)
    get_namespace = _blocking(AsyncClient.get_namespace)
    list_namespaces = _iterating(AsyncClient.list_namespaces)
    create_model = _blocking(AsyncClient.create_model)
    get_model = _blocking(AsyncClient.get_model)
    list_models = _iterating(AsyncClient.list_models)
    update_model = _blocking(AsyncClient.update_model)
    rename_model = _blocking(AsyncClient.rename_model)
    get_version = _blocking(AsyncClient.get_version)
    list_versions = _iterating(AsyncClient.list_versions)
    list_versions_with_state = _iterating(AsyncClient.list_versions_with_state)
    lookup_version = _blocking(AsyncClient.lookup_version)
    update_version = _blocking(AsyncClient.update_version)
    delete_version = _blocking(AsyncClient.delete_version)
    show = _blocking(AsyncClient.show)

    push = _blocking(AsyncClient.push)
    pull = _blocking(AsyncClient.pull)
    get_artifact = _blocking(AsyncClient.get_artifact)
    verify_blobs = _blocking(AsyncClient.verify_blobs)

    resolve = _blocking(AsyncClient.resolve)
    promote = _blocking(AsyncClient.promote)
    request_transition = _blocking(AsyncClient.request_transition)
    get_transition = _blocking(AsyncClient.get_transition)
    list_transitions = _iterating(AsyncClient.list_transitions)
    approve = _blocking(AsyncClient.approve)
    reject = _blocking(AsyncClient.reject)
    cancel = _blocking(AsyncClient.cancel)
    rollback = _blocking(AsyncClient.rollback)
    report_check = _blocking(AsyncClient.report_check)
    list_checks = _blocking(AsyncClient.list_checks)
    get_model_state = _blocking(AsyncClient.get_model_state)
    history = _blocking(AsyncClient.history)

    get_stage_graph = _blocking(AsyncClient.get_stage_graph)
    set_stage_graph = _blocking(AsyncClient.set_stage_graph)
    get_policy = _blocking(AsyncClient.get_policy)
    list_policies = _blocking(AsyncClient.list_policies)
    set_policy = _blocking(AsyncClient.set_policy)
    set_alias = _blocking(AsyncClient.set_alias)
    delete_alias = _blocking(AsyncClient.delete_alias)
    list_aliases = _blocking(AsyncClient.list_aliases)
    report_deployment = _blocking(AsyncClient.report_deployment)
    list_deployments = _blocking(AsyncClient.list_deployments)

    search = _iterating(AsyncClient.search)
    get_index = _blocking(AsyncClient.get_index)
    rebuild_index = _blocking(AsyncClient.rebuild_index)

    @property
    def server(self) -> str:
        """Address of the server."""
        return self._client.server

    @property
    def revisions(self) -> Mapping[str, int]:
        """By service, the newest revision that this client made."""
        return self._client.revisions

    def watch(
        self,
        services: Iterable[Service] = ("catalog", "lifecycle"),
        *,
        names: Iterable[str] = (),
        types: Iterable[str] = (),
        from_revision: int | Mapping[str, int] | None = None,
        resume_token: str | Mapping[str, str] | None = None,
    ) -> ChangeIterator:
        """Follow changes as they happen; iterate over what is returned. Arguments as in `AsyncClient.watch`."""

        async def make() -> ChangeStream:
            return self._client.watch(
                services, names=names, types=types, from_revision=from_revision, resume_token=resume_token
            )

        return ChangeIterator(self._loop, self._loop.run(make()))

    def close(self) -> None:
        """Close the connection; calls under way are cancelled. Does nothing the second time."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _nothing() -> None:
    pass


def connect(
    server: str | None = None,
    token: str | None = None,
    *,
    token_file: str | os.PathLike[str] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    ca_certificates: str | os.PathLike[str] | None = None,
) -> Client:
    """Return a client. Connecting happens with the first call.

    Args:
        server: address; unset: `GREENROOM_SERVER`, then what `greenroom up` wrote.
        token: bearer token; unset: `GREENROOM_TOKEN`, `GREENROOM_TOKEN_FILE`, then what `greenroom up` wrote.
        token_file: file that holds the token.
        timeout: seconds that a call may take, its retries included.
        ca_certificates: PEM file of the authorities to trust with `https://`.

    Raises:
        CredentialsMissing: neither is known.
        CredentialsUnsafe: a file that holds a token can be read by other users.
    """
    return Client(discover(server, token, token_file), timeout=timeout, ca_certificates=ca_certificates)

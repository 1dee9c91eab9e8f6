"""The seam over grpc.aio: what turns built services into a listening process, and lets it end well.

No other module knows which gRPC server runs; another implementation would replace this file alone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import grpc.aio
import structlog
from grpc_reflection.v1alpha import reflection

from greenroomd.platform.health import HealthMonitor
from greenroomd.platform.interceptors import Chain
from greenroomd.platform.interceptors.link import Authenticator
from greenroomd.platform.service import BuiltService
from greenroomd.platform.supervision import Supervisor
from greenroomd.platform.telemetry import OFF, Telemetry

logger = structlog.get_logger()


class ServerStartError(Exception):
    """The server cannot start as it is configured. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How a server listens."""

    host: str = "127.0.0.1"
    port: int = 7766
    """0 lets the system choose a free one."""
    allow_plaintext_off_loopback: bool = False
    """Whether tokens may travel unencrypted over a network, for a server behind a proxy that ends TLS."""
    max_concurrent_streams: int = 1000
    """Calls in progress on one connection. High, because each watch is one for its whole life."""
    max_message_bytes: int = 4 * 1024 * 1024
    grace_seconds: float = 10.0
    """How long calls in progress may take to end when the server stops."""


class GreenroomServer:
    """A gRPC server with the interceptor chain, health and reflection.

        server = GreenroomServer(settings, principals)
        address = server.bind()          # services can be built now that the address is known
        await server.start(services)
        await server.run_until_signal()  # stops it too

    Args:
        settings: how it listens.
        identity: knows whose token a text is.
        telemetry: what `telemetry.configure` gave.
    """

    def __init__(self, settings: ServerSettings, identity: Authenticator, telemetry: Telemetry = OFF) -> None:
        self._settings = settings
        self._chain = Chain(identity, telemetry)
        self._services: tuple[BuiltService, ...] = ()
        self._health = HealthMonitor()
        self._supervisor = Supervisor(telemetry)
        self._server = grpc.aio.server(interceptors=[self._chain], options=_options(settings))
        self._stopping: asyncio.Task[None] | None = None

    @property
    def chain(self) -> Chain:
        """The interceptor that every call passes."""
        return self._chain

    def bind(self) -> str:
        """Take the port and return the address as `host:port`. Calls wait until `start`.

        Raises:
            ServerStartError: the port is taken, or the host is not loopback and that was not allowed.
        """
        host, port = self._settings.host, self._settings.port
        if not is_loopback(host) and not self._settings.allow_plaintext_off_loopback:
            raise ServerStartError(
                f"refusing to listen on {host}: tokens would cross the network unencrypted. Listen on 127.0.0.1, or"
                " put a proxy that ends TLS in front and say so with --allow-plaintext-off-loopback"
            )
        shown = f"[{host}]" if ":" in host else host
        try:
            bound = self._server.add_insecure_port(f"{shown}:{port}")
        except RuntimeError:
            raise ServerStartError(
                f"cannot listen on {shown}:{port}: the port is taken by another program, or the address is not this"
                " machine's; stop the other program or choose another port"
            ) from None
        return f"{shown}:{bound}"

    async def start(self, services: Sequence[BuiltService]) -> None:
        """Serve. Health says NOT_SERVING for a service whose dependencies do not answer yet.

        Raises:
            ServiceMisdeclaredError: an RPC lacks an option that the chain needs.
        """
        self._services = tuple(services)
        for service in services:
            self._chain.add(service)
        for service in services:
            service.register(self._server)
        self._health.register(self._server)
        names = [service.full_name for service in services]
        reflection.enable_server_reflection([*names, "grpc.health.v1.Health", reflection.SERVICE_NAME], self._server)
        await self._supervisor.once(lambda: self._health.check(services))
        await self._server.start()
        for service in services:
            for number, work in enumerate(service.background):
                self._supervisor.start(f"{service.name}-{getattr(work, '__qualname__', number)}", work)
        self._supervisor.start("health", lambda: self._health.run(services))
        logger.info("serving", services=[service.name for service in services])

    async def run_until_signal(self) -> None:
        """Serve until SIGTERM or SIGINT, then stop. A second signal cuts what is still in progress."""
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()
        again = asyncio.Event()

        def heard() -> None:
            (again if asked.is_set() else asked).set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, heard)
        try:
            await asked.wait()
            stopping = asyncio.create_task(self.stop())
            impatience = asyncio.create_task(again.wait())
            await asyncio.wait((stopping, impatience), return_when=asyncio.FIRST_COMPLETED)
            impatience.cancel()
            if not stopping.done():
                await self._server.stop(0)
            await stopping
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def stop(self) -> None:
        """Drain and end: health says NOT_SERVING, watches are told to go elsewhere, other calls get their grace."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await self._stopping

    async def _stop(self) -> None:
        logger.info("stopping", grace_seconds=self._settings.grace_seconds)
        await self._health.drain()
        self._chain.end_watches()
        await self._server.stop(self._settings.grace_seconds)
        await self._supervisor.stop()
        for service in self._services:
            try:
                await service.close()
            except Exception:
                logger.exception("a service did not close cleanly", service=service.name)
        logger.info("stopped")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        # Without it a second server would share the port silently.
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", settings.max_concurrent_streams),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # Nobody needs compressed requests, and a few kilobytes could unpack to gigabytes.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        # A subscriber whose machine vanished is noticed within 80 s; clients may ping every 10 s, also when idle.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
    ]

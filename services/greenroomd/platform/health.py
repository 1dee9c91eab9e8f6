"""grpc.health.v1: one entry a service, and the empty name for all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from greenroomd.platform.service import BuiltService

logger = structlog.get_logger()

INTERVAL = 2.0
"""Seconds between looks at the dependencies of each service."""

PATIENCE = 2.0
"""Seconds a dependency has to answer."""

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class HealthMonitor:
    """Tells probes which services can work, by asking each service's `ready`."""

    def __init__(self, *, interval: float = INTERVAL, patience: float = PATIENCE) -> None:
        self._servicer = health.aio.HealthServicer()
        self._interval = interval
        self._patience = patience
        self._ready: dict[str, bool] = {}

    def register(self, server: grpc.aio.Server) -> None:
        """Add the health service to a server."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def run(self, services: Sequence[BuiltService]) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.check(services)

    async def check(self, services: Sequence[BuiltService]) -> None:
        """Ask every service once and publish what they say."""
        answers = await asyncio.gather(*(self._ask(service) for service in services))
        for service, ready in zip(services, answers, strict=True):
            await self._servicer.set(service.full_name, SERVING if ready else NOT_SERVING)
        await self._servicer.set("", SERVING if all(answers) else NOT_SERVING)

    async def drain(self) -> None:
        """Say NOT_SERVING for everything, from now on."""
        await self._servicer.enter_graceful_shutdown()

    async def _ask(self, service: BuiltService) -> bool:
        try:
            async with asyncio.timeout(self._patience):
                await service.ready()
        except Exception as error:
            if self._ready.get(service.name, True):
                logger.warning("a service is not ready", service=service.name, error=repr(error))
            self._ready[service.name] = False
        else:
            if self._ready.get(service.name) is False:
                logger.info("a service is ready again", service=service.name)
            self._ready[service.name] = True
        return self._ready[service.name]

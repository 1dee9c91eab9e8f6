"""One process with some or all of the services: what `serve`, `up` and the tests run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from greenroomd.config import Config
from greenroomd.platform.channels import Channels
from greenroomd.platform.clock import Clock, SystemClock
from greenroomd.platform.database import Database
from greenroomd.platform.identity import IdentityError, Principals
from greenroomd.platform.migrations import upgrade
from greenroomd.platform.server import GreenroomServer, ServerSettings
from greenroomd.platform.service import ServiceContext
from greenroomd.platform.telemetry import OFF, Telemetry
from greenroomd.targets import builder, sibling_addresses


@dataclass(frozen=True, slots=True)
class Application:
    """Services that listen on one port, and what must be closed after them."""

    server: GreenroomServer
    address: str
    """`host:port` that they listen on."""
    channels: Channels
    redis: Redis | None

    async def stop(self) -> None:
        """Drain and end. Safe to call twice."""
        await self.server.stop()
        await self.channels.close()
        if self.redis is not None:
            await self.redis.aclose()


async def start(
    config: Config,
    services: Sequence[str],
    settings: ServerSettings,
    *,
    telemetry: Telemetry = OFF,
    clock: Clock | None = None,
) -> Application:
    """Start services in this process and return when they answer. The schemas must be up to date.

    Raises:
        ServerStartError, IdentityError, TargetError: with what to do about it.
    """
    server = GreenroomServer(settings, Principals(config.principals_file), telemetry)
    address = server.bind()
    addresses = sibling_addresses(tuple(services), address, config.addresses)
    channels = Channels(addresses, ServiceToken(config.service_token_file), telemetry)
    redis = None if config.redis_url is None else Redis.from_url(config.redis_url)
    if redis is not None:
        telemetry.instrument_redis(redis)
    built = []
    for service in services:
        database = Database(config.database_urls[service], service)
        telemetry.instrument_engine(database.engine)
        context = ServiceContext(config, database, redis, channels, clock or SystemClock())
        built.append(builder(service)(context))
    await server.start(built)
    return Application(server, address, channels, redis)


async def migrate(config: Config, services: Sequence[str]) -> None:
    """Bring the services' schemas up to date."""
    for service in services:
        await upgrade(config.database_urls[service], service)


class ServiceToken:
    """The token that this process shows its siblings, read once.

    Raises:
        IdentityError: there is no such file.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._token = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise IdentityError(
                f"cannot read the services' own token: {error}. `greenroomd token create services --kind service"
                f" --role service --out {path}` makes one"
            ) from None

    def __call__(self) -> str:
        return self._token

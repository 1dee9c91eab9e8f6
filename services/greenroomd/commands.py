"""What each command of `greenroomd` does."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from greenroomd import application, up
from greenroomd.config import Config, ConfigError
from greenroomd.embedded import EmbeddedError, default_data_folder
from greenroomd.platform.allocator import reuse_large_buffers
from greenroomd.platform.identity import IdentityError, create_principal, revoke_principal
from greenroomd.platform.interceptors import ServiceMisdeclaredError
from greenroomd.platform.logs import configure_logs
from greenroomd.platform.private_file import write_private
from greenroomd.platform.server import ServerSettings, ServerStartError
from greenroomd.platform.telemetry import Telemetry, TelemetryConfigError, TelemetrySettings, configure
from greenroomd.targets import TargetError, parse_target

EXPECTED_ERRORS = (
    ConfigError,
    EmbeddedError,
    IdentityError,
    ServerStartError,
    ServiceMisdeclaredError,
    TargetError,
    TelemetryConfigError,
)
"""Errors whose message is all that a person needs."""


def run_up(options: argparse.Namespace) -> None:
    reuse_large_buffers()
    # A person is at the terminal: only what needs attention, unless asked otherwise.
    configure_logs(os.environ.get("GREENROOM_LOG_LEVEL", "WARNING"))
    up.run((options.data or default_data_folder()).absolute(), _settings(options), _telemetry())


def run_serve(options: argparse.Namespace) -> None:
    reuse_large_buffers()
    config = Config.from_environment(os.environ)
    services = parse_target(options.target)
    configure_logs(config.log_level)

    async def serve() -> None:
        if options.migrate:
            await application.migrate(config, services)
        telemetry = _telemetry()
        running = await application.start(config, services, _settings(options), telemetry=telemetry)
        _say(f"serving {', '.join(services)} on {running.address}")
        try:
            await running.server.run_until_signal()
        finally:
            await running.stop()
            telemetry.shutdown()

    asyncio.run(serve())


def run_migrate(options: argparse.Namespace) -> None:
    config = Config.from_environment(os.environ)
    services = parse_target(options.target)
    asyncio.run(application.migrate(config, services))
    _say(f"schemas of {', '.join(services)} are up to date")


def run_check_config(options: argparse.Namespace) -> None:
    for name, value in Config.from_environment(os.environ).describe().items():
        _say(f"{name:22} {value}")


def run_token(options: argparse.Namespace) -> None:
    path = _principals_file(options)
    if options.action == "revoke":
        revoke_principal(path, options.id)
        _say(f"{options.id} can no longer call")
        return
    token = create_principal(path, options.id, kind=options.kind, roles=options.role)
    write_private(options.out, token + "\n")
    _say(f"token of {options.id} ({', '.join(options.role)}) is in {options.out}; use it with GREENROOM_TOKEN_FILE")


COMMANDS = {
    "up": run_up,
    "serve": run_serve,
    "migrate": run_migrate,
    "check-config": run_check_config,
    "token": run_token,
}


def _settings(options: argparse.Namespace) -> ServerSettings:
    return ServerSettings(
        host=options.host, port=options.port, allow_plaintext_off_loopback=options.allow_plaintext_off_loopback
    )


def _telemetry() -> Telemetry:
    return configure(TelemetrySettings.from_environment(os.environ))


def _principals_file(options: argparse.Namespace) -> Path:
    if options.principals is not None:
        return Path(options.principals)
    if options.data is not None:
        return Path(options.data) / "principals.json"
    if named := os.environ.get("GREENROOM_PRINCIPALS_FILE"):
        return Path(named)
    return default_data_folder() / "principals.json"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

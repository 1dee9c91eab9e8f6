"""`greenroom up`: the embedded default. Databases and services from one data folder, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from greenroom.credentials import credentials_path, read_credentials_file
from greenroomd import application
from greenroomd.config import SERVICES, Config
from greenroomd.embedded import EmbeddedError, EmbeddedStack, Endpoints
from greenroomd.platform.identity import create_principal
from greenroomd.platform.private_file import write_private
from greenroomd.platform.server import ServerSettings
from greenroomd.platform.telemetry import Telemetry

ADMIN = "admin"
"""Principal that `up` creates for the person who runs it."""

SERVICES_PRINCIPAL = "services"
"""Principal that the services are to each other."""

LOOK_SECONDS = 1.0
"""How often the databases are looked at."""


def run(data_folder: Path, settings: ServerSettings, telemetry: Telemetry) -> None:
    """Start everything, say where it is, and stay until SIGINT or SIGTERM; then stop everything.

    Raises:
        EmbeddedError, ServerStartError, IdentityError: nothing is left running.
    """
    started = time.monotonic()
    with EmbeddedStack(data_folder) as stack:
        config = local_config(data_folder, stack.endpoints)
        asyncio.run(_serve(stack, config, settings, telemetry, data_folder, started))


def local_config(data_folder: Path, endpoints: Endpoints) -> Config:
    """Return the configuration of an installation that lives in one folder; creates its principals when it has none."""
    principals = data_folder / "principals.json"
    service_token = data_folder / "services.token"
    if not service_token.exists():
        token = create_principal(principals, SERVICES_PRINCIPAL, kind="service", roles=["service"])
        write_private(service_token, token + "\n")
    blobs = data_folder / "blobs"
    blobs.mkdir(mode=0o700, exist_ok=True)
    return Config(
        database_urls=dict.fromkeys(SERVICES, endpoints.database_url),
        redis_url=endpoints.redis_url,
        blob_store=blobs,
        principals_file=principals,
        service_token_file=service_token,
        addresses={},
    )


def admin_token(data_folder: Path) -> str:
    """Return the token of the person who runs this installation, made on the first call."""
    kept = data_folder / "credentials.json"
    if kept.exists():
        return read_credentials_file(kept).token
    return create_principal(data_folder / "principals.json", ADMIN, roles=["admin"])


def write_credentials(data_folder: Path, address: str) -> Path:
    """Write address and token where the CLI and the SDK look, and into the data folder; return the former."""
    content = json.dumps({"server": address, "token": admin_token(data_folder)}, indent=2) + "\n"
    found_by_clients = credentials_path()
    found_by_clients.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in (data_folder / "credentials.json", found_by_clients):
        write_private(path, content)
    return found_by_clients


async def _serve(
    stack: EmbeddedStack,
    config: Config,
    settings: ServerSettings,
    telemetry: Telemetry,
    data_folder: Path,
    started: float,
) -> None:
    await application.migrate(config, SERVICES)
    running = await application.start(config, SERVICES, settings, telemetry=telemetry)
    care = asyncio.create_task(_care_for(stack))
    try:
        credentials = write_credentials(data_folder, running.address)
        announce(running.address, data_folder, credentials, time.monotonic() - started)
        await running.server.run_until_signal()
    finally:
        care.cancel()
        await running.stop()
    say("Stopped.")


async def _care_for(stack: EmbeddedStack) -> None:
    """Start a database again when it has ended by itself; what was acknowledged is in its files."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        reason = stack.died()
        if reason is None:
            continue
        say(f"{reason}\nStarting it again.")
        try:
            await asyncio.to_thread(stack.start)
        except EmbeddedError as error:
            say(f"It could not be started again: {error}")
            os.kill(os.getpid(), 15)
            return


def announce(address: str, data_folder: Path, credentials: Path, seconds: float) -> None:
    say(
        f"Greenroom is up after {seconds:.1f} s.\n"
        f"  address      {address}\n"
        f"  data folder  {data_folder}\n"
        f"  credentials  {credentials}  (greenroom and greenroom.connect() find them by themselves)\n"
        "Press Ctrl-C to stop."
    )


def say(text: str) -> None:
    """Write to the person at the terminal; logs go to stderr."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

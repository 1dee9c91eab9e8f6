"""The command line as scripts and people use it: a process of its own, against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.server import RunningServer

GREENROOM = Path(sys.executable).parent / "greenroom"


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document that it printed."""
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the table that it printed."""
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def error(self) -> Any:
        """The error that it printed as a JSON document."""
        return json.loads(self.err)["error"]


def environment(**variables: str) -> dict[str, str]:
    """Return this process's variables without any of Greenroom's, and these."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")} | variables


async def start(variables: Mapping[str, str], *arguments: str | Path) -> asyncio.subprocess.Process:
    """Start a command."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(GREENROOM, *arguments, env=variables, stdout=pipe, stderr=pipe)


async def ended(process: asyncio.subprocess.Process, stdin: str | None = None) -> Done:
    """Wait for a command's end."""
    out, err = await process.communicate(None if stdin is None else stdin.encode())
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


@dataclass(frozen=True)
class CommandLine:
    """The `greenroom` of one principal of a server."""

    variables: dict[str, str]

    @classmethod
    def of(cls, server: RunningServer, principal: str = "admin", **more: str) -> CommandLine:
        where = {"GREENROOM_SERVER": server.address, "GREENROOM_TOKEN": server.token(principal)}
        return cls(environment(**where, **more))

    async def start(self, *arguments: str | Path) -> asyncio.subprocess.Process:
        return await start(self.variables, *arguments)

    async def run(self, *arguments: str | Path) -> Done:
        """Run a command to its end, whatever that is."""
        return await ended(await self.start(*arguments))

    async def ok(self, *arguments: str | Path) -> Done:
        """Run a command that must succeed."""
        done = await self.run(*arguments)
        assert done.code == 0, f"greenroom {' '.join(map(str, arguments))} exited with {done.code}: {done.err}"
        return done

    async def json(self, *arguments: str | Path) -> Any:
        """Run a command that must succeed, with `--json`; returns the document."""
        done = await self.ok(*arguments, "--json")
        assert not done.err
        return done.document

    async def refused(self, code: int, *arguments: str | Path) -> Any:
        """Run a command that must exit with this code, with `--json`; returns the error document."""
        done = await self.run(*arguments, "--json")
        assert done.code == code, f"greenroom {' '.join(map(str, arguments))} exited with {done.code}: {done.err}"
        assert not done.out
        return done.error

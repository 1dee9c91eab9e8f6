"""Clients of the two servers, processes that own a data folder, and facts about processes."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import redis

from greenroomd.embedded import Endpoints

_OWNER = Path(__file__).with_name("owner.py")

as_root = os.geteuid() == 0


def query(endpoints: Endpoints, *statements: str) -> list[Any]:
    """Run statements on one connection; the first value of each one's first row, or None."""

    async def run() -> list[Any]:
        connection = await asyncpg.connect(endpoints.database_url.replace("+asyncpg", ""), timeout=10)
        try:
            return [await connection.fetchval(statement) for statement in statements]
        finally:
            await connection.close()

    return asyncio.run(run())


@contextmanager
def valkey(endpoints: Endpoints) -> Iterator["redis.Redis"]:
    client = redis.Redis.from_url(endpoints.redis_url)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def owner(folder: Path, *options: str, python: str = sys.executable, **popen: Any) -> Iterator["Owner"]:
    """A process of its own that starts a stack on `folder`, and is killed at the end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [python, str(_OWNER), str(folder), *options]
    pipe = subprocess.PIPE
    environment |= popen.pop("env", {})
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, **popen)
    with process:
        try:
            yield Owner(process)
        finally:
            process.kill()


class Owner:
    """A running `owner.py`."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process

    def started(self) -> "Started":
        """Wait until its stack runs. Fails the test with what it wrote when it ends instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.refusal())
        facts = json.loads(line)
        return Started(Endpoints(**facts["endpoints"]), facts["pids"])

    def refusal(self) -> str:
        """Wait until it ends and return what it wrote to stderr."""
        return self.process.communicate(timeout=60)[1].decode()

    def stop(self) -> None:
        """Let it stop its stack and end."""
        _, errors = self.process.communicate(b"stop\n", timeout=60)
        assert self.process.returncode == 0, errors.decode()


class Started:
    """Where an owner's servers are, and their process ids."""

    def __init__(self, endpoints: Endpoints, pids: list[int]) -> None:
        self.endpoints = endpoints
        self.pids = pids


def eventually(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} seconds: {what}"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def working_in(folder: Path) -> list[int]:
    """The processes whose working directory is below `folder`: all of PostgreSQL's and Valkey's are."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            here = (entry / "cwd").readlink()
        except OSError:
            continue
        if here.is_relative_to(folder):
            found.append(int(entry.name))
    return found

"""A Greenroom of an example's own: `greenroom up` on a folder, its principals, its subscribers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

BIN = Path(sys.executable).parent


class Installation:
    """A `greenroom up` on a folder of the demo's own, with its own credentials file."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")},
            "GREENROOM_CREDENTIALS": str(folder / "credentials.json"),
        }
        self._log = (folder / "greenroom-up.log").open("wb")
        self._process = subprocess.Popen(
            [BIN / "greenroom", "up", "--data", self.data, "--port", "0"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def wait_until_up(self) -> str:
        """Return the address once it is printed."""
        for line in output_of(self._process):
            if line.split()[:1] == ["address"]:
                return line.split()[1]
        sys.exit(f"greenroom up ended early; what it said is in {self._log.name}")

    def stop(self) -> None:
        """End it as Ctrl-C does, and whatever it started."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
        self._log.close()

    def principal(self, id: str, role: str) -> dict[str, str]:
        """Create a principal and return the environment in which the tools act as it."""
        token = self.data.parent / f"{id}.token"
        create = ["token", "create", id, "--data", self.data, "--role", role, "--out", token]
        subprocess.run([BIN / "greenroomd", *create], check=True, stdout=subprocess.DEVNULL, env=self.environment)
        return {**self.environment, "GREENROOM_TOKEN_FILE": str(token)}


def run(environment: dict[str, str], *command: str | Path) -> Any:
    """Run a greenroom command in a process of its own and return the JSON document that it prints."""
    done = subprocess.run([BIN / "greenroom", *command, "--json"], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"greenroom {' '.join(map(str, command))} exited with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


class Subscriber:
    """`greenroom watch` in another process, noting what arrives and when."""

    def __init__(self, environment: dict[str, str], model: str) -> None:
        command = [BIN / "greenroom", "watch", model, "--type", "transition.completed", "--json"]
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.received: list[tuple[float, dict[str, Any]]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in output_of(self._process):
            self.received.append((time.time(), json.loads(line)))

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 20
        while len(self.received) < count:
            if time.monotonic() > deadline:
                sys.exit(f"the subscriber received {len(self.received)} of {count} changes in 20 s")
            time.sleep(0.01)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(10)


def output_of(process: subprocess.Popen[str]) -> IO[str]:
    """Return what a process prints; it was started with a pipe."""
    if process.stdout is None:
        raise ValueError("the process was started without a pipe for its output")
    return process.stdout


def own_folder() -> Path:
    """Return an empty folder, always the same one, which nobody else has prepared."""
    folder = Path(tempfile.gettempdir()) / f"greenroom-demo-{os.geteuid()}"
    if folder.is_symlink() or (folder.exists() and folder.stat().st_uid != os.geteuid()):
        sys.exit(f"{folder} belongs to somebody else; remove it, or set TMPDIR to another folder")
    shutil.rmtree(folder, ignore_errors=True)
    # As root the databases run as another user, who has to pass through.
    folder.mkdir(mode=stat.S_IRWXU | (stat.S_IXGRP | stat.S_IXOTH if os.geteuid() == 0 else 0))
    return folder

"""Servers that an earlier, killed owner of the data folder left running.

On Linux they are ending already when the next start meets them, because their owner's death was signalled to
them; elsewhere they run on until somebody ends them. Either way the folder's lock is held here, so nobody
else wants them.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from greenroomd.embedded.errors import EmbeddedError

_PROC = Path("/proc")  # Linux has it; elsewhere `ps` answers


def recorded_pid(pid_file: Path) -> int | None:
    """The process id on the first line of a server's pid file; None when there is no file or no id in it."""
    try:
        first = pid_file.read_text(errors="replace").partition("\n")[0]
        pid = int(first)
    except (FileNotFoundError, ValueError):
        return None
    return pid if pid > 1 else None


def end_orphan(title: str, pid: int | None, argument: str, steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """End process `pid` if it is the server that was started with `argument` on its command line.

    Any other process with that id, a zombie among them, is left alone. Sends the signal of each step in turn
    until the process has gone, giving each its seconds. Raises EmbeddedError when it outlives all steps.
    """
    if pid is None or not _has_argument(pid, argument):
        return
    for number, seconds in steps:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not _has_argument(pid, argument):
                return
            time.sleep(0.01)
    raise EmbeddedError(
        f"{title} still runs as process {pid}, left by an earlier Greenroom, and does not end. "
        f"End it (kill -9 {pid}) and start again."
    )


def _has_argument(pid: int, argument: str) -> bool:
    if (_PROC / "self").exists():
        try:
            # Empty for a zombie: it has no memory left, and no open files.
            return argument.encode() in (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return False
    listing = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)
    return argument.encode() in listing.stdout

"""One supervised server process, its log, and short programs run to their end."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from greenroomd.embedded.errors import EmbeddedError
from greenroomd.embedded.identity import Account
from greenroomd.embedded.spawn import spawn

_LOG_LIMIT_BYTES = 8 * 1024 * 1024
_TAIL_BYTES = 2048
_TAIL_LINES = 12
_POLL_SECONDS = 0.005


class Child:
    """A server this process started and must stop. Not safe for use from two threads at once."""

    def __init__(self, title: str, log: Path) -> None:
        """`title` names the server in messages; its output is appended to `log`."""
        self._title = title
        self._log = log
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process last launched, running or not. Raises EmbeddedError before the first launch."""
        if self._process is None:
            raise EmbeddedError(f"{self._title} was never started. Call start() first.")
        return self._process

    @property
    def running(self) -> bool:
        """Whether the process is alive now."""
        return self._process is not None and self._process.poll() is None

    def launch(self, command: Sequence[str | Path], account: Account, death_signal: signal.Signals) -> None:
        """Start the server; returns before it is ready. Does not check whether one runs already."""
        keep_bounded(self._log)
        with self._log.open("ab") as output:
            self._log_start = output.tell()
            self._stopping = False
            self._process = spawn(command, account=account, death_signal=death_signal, output=output)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return when `ready()` is true.

        Raises EmbeddedError, with the end of the log, when the process ends first or `seconds` have passed.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            code = self.process.poll()
            if code is not None:
                raise EmbeddedError(f"{self._title} did not start: it {_ending(code)}. {self._last_words()}")
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"{self._title} was started but not ready within {seconds:.0f} seconds. {self._last_words()}"
                )
            time.sleep(_POLL_SECONDS)

    def stop(self, steps: Sequence[tuple[signal.Signals, float]]) -> None:
        """Send the signal of each step in turn until the process has ended, giving each its seconds.

        Does nothing when the process is not running. Raises EmbeddedError when it outlives all steps.
        """
        self._stopping = True
        if self._process is None:
            return
        for number, seconds in steps:
            self._process.send_signal(number)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            return
        raise EmbeddedError(
            f"{self._title} (process {self._process.pid}) did not end, not even by {steps[-1][0].name}. "
            f"Look for a disk that does not answer. {self._last_words()}"
        )

    def died(self) -> str | None:
        """How the process ended and what it wrote last, if it ended without being told to; None otherwise.

        Being called regularly while the server runs, it also keeps the log bounded.
        """
        if self._process is None or self._stopping:
            return None
        code = self._process.poll()
        if code is None:
            keep_bounded(self._log)
            return None
        return f"{self._title} {_ending(code)}. {self._last_words()}"

    def recent_log(self) -> str:
        """The last lines written since the last launch."""
        return _tail(self._log, self._log_start)

    def _last_words(self) -> str:
        return f"The end of its log, {self._log}:\n{self.recent_log()}"


def run_to_end(title: str, command: Sequence[str | Path], account: Account, log: Path, *, stdin: bytes = b"") -> None:
    """Run a short program as `account`, its output appended to `log`.

    Raises EmbeddedError, with the end of the log, when it fails. It is killed when this process ends.
    """
    with log.open("ab") as output:
        start = output.tell()
        process = spawn(command, account=account, death_signal=signal.SIGKILL, output=output, stdin=subprocess.PIPE)
        try:
            process.communicate(stdin)
        except BaseException:
            process.kill()
            process.wait()
            raise
    if process.returncode != 0:
        raise EmbeddedError(
            f"{title} failed: {command[0]} {_ending(process.returncode)}. The end of its log, {log}:\n"
            f"{_tail(log, start)}"
        )


def keep_bounded(log: Path) -> None:
    """Move the content of a log above 8 MiB to `<log>.1`, replacing what was there.

    Copies and truncates, because a running server keeps its file open; it appends, so it goes on at the new
    start. A line written between the two steps is lost.
    """
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)


def _tail(log: Path, start: int) -> str:
    with log.open("rb") as lines:
        size = lines.seek(0, os.SEEK_END)
        lines.seek(max(start if start <= size else 0, size - _TAIL_BYTES))
        text = lines.read().decode(errors="replace").strip()
    return "\n".join(f"  {line}" for line in text.splitlines()[-_TAIL_LINES:]) or "  (nothing was written)"


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"

"""Starts programs through `launch.py`, so that they die with this process and not before.

The kernel sends the death signal when the *thread* that forked ends, not the process. A caller may well be a
worker thread that is gone a second later, so all forks happen on one thread that never ends.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import IO

from greenroomd.embedded.identity import Account

_LAUNCHER = Path(__file__).with_name("launch.py")
# Not the whole environment: PG* variables would configure the server, and secrets are not for the databases'
# user.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH")

_Process = subprocess.Popen[bytes]
_lock = threading.Lock()
_requests: SimpleQueue[tuple[list[str], IO[bytes], int, Future[_Process]]] = SimpleQueue()
_thread: threading.Thread | None = None


def spawn(
    command: Sequence[str | Path],
    *,
    account: Account,
    death_signal: signal.Signals,
    output: IO[bytes],
    stdin: int = subprocess.DEVNULL,
) -> _Process:
    """Start `command` as `account` in a session of its own, its stdout and stderr appended to `output`.

    The program gets a small clean environment, the folder `/` and umask 077, and receives `death_signal` when
    this process ends for whatever reason (Linux only). `command[0]` is an absolute path. Callable from any
    thread.
    """
    argv = [
        *(sys.executable, "-I", "-S", str(_LAUNCHER)),
        *(str(os.getpid()), str(int(death_signal)), str(account.uid), str(account.gid)),
        *(str(part) for part in command),
    ]
    _ensure_thread()
    result: Future[_Process] = Future()
    _requests.put((argv, output, stdin, result))
    return result.result()


def _ensure_thread() -> None:
    global _thread, _requests
    with _lock:
        if _thread is None or not _thread.is_alive():
            # Anew also after os.fork(), in whose child only the forking thread lives on.
            _requests = SimpleQueue()
            _thread = threading.Thread(target=_serve, args=(_requests,), name="embedded-spawn", daemon=True)
            _thread.start()


def _serve(requests: SimpleQueue[tuple[list[str], IO[bytes], int, Future[_Process]]]) -> None:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {"LC_ALL": "C", "TZ": "UTC"}
    while True:
        argv, output, stdin, result = requests.get()
        try:
            process = subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment,
                umask=0o077,
                start_new_session=True,
            )
        except OSError as error:
            result.set_exception(error)
        else:
            result.set_result(process)

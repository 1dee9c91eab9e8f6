"""Valkey, a Redis-compatible server: start it, know when it is ready, stop it."""

import signal
import socket
from subprocess import Popen

from greenroomd.embedded.folder import DataFolder
from greenroomd.embedded.orphans import end_orphan, recorded_pid
from greenroomd.embedded.process import Child
from greenroomd.embedded.programs import valkey_server
from greenroomd.embedded.sockets import VALKEY_SOCKET

_START_SECONDS = 120.0
_STOP_STEPS = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


class Valkey:
    """One Valkey server on an opened data folder."""

    def __init__(self, folder: DataFolder, *, durable: bool) -> None:
        self._folder = folder
        self._durable = durable
        self._program = valkey_server(folder)
        self._socket = folder.sockets / VALKEY_SOCKET
        self._pid_file = folder.valkey / "valkey.pid"
        self._child = Child("Valkey", folder.log("valkey"))

    @property
    def url(self) -> str:
        """The URL for redis-py."""
        return f"unix://{self._socket}"

    @property
    def process(self) -> Popen[bytes]:
        """The server's process. Raises EmbeddedError before the first start."""
        return self._child.process

    def begin(self) -> None:
        """End what a killed owner left running and launch the server. Does nothing when it runs."""
        if self._child.running:
            return
        # Valkey itself does not notice a second server on its data.
        end_orphan("Valkey", recorded_pid(self._pid_file), str(self._folder.valkey), _STOP_STEPS)
        self._socket.unlink(missing_ok=True)
        self._child.launch([self._program, *self._options()], self._folder.account, signal.SIGTERM)

    def await_ready(self) -> None:
        """Return when the server has loaded its data and answers.

        Raises EmbeddedError when it ends first or 120 seconds have passed.
        """
        self._child.wait_until(self._is_ready, _START_SECONDS)

    def stop(self) -> None:
        """Flush and end; harder after 5 seconds. Does nothing when it is down."""
        self._child.stop(_STOP_STEPS)

    def died(self) -> str | None:
        """How the server ended and the end of its log, if it ended by itself; None otherwise."""
        return self._child.died()

    def _options(self) -> list[str]:
        options = {
            "--port": "0",
            "--unixsocket": str(self._socket),
            "--unixsocketperm": "700",
            "--dir": str(self._folder.valkey),
            "--pidfile": str(self._pid_file),
            # Keeps the command line as it is given here, by which a left-over server is recognised.
            "--set-proc-title": "no",
            "--save": "",
            "--appendonly": "yes",
            "--appendfsync": "everysec" if self._durable else "no",
            "--maxmemory": "256mb",
            "--maxmemory-policy": "noeviction",
        }
        # A subscriber may fall this far behind before it is cut off; the defaults are a quarter of it.
        pubsub = ["--client-output-buffer-limit", "pubsub", "128mb", "32mb", "60"]
        return [part for option in options.items() for part in option] + pubsub

    def _is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                # "-LOADING" while it reads the append-only file.
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False

"""PostgreSQL: initialise its data once, start it, know when it is ready, stop it."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

from greenroomd.embedded.errors import EmbeddedError
from greenroomd.embedded.folder import DataFolder
from greenroomd.embedded.identity import has_entry
from greenroomd.embedded.orphans import end_orphan, recorded_pid
from greenroomd.embedded.process import Child, run_to_end
from greenroomd.embedded.programs import postgres_major, postgres_programs
from greenroomd.embedded.sockets import POSTGRES_PORT

_NAME = "greenroom"  # of the role and of the database
# Replaying the log of a crash takes as long as it takes; this is when a person should look.
_START_SECONDS = 120.0
# Fast shutdown, immediate shutdown (the log is replayed at the next start), the hard way.
_STOP_STEPS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
_LOCALE = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
_DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Postgres:
    """One PostgreSQL server on an opened data folder. Its settings are given anew at each start."""

    def __init__(self, folder: DataFolder, *, durable: bool) -> None:
        self._folder = folder
        self._durable = durable
        self._programs = postgres_programs(folder)
        self._child = Child("PostgreSQL", folder.log("postgres"))

    @property
    def url(self) -> str:
        """SQLAlchemy's URL for asyncpg, as the database's owner. It names the port because of $PGPORT."""
        return f"postgresql+asyncpg://{_NAME}@/{_NAME}?host={self._folder.sockets}&port={POSTGRES_PORT}"

    @property
    def process(self) -> Popen[bytes]:
        """The postmaster's process. Raises EmbeddedError before the first start."""
        return self._child.process

    def begin(self) -> None:
        """Initialise the data if there is none, clear what a killed server left, and launch the server.

        Does nothing when it runs. Raises EmbeddedError when the data was made by another major release.
        """
        if self._child.running:
            return
        major = postgres_major(self._programs)
        if self._folder.postgres.exists():
            self._refuse_other_release(major)
        else:
            self._initialise()
        self._recover()
        self._launch()

    def await_ready(self) -> None:
        """Return when the launched server accepts connections.

        Raises EmbeddedError when it ends first or 120 seconds have passed.
        """
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._child.wait_until(self._is_ready, deadline - time.monotonic())
            except EmbeddedError:
                # After a kill of the postmaster alone its sessions still hold the shared memory, until each
                # notices.
                if "is still in use" not in self._child.recent_log() or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
                self._launch()
            else:
                return

    def stop(self) -> None:
        """Shut down cleanly, ending open sessions; harder after 10 and 15 seconds. No-op when it is down."""
        self._child.stop(_STOP_STEPS)

    def died(self) -> str | None:
        """How the server ended and the end of its log, if it ended by itself; None otherwise."""
        return self._child.died()

    def _launch(self) -> None:
        command: list[str | Path] = [
            self._programs / "postgres",
            "-D",
            self._folder.postgres,
            "-k",
            self._folder.sockets,
        ]
        settings = _SETTINGS | (_DURABLE if self._durable else _NOT_DURABLE) | {"port": str(POSTGRES_PORT)}
        self._child.launch([*command, *_options(settings)], self._folder.account, signal.SIGQUIT)

    def _is_ready(self) -> bool:
        # Line 8 of the pid file is the state, for pg_ctl and us; a file of an earlier server has another id.
        try:
            lines = (self._folder.postgres / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    def _refuse_other_release(self, major: int) -> None:
        found = (self._folder.postgres / "PG_VERSION").read_text().strip()
        if found != str(major):
            raise EmbeddedError(
                f"The data folder {self._folder.path} was made by PostgreSQL {found}, but {self._programs} "
                f"holds PostgreSQL {major}, which cannot read it. Set GREENROOM_PG_BIN to the programs of "
                f"PostgreSQL {found} to go on with it; to move to {major}, dump it with pg_dump from there "
                "and restore it into a new data folder."
            )

    def _initialise(self) -> None:
        """Make the data under a temporary name, which becomes `postgres` in one step when it is complete."""
        account, parent, log = self._folder.account, self._folder.path, self._folder.log("postgres")
        if not has_entry(account.uid):
            raise EmbeddedError(
                f"The user id {account.uid} has no entry in this system's user database, and PostgreSQL's "
                "initdb needs one. Add an entry (in a container: to /etc/passwd), start Greenroom as another "
                "user, or set GREENROOM_DATABASE_URL to a PostgreSQL of your own."
            )
        for leftover in parent.glob("postgres.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=parent))
        if not account.is_current:
            os.chown(fresh, account.uid, account.gid)
        quick = [] if self._durable else ["--no-sync"]
        initdb: list[str | Path] = [
            self._programs / "initdb",
            "-D",
            fresh,
            "-U",
            _NAME,
            "--auth=trust",
            "--no-instructions",
        ]
        run_to_end("Initialising PostgreSQL", [*initdb, *_LOCALE, *quick], account, log)
        settings = {"exit_on_error": "on"} | (_DURABLE if self._durable else _NOT_DURABLE)
        single: list[str | Path] = [
            self._programs / "postgres",
            "--single",
            "-D",
            fresh,
            *_options(settings),
            "postgres",
        ]
        sql = f"CREATE DATABASE {_NAME}\n".encode()
        run_to_end(f"Creating the database {_NAME}", single, account, log, stdin=sql)
        fresh.rename(self._folder.postgres)
        _sync(parent)

    def _recover(self) -> None:
        """Clear the traces of a killed server that would keep a new one from starting."""
        pid_file = self._folder.postgres / "postmaster.pid"
        end_orphan("PostgreSQL", recorded_pid(pid_file), str(self._folder.postgres), _STOP_STEPS)
        for name in (f".s.PGSQL.{POSTGRES_PORT}", f".s.PGSQL.{POSTGRES_PORT}.lock"):
            (self._folder.sockets / name).unlink(missing_ok=True)
        # The recorded id may now be a zombie's or another program's, and PostgreSQL would take either for a
        # running server. What it needs to know, whether sessions of the old server are still at work, it finds
        # out without this file: their shared memory bears the data folder's inode.
        pid_file.unlink(missing_ok=True)


def _options(settings: dict[str, str]) -> Iterator[str]:
    for name, value in settings.items():
        yield from ("-c", f"{name}={value}")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The data folder: what is where in it, who may use it, and the lock that keeps a second start out.

greenroom.lock   locked while a process owns the folder; holds its id; marks the folder as Greenroom's
postgres/        PostgreSQL's data; its PG_VERSION says which major release made it
valkey/          Valkey's append-only file
run/             the two unix sockets
logs/            postgres.log, valkey.log and one older file of each
programs/        copies of the servers, only where the originals are out of the databases' user's reach
"""

import contextlib
import fcntl
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from greenroomd.embedded.errors import EmbeddedError
from greenroomd.embedded.identity import Account, blocked_at, database_account, user_name
from greenroomd.embedded.sockets import make_socket_folder, private_folder

_LOCK = "greenroom.lock"
# Not ours and harmless: the root of a fresh ext4 volume has it.
_NOT_CONTENT = {"lost+found"}


def default_data_folder() -> Path:
    """Choose $GREENROOM_DATA; else /var/lib/greenroom for root, $XDG_DATA_HOME/greenroom for others.

    XDG_DATA_HOME is ~/.local/share where it is not set. Touches nothing.
    """
    if named := os.environ.get("GREENROOM_DATA"):
        return Path(named).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/greenroom")
    shared = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    return (Path(shared) if shared.startswith("/") else Path.home() / ".local" / "share") / "greenroom"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """An opened and locked data folder. `account` is whom the servers run as, `sockets` where they listen."""

    path: Path
    account: Account
    sockets: Path
    lock: int

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data; exists once it is completely initialised."""
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        """Valkey's data."""
        return self.path / "valkey"

    @property
    def programs(self) -> Path:
        """Where copies of unreachable servers are kept."""
        return self.path / "programs"

    def log(self, name: str) -> Path:
        """Name the log file of the server `name`."""
        return self.path / "logs" / f"{name}.log"

    def close(self) -> None:
        """Give the lock back and remove a socket folder that lies outside the data folder."""
        if self.sockets.parent != self.path:
            with contextlib.suppress(OSError):  # a killed server left its socket; the next start clears it
                self.sockets.rmdir()
        os.ftruncate(self.lock, 0)
        os.close(self.lock)


def open_folder(path: Path) -> DataFolder:
    """Create the folder if needed, check who may use it, lock it and make its subfolders.

    Its mode becomes 0700, for root 0711, because the databases' user must pass through.

    Raises EmbeddedError when the folder belongs to somebody else, is world-writable, holds other things,
    cannot be reached by the databases' user, or is in use by another process.
    """
    path = path.absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = path.resolve(strict=True)
        _refuse_unsafe(path)
        _refuse_foreign(path)
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise EmbeddedError(
            f"The data folder {path} cannot be used: {error.strerror}. Greenroom needs a folder that it can "
            "create and write. Name another one with --data or GREENROOM_DATA."
        ) from error
    account = database_account(path / "postgres")
    _refuse_unreachable(path, account)
    lock = _lock(path)
    try:
        private_folder(path / "logs", None)
        private_folder(path / "valkey", account)
        return DataFolder(path, account, make_socket_folder(path, account), lock)
    except BaseException:
        os.close(lock)
        raise


def _refuse_unsafe(path: Path) -> None:
    status = path.stat()
    if status.st_uid != os.geteuid():
        owner, user = user_name(status.st_uid), user_name(os.geteuid())
        raise EmbeddedError(
            f"The data folder {path} belongs to {owner}, but Greenroom runs as {user}, who must own it. "
            f"Start Greenroom as {owner}, or name another folder with --data or GREENROOM_DATA."
        )
    if status.st_mode & stat.S_IWOTH:
        raise EmbeddedError(
            f"The data folder {path} can be written by every user of this machine (mode {_octal(status)}); "
            f"only its owner may. If it holds nothing else, run `chmod go-w {path}`; otherwise name another "
            "folder with --data or GREENROOM_DATA."
        )


def _refuse_foreign(path: Path) -> None:
    # Before the mode is changed: that must not happen to somebody's home folder named by mistake.
    if not (path / _LOCK).exists() and {entry.name for entry in path.iterdir()} - _NOT_CONTENT:
        raise EmbeddedError(
            f"The folder {path} holds other things and was not made by Greenroom ({_LOCK} is missing). "
            "Name a new or empty folder with --data or GREENROOM_DATA."
        )


def _refuse_unreachable(path: Path, account: Account) -> None:
    blocking = None if account.is_current else blocked_at(path, account)
    if blocking is not None:
        status = blocking.stat()
        raise EmbeddedError(
            f"The data folder {path} cannot be reached by the user {account.name}, as whom root runs the "
            f"databases because PostgreSQL refuses to run as root: {blocking} (mode {_octal(status)}, owner "
            f"{user_name(status.st_uid)}) does not let it through. Name a folder outside {blocking}, for "
            "example GREENROOM_DATA=/var/lib/greenroom, or start Greenroom as an ordinary user."
        )


def _lock(path: Path) -> int:
    descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip()
        os.close(descriptor)
        raise EmbeddedError(
            f"The data folder {path} is in use by process {holder or 'unknown (it is just starting)'}; one "
            "process at a time may own it. Stop that process, or name another folder with --data or GREENROOM_DATA."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _octal(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"

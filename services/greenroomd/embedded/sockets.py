"""The folder of the unix sockets: closed to other users, and short enough for the kernel."""

import hashlib
import os
import re
import stat
import sys
import tempfile
from pathlib import Path

from greenroomd.embedded.errors import EmbeddedError
from greenroomd.embedded.identity import Account, user_name

POSTGRES_PORT = 5432
VALKEY_SOCKET = "valkey.sock"

_POSTGRES_SOCKET = f".s.PGSQL.{POSTGRES_PORT}"
_LONGEST_SOCKET_BYTES = 107 if sys.platform == "linux" else 103
# PostgreSQL splits the setting at commas, its drivers split the URL at commas and colons.
_PLAIN = re.compile(r"[A-Za-z0-9._/+@=-]+")


def private_folder(path: Path, account: Account | None) -> None:
    """Make `path` a folder of mode 0700 that `account` owns (None: the current user).

    It must lie in a folder that only this user can write.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    if account is not None and not account.is_current:
        os.chown(path, account.uid, account.gid)


def make_socket_folder(data: Path, account: Account) -> Path:
    """Return the folder for the sockets of `data`, made if needed.

    It is `run` inside `data`. Where that path is too long, or has characters that break a database URL, it is
    a short one in $XDG_RUNTIME_DIR (not for root, whose runtime folder is closed to the databases' user) or
    the system's folder for temporary files, with the same name at each start.

    Raises EmbeddedError when there is no place for it or its name is taken by somebody else.
    """
    inside = data / "run"
    if _fits(inside):
        private_folder(inside, account)
        return inside
    name = f"greenroom-{account.uid}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:12]}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "") if account.is_current else ""
    for place in (runtime, tempfile.gettempdir(), "/tmp"):  # noqa: S108 - checked below, as /tmp demands
        if Path(place).is_absolute() and Path(place).is_dir() and _fits(Path(place, name)):
            return _make_outside(Path(place, name), account)
    raise EmbeddedError(
        f"The path of {data} cannot hold unix sockets (too long, or with special characters), and no folder "
        "for temporary files can either. Name a data folder with a shorter, plain path with GREENROOM_DATA."
    )


def _make_outside(folder: Path, account: Account) -> Path:
    # Others write in the folder above: what is there already is judged, never repaired.
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status = folder.lstat()
        is_ours = status.st_uid in {os.geteuid(), account.uid}
        if not (is_ours and stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o700):
            raise EmbeddedError(
                f"The sockets need the short folder {folder}, but what is there is not a private folder of "
                f"{account.name} (its owner is {user_name(status.st_uid)}). Remove it, or name a data folder "
                "with a shorter, plain path with GREENROOM_DATA."
            ) from None
    if folder.lstat().st_uid != account.uid:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    return folder


def _fits(folder: Path) -> bool:
    longest = max(len(os.fsencode(folder / name)) for name in (_POSTGRES_SOCKET, VALKEY_SOCKET))
    return longest <= _LONGEST_SOCKET_BYTES and _PLAIN.fullmatch(str(folder)) is not None

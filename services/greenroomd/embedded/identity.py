"""Which user the databases run as, and which folders that user can reach.

PostgreSQL refuses to run as root, so root hands both servers to an unprivileged user that exists already.
Nothing is added to the user database and no permission outside the data folder is changed to make that work.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from greenroomd.embedded.errors import EmbeddedError

_UNPRIVILEGED_USERS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user by name and ids. The servers run with these ids and no supplementary group."""

    name: str
    uid: int
    gid: int

    @property
    def is_current(self) -> bool:
        """Whether this process runs as this user already."""
        return self.uid == os.geteuid()


def database_account(postgres_data: Path) -> Account:
    """The user to run the servers as: the current one, or for root an unprivileged one.

    Root keeps the owner of an existing `postgres_data`, so that a folder stays usable when a `postgres` user
    appears on the machine later; otherwise takes `postgres` where it exists, else `nobody`.

    Raises EmbeddedError when root finds neither.
    """
    if os.geteuid() != 0:
        return Account(user_name(os.geteuid()), os.geteuid(), os.getegid())
    if postgres_data.is_dir():
        owner = postgres_data.stat()
        if owner.st_uid != 0:
            return Account(user_name(owner.st_uid), owner.st_uid, owner.st_gid)
    for name in _UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, and neither a user `postgres` nor a user `nobody` exists to run "
        "it as. Start Greenroom as an ordinary user, or add a user named postgres."
    )


def user_name(uid: int) -> str:
    """The name of a user id, or the number as text when the user database has no entry for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def has_entry(uid: int) -> bool:
    """Whether the user database knows the user id; initdb insists on it."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def blocked_at(path: Path, account: Account) -> Path | None:
    """The first folder on the way to the absolute `path` that `account` cannot pass, or `path` itself.

    A folder needs its execute bit, a file to be readable and executable. None when the way is free. Judges
    permission bits alone; an access control list that grants more is not seen.
    """
    for part in (*reversed(path.parents), path):
        status = part.stat()
        needed = 0o1 if stat.S_ISDIR(status.st_mode) else 0o5
        if status.st_uid == account.uid:
            granted = status.st_mode >> 6
        elif status.st_gid == account.gid:
            granted = status.st_mode >> 3
        else:
            granted = status.st_mode
        if granted & needed != needed:
            return part
    return None

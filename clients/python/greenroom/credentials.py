"""Where the server is and which token to show it.

Each of the two is taken from the first place that has it:

1. the arguments of `greenroom.connect` or of the command line;
2. `GREENROOM_SERVER`, and `GREENROOM_TOKEN` or the file that `GREENROOM_TOKEN_FILE` names;
3. the credentials file that `greenroom up` writes: `$GREENROOM_CREDENTIALS`, else
   `$XDG_CONFIG_HOME/greenroom/credentials.json`, else `~/.config/greenroom/credentials.json`:
   `{"server": "127.0.0.1:7766", "token": "gr_…"}`.

A file with a token is refused when other users can read it. The file's token belongs to the file's server and is never
sent to another one.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from greenroom.errors import CredentialsMissing, CredentialsUnsafe

DEFAULT_SERVER = "127.0.0.1:7766"
"""Where `greenroom up` listens unless told otherwise."""

_NOTHING_FOUND = "run `greenroom up`, or set GREENROOM_SERVER and GREENROOM_TOKEN"
_LONGEST_FILE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """A server and the token for it."""

    server: str
    """Address as `host:port`; with `https://` in front TLS is used."""
    token: str = field(repr=False)
    """Bearer token, `gr_<id>_<secret>`."""


def discover(
    server: str | None = None,
    token: str | None = None,
    token_file: str | os.PathLike[str] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
) -> Credentials:
    """Find server and token.

    Args:
        server: address; unset means to look for one.
        token: bearer token; unset means to look for one.
        token_file: file that holds the token alone; comes after `token` and before the environment.
        environment: variables to look in instead of this process's.

    Raises:
        CredentialsMissing: no token was found for the server.
        CredentialsUnsafe: a file that holds a token can be read by other users.
    """
    variables = os.environ if environment is None else environment
    server = server or variables.get("GREENROOM_SERVER") or None
    if token is None and token_file is not None:
        token = read_token_file(Path(token_file))
    if token is None:
        token = variables.get("GREENROOM_TOKEN") or None
    if token is None and variables.get("GREENROOM_TOKEN_FILE"):
        token = read_token_file(Path(variables["GREENROOM_TOKEN_FILE"]))
    if token is not None and server is not None:
        return Credentials(server, token)
    path = credentials_path(variables)
    stored = read_credentials_file(path) if path.exists() else None
    if token is not None:
        return Credentials(stored.server if stored else DEFAULT_SERVER, token)
    if stored is None:
        raise CredentialsMissing(f"no token found ({path} does not exist): {_NOTHING_FOUND}")
    if server is not None and server != stored.server:
        raise CredentialsMissing(
            f"no token for {server}: the one in {path} belongs to {stored.server}. Set GREENROOM_TOKEN or"
            " GREENROOM_TOKEN_FILE for this server"
        )
    return stored


def credentials_path(environment: Mapping[str, str] | None = None) -> Path:
    """Return where the credentials file is, whether it exists or not."""
    variables = os.environ if environment is None else environment
    if named := variables.get("GREENROOM_CREDENTIALS"):
        return Path(named)
    folder = variables.get("XDG_CONFIG_HOME") or Path(variables.get("HOME") or Path.home()) / ".config"
    return Path(folder) / "greenroom" / "credentials.json"


def read_credentials_file(path: Path) -> Credentials:
    """Read a credentials file.

    Raises:
        CredentialsMissing: it cannot be read, or is not a credentials file.
        CredentialsUnsafe: its mode lets anybody but its owner read it.
    """
    text = _read_private(path, refused=stat.S_IRWXG | stat.S_IRWXO)
    try:
        content = json.loads(text)
        server, token = content["server"], content["token"]
    except (ValueError, TypeError, KeyError) as error:
        raise CredentialsMissing(
            f'{path} is not a credentials file {{"server": …, "token": …}}: {_NOTHING_FOUND}'
        ) from error
    if not (isinstance(server, str) and server and isinstance(token, str) and token):
        raise CredentialsMissing(f"{path} has no server or no token: {_NOTHING_FOUND}")
    return Credentials(server, token)


def read_token_file(path: Path) -> str:
    """Read a file that holds a token alone; surrounding white space does not count.

    A group may read it, because orchestrators mount secrets that way; everybody may not.

    Raises:
        CredentialsMissing: it cannot be read, or is empty.
        CredentialsUnsafe: every user of the machine can read it.
    """
    token = _read_private(path, refused=stat.S_IRWXO | stat.S_IWGRP).strip()
    if not token:
        raise CredentialsMissing(f"the token file {path} is empty")
    return token


def _read_private(path: Path, *, refused: int) -> str:
    try:
        # The mode is that of the opened file, so that nothing can be swapped in between.
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & refused:
                raise CredentialsUnsafe(
                    f"{path} can be read or changed by other users (mode {mode:04o}); make it private with"
                    f" `chmod 600 {path}`, and replace the token if others may have read it"
                )
            return file.read(_LONGEST_FILE).decode()
    except OSError as error:
        raise CredentialsMissing(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CredentialsMissing(f"{path} is not text") from error

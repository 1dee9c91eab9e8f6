"""What can be found out by itself about how a version was made: the environment and the code."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from greenroom.catalog.v1.facts_pb2 import CodeReference, Environment, Hardware

MAX_LIBRARIES = 2000
"""Most libraries that are recorded; the server refuses more."""

_GIT_SECONDS = 10.0


def capture_environment(lockfile: Path | None = None) -> Environment:
    """Return this process's environment: Python, operating system, installed libraries, processor and memory.

    Nothing of the environment's variables is recorded. Blocks for some milliseconds.

    Args:
        lockfile: file whose digest is recorded, so that the exact libraries can be installed again.
    """
    system = platform.uname()
    return Environment(
        python_version=platform.python_version(),
        operating_system=f"{system.system} {system.release} {system.machine}"[:255],
        libraries=_libraries(),
        lockfile_digest="sha256:" + hashlib.sha256(lockfile.read_bytes()).hexdigest() if lockfile else "",
        hardware=Hardware(cpu=_processor()[:255], cpu_count=os.cpu_count() or 0, memory_bytes=_memory()),
    )


def capture_code(folder: Path) -> CodeReference | None:
    """Return commit, branch, remote and dirtiness of the git work tree that `folder` is in; None outside of one.

    Credentials in the remote's address are left out. Blocks for the time of three git calls.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain")
    return CodeReference(
        commit=commit,
        repository=without_credentials(_git(folder, "remote", "get-url", "origin") or "")[:2048],
        ref=(_git(folder, "symbolic-ref", "--short", "HEAD") or "")[:255],
        dirty=None if changes is None else bool(changes),
    )


def without_credentials(address: str) -> str:
    """Return a remote's address without user, password, query and fragment.

    The user of the `git@host:path` form stays: it is never a secret and the address means nothing without it.
    """
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _libraries() -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        # Half-removed distributions have no name; of several on the path the first is the one that imports.
        name = distribution.metadata["Name"] if distribution.metadata else None
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version or "")
    return dict(sorted(found.items())[:MAX_LIBRARIES])


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def _git(folder: Path, *arguments: str) -> str | None:
    # A repository can name a program as its file-system monitor; reading its state must not run one.
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None

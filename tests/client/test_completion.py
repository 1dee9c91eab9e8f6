"""Shell completion, and the command line as a module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.command_line import GREENROOM, environment


def complete(words: str, index: int) -> list[str]:
    """Return what bash would offer for the word at `index`."""
    variables = environment(_GREENROOM_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(index))
    done = subprocess.run([GREENROOM], env=variables, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "index", "offered"),
    [
        ("greenroom pro", 1, ["promote"]),
        ("greenroom promote --re", 2, ["--reason", "--require-complete"]),
        ("greenroom check demo/digits/1 bias p", 4, ["passed"]),
    ],
)
def test_bash_completes_commands_options_and_words(words: str, index: int, offered: list[str]) -> None:
    assert complete(words, index) == offered


def test_completion_installs_itself_for_bash(tmp_path: Path) -> None:
    subprocess.run(
        [GREENROOM, "--install-completion", "bash"],
        env=environment(HOME=str(tmp_path)),
        capture_output=True,
        check=True,
    )
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert str(script) in (tmp_path / ".bashrc").read_text()
    check = f"source {tmp_path}/.bashrc && complete -p greenroom"
    done = subprocess.run(["bash", "-c", check], capture_output=True, text=True, check=True)
    assert "_greenroom_completion" in done.stdout


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "greenroom.cli", "--version"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.startswith("greenroom ")

"""The command line without a server: help, usage, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from greenroom.cli import app

COMMANDS = [
    "up", "push", "pull", "create", "delete", "rename", "promote", "approve", "reject", "cancel", "rollback",
    "check", "transitions", "resolve", "show", "list", "search", "history", "lineage", "watch", "alias", "policy",
    "stages", "deployments", "deploy-report",
]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A runner for a user who has no credentials and whose server does not answer."""
    for name in ("GREENROOM_SERVER", "GREENROOM_TOKEN", "GREENROOM_TOKEN_FILE", "GREENROOM_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return CliRunner()


def test_help_lists_every_command(run: CliRunner) -> None:
    result = run.invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "Exit codes" in result.stdout
    for command in COMMANDS:
        assert command in result.stdout


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "up"])
def test_every_command_explains_itself(run: CliRunner, command: str) -> None:
    result = run.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_the_version_is_printed(run: CliRunner) -> None:
    result = run.invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("greenroom ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["promote", "demo/digits/1"],
        ["push", "demo/digits", ".", "--metric", "accuracy"],
        ["push", "demo/digits", ".", "--metric", "accuracy=nan"],
        ["push", "demo/digits", ".", "--param", "=1"],
        ["push", "demo/digits", ".", "--dataset", "x=nodigest"],
        ["push", "demo/digits", ".", "--role", "*=nonsense"],
        ["check", "demo/digits/1", "bias"],
        ["check", "demo/digits/1", "bias", "maybe"],
        ["policy", "demo", "--approvals", "1"],
        ["policy", "demo", "production", "--approvals", "-1"],
        ["policy", "demo", "production", "--require-check", "a", "--no-checks"],
        ["watch", "--resume", "nonsense"],
        ["watch", "--service", "nonsense"],
        ["transitions", "demo", "--state", "nonsense"],
    ],
)
def test_wrong_usage_exits_2_and_says_so_on_stderr(run: CliRunner, arguments: list[str]) -> None:
    result = run.invoke(app, arguments, env={"GREENROOM_TOKEN": "gr_x_y", "GREENROOM_SERVER": "127.0.0.1:1"})
    assert result.exit_code == 2
    assert result.stderr
    assert not result.stdout


def test_without_credentials_the_way_out_is_named(run: CliRunner) -> None:
    result = run.invoke(app, ["list"])
    assert result.exit_code == 6
    assert "greenroom up" in result.stderr
    assert not result.stdout


def test_an_error_is_a_document_too(run: CliRunner) -> None:
    result = run.invoke(app, ["list", "--json"])
    assert result.exit_code == 6
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "UNAUTHENTICATED"
    assert "greenroom up" in error["message"]
    assert not result.stdout


def test_a_name_that_cannot_be_read_exits_2_without_a_call(run: CliRunner) -> None:
    result = run.invoke(app, ["show", "Not A Name", "--json"], env={"GREENROOM_TOKEN": "gr_x_y"})
    assert result.exit_code == 2
    assert json.loads(result.stderr)["error"]["reason"] == "FIELD_INVALID"


def test_an_unreachable_server_exits_7(run: CliRunner) -> None:
    result = run.invoke(app, ["--server", "127.0.0.1:1", "list"], env={"GREENROOM_TOKEN": "gr_x_y"})
    assert result.exit_code == 7
    assert "127.0.0.1:1" in result.stderr
    assert "gr_x_y" not in result.output


def test_no_option_takes_a_secret(run: CliRunner) -> None:
    for arguments in (["--help"], ["push", "--help"]):
        assert "--token " not in run.invoke(app, arguments).stdout


def test_an_interrupt_exits_130_silently(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("greenroom.cli.session.connect", interrupted)
    monkeypatch.setattr("greenroom.cli.session.Session.client", interrupted)
    result = run.invoke(app, ["list"])
    assert result.exit_code == 130
    assert not result.output

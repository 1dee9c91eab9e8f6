"""Where server and token come from, and which files are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from greenroom.credentials import DEFAULT_SERVER, Credentials, credentials_path, discover
from greenroom.errors import CredentialsMissing, CredentialsUnsafe


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The variables of a user who has an empty home."""
    return {"HOME": str(tmp_path)}


def written(home: dict[str, str], mode: int = 0o600) -> Path:
    path = Path(home["HOME"]) / ".config" / "greenroom" / "credentials.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"server": "stored:1", "token": "gr_a_stored"}))
    path.chmod(mode)
    return path


def test_nothing_found_says_what_to_do(home: dict[str, str]) -> None:
    with pytest.raises(CredentialsMissing, match="run `greenroom up`, or set GREENROOM_SERVER and GREENROOM_TOKEN"):
        discover(environment=home)


def test_the_file_that_up_writes_is_found(home: dict[str, str]) -> None:
    written(home)
    assert discover(environment=home) == Credentials("stored:1", "gr_a_stored")


def test_the_environment_comes_before_the_file(home: dict[str, str]) -> None:
    written(home)
    found = discover(environment={**home, "GREENROOM_SERVER": "env:2", "GREENROOM_TOKEN": "gr_b_env"})
    assert found == Credentials("env:2", "gr_b_env")


def test_arguments_come_before_the_environment(home: dict[str, str]) -> None:
    variables = {**home, "GREENROOM_SERVER": "env:2", "GREENROOM_TOKEN": "gr_b_env"}
    assert discover("arg:3", "gr_c_arg", environment=variables) == Credentials("arg:3", "gr_c_arg")


def test_a_token_alone_goes_to_the_stored_or_the_default_server(home: dict[str, str]) -> None:
    variables = {**home, "GREENROOM_TOKEN": "gr_b_env"}
    assert discover(environment=variables) == Credentials(DEFAULT_SERVER, "gr_b_env")
    written(home)
    assert discover(environment=variables) == Credentials("stored:1", "gr_b_env")


def test_a_stored_token_is_never_sent_to_another_server(home: dict[str, str]) -> None:
    written(home)
    with pytest.raises(CredentialsMissing, match="belongs to stored:1"):
        discover("elsewhere:9", environment=home)
    assert discover("stored:1", environment=home).token == "gr_a_stored"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602])
def test_a_file_that_others_can_read_is_refused(home: dict[str, str], mode: int) -> None:
    path = written(home, mode=mode)
    with pytest.raises(CredentialsUnsafe, match=f"chmod 600 {path}") as caught:
        discover(environment=home)
    assert "gr_a_stored" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"server": "a:1"}', '{"server": "a:1", "token": ""}', "\x00"])
def test_a_damaged_file_is_named(home: dict[str, str], content: str) -> None:
    path = written(home)
    path.write_text(content)
    with pytest.raises(CredentialsMissing, match=str(path)):
        discover(environment=home)


def test_a_token_can_come_from_a_file(home: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("gr_d_file\n")
    file.chmod(0o440)
    assert discover("a:1", token_file=file, environment=home).token == "gr_d_file"
    assert discover("a:1", environment={**home, "GREENROOM_TOKEN_FILE": str(file)}).token == "gr_d_file"
    file.chmod(0o444)
    with pytest.raises(CredentialsUnsafe):
        discover("a:1", token_file=file, environment=home)
    file.chmod(0o600)
    file.write_text("\n")
    with pytest.raises(CredentialsMissing, match="empty"):
        discover("a:1", token_file=file, environment=home)
    with pytest.raises(CredentialsMissing, match="cannot read"):
        discover("a:1", token_file=tmp_path / "missing", environment=home)


def test_where_the_file_is_can_be_set(home: dict[str, str]) -> None:
    assert credentials_path(home) == Path(home["HOME"]) / ".config/greenroom/credentials.json"
    assert credentials_path({**home, "XDG_CONFIG_HOME": "/x"}) == Path("/x/greenroom/credentials.json")
    assert credentials_path({**home, "GREENROOM_CREDENTIALS": "/y.json"}) == Path("/y.json")


def test_a_token_does_not_show_in_a_traceback() -> None:
    assert "gr_secret" not in repr(Credentials("a:1", "gr_secret"))

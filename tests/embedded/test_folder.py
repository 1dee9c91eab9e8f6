"""Which folders are accepted, and what the refusals say."""

import os
import re
from pathlib import Path

import pytest

from embedded.support import as_root, query
from greenroomd.embedded import EmbeddedError, EmbeddedStack, default_data_folder

only_root = pytest.mark.skipif(not as_root, reason="needs root")


def refusal(data: Path) -> str:
    with pytest.raises(EmbeddedError) as refused:
        EmbeddedStack(data, durable=False).start()
    return re.sub(r"\s+", " ", str(refused.value))


def test_a_folder_everybody_can_write_is_refused_with_the_command_that_closes_it(data: Path) -> None:
    data.mkdir()
    data.chmod(0o777)
    assert f"`chmod go-w {data}`" in refusal(data)
    assert data.stat().st_mode & 0o777 == 0o777, "left as it was"


def test_a_folder_with_other_things_in_it_is_left_alone(reachable: Path) -> None:
    (reachable / "thesis.tex").touch()
    assert "holds other things" in refusal(reachable)
    assert [path.name for path in reachable.iterdir()] == ["thesis.tex"]
    assert reachable.stat().st_mode & 0o777 == 0o755


@only_root
def test_a_folder_of_another_user_is_refused(data: Path) -> None:
    data.mkdir()
    os.chown(data, 65534, 65534)
    assert "belongs to nobody, but Greenroom runs as root" in refusal(data)


@only_root
def test_a_folder_that_the_databases_user_cannot_reach_is_refused_naming_what_blocks(reachable: Path) -> None:
    closed = reachable / "closed"
    closed.mkdir(mode=0o700)
    message = refusal(closed / "data")
    assert f"{closed} (mode 0700, owner root) does not let it through" in message
    assert "/var/lib/greenroom" in message
    assert closed.stat().st_mode & 0o777 == 0o700, "never opened by us"


def test_a_file_in_the_place_of_the_folder_is_refused(data: Path) -> None:
    data.touch()
    assert "cannot be used: File exists" in refusal(data)


def test_data_of_another_major_release_is_refused(stack: EmbeddedStack, data: Path) -> None:
    stack.start()
    stack.stop()
    (data / "postgres" / "PG_VERSION").write_text("17\n")
    message = refusal(data)
    assert "made by PostgreSQL 17, but" in message
    assert "holds PostgreSQL 18" in message
    (data / "postgres" / "PG_VERSION").write_text("18\n")
    stack.start()


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (None, "which has no postgres"),
        ("postgres (PostgreSQL) 15.18", "is PostgreSQL 15. Expected the programs of PostgreSQL 17 or newer"),
        ("hello", "--version said 'hello\\n'"),
    ],
)
def test_unusable_programs_of_ones_own_are_refused(
    reachable: Path, data: Path, monkeypatch: pytest.MonkeyPatch, says: str | None, expected: str
) -> None:
    programs = reachable / "bin"
    programs.mkdir()
    if says is not None:
        for name in ("postgres", "initdb"):
            (programs / name).write_text(f"#!/bin/sh\necho '{says}'\n")
            (programs / name).chmod(0o755)
    monkeypatch.setenv("GREENROOM_PG_BIN", str(programs))
    assert expected in refusal(data)


def test_programs_of_ones_own_are_used(reachable: Path, stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.start()
    args = stack.postgres.process.args
    assert isinstance(args, list)
    ours = next(Path(str(arg)).parent for arg in args if str(arg).endswith("/bin/postgres"))
    stack.stop()
    (reachable / "mine").symlink_to(ours)
    monkeypatch.setenv("GREENROOM_PG_BIN", str(reachable / "mine"))
    stack.start()
    assert query(stack.endpoints, "SELECT 1") == [1]


@pytest.mark.parametrize(
    ("uid", "environment", "expected"),
    [
        (0, {}, "/var/lib/greenroom"),
        (0, {"XDG_DATA_HOME": "/xdg"}, "/var/lib/greenroom"),
        (1000, {}, "/home/somebody/.local/share/greenroom"),
        (1000, {"XDG_DATA_HOME": "/xdg"}, "/xdg/greenroom"),
        (1000, {"XDG_DATA_HOME": "relative"}, "/home/somebody/.local/share/greenroom"),
        (1000, {"GREENROOM_DATA": "~/registry"}, "/home/somebody/registry"),
        (0, {"GREENROOM_DATA": "/srv/registry"}, "/srv/registry"),
    ],
)
def test_default_data_folder(
    monkeypatch: pytest.MonkeyPatch, uid: int, environment: dict[str, str], expected: str
) -> None:
    for name in ("GREENROOM_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/somebody", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert default_data_folder() == Path(expected)

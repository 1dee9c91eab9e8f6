"""What people read: short names, commands instead of RPCs, tables that fit the terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest

from greenroom.cli.output import print_fields, print_table
from greenroom.cli.wording import for_person, short_name

HEADERS = ("version", "stage", "description", "digest")
ROWS = [
    ("demo/digits/2", "production", "reads handwritten digits better than before", "sha256:0123456789ab"),
    ("demo/digits/1", "archived", "-", "sha256:ba9876543210"),
]


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("namespaces/demo", "demo"),
        ("namespaces/demo/models/digits/versions/2", "demo/digits/2"),
        ("namespaces/demo/models/digits/aliases/champion", "demo/digits@champion"),
        ("namespaces/demo/transitions/0abc", "demo/0abc"),
        ("namespaces/demo/models/digits/versions/2/checks/bias", "demo/digits/2/checks/bias"),
        ("namespaces/demo/stageGraph", "demo/stageGraph"),
        ("something else", "something else"),
        ("namespaces", "namespaces"),
        ("", ""),
    ],
)
def test_short_names(name: str, short: str) -> None:
    assert short_name(name) == short


@pytest.mark.parametrize(
    ("text", "metadata", "said"),
    [
        ("there is no namespaces/demo; check it", {}, "there is no namespace demo; check it"),
        ("'namespaces/X' is not namespaces/{namespace} (…)", {}, "'X' is not {namespace} (…)"),
        ("namespaces/demo/models/a/versions/2, or namespaces/demo/models/b.", {}, "demo/a/2, or demo/b."),
        ("create it with CreateModel", {"model": "namespaces/d/models/a"}, "create it with `greenroom create d/a`"),
        ("create it with CreateModel", {}, "create it with `greenroom create NS/MODEL`"),
        ("create it with CreateModel", {"model": "{version}"}, "create it with `greenroom create NS/MODEL`"),
        ("ListVersions shows them", {"version": "namespaces/d/models/a/versions/9"}, "`greenroom list d/a` shows them"),
        ("ListVersions shows them", {"version": "namespaces/d/models/a@^9"}, "`greenroom list d/a` shows them"),
        ("ListVersionsAndMore", {}, "ListVersionsAndMore"),
    ],
)  # fmt: skip
def test_messages_of_the_server_in_the_words_of_the_command_line(
    text: str, metadata: dict[str, str], said: str
) -> None:
    assert for_person(text, metadata) == said


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[int], list[str]]:
    """Return what the table looks like on a terminal of so many columns; 0 is a pipe."""

    def show(columns: int) -> list[str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: columns > 0)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        print_table(HEADERS, ROWS, prose=("description",), optional=("digest",))
        plain = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        return [line.rstrip() for line in plain.splitlines()]

    return show


def test_a_wide_terminal_shows_everything_in_a_line(printed: Callable[[int], list[str]]) -> None:
    header, first, second = printed(120)
    assert header.split() == list(HEADERS)
    assert ROWS[0][2] in first
    assert first.endswith(ROWS[0][3])
    assert second.split() == list(ROWS[1])


def test_a_narrower_one_wraps_prose_then_leaves_out_what_is_optional(printed: Callable[[int], list[str]]) -> None:
    assert "digest" in printed(70)[0]
    lines = printed(60)
    assert lines[0].split() == ["version", "stage", "description"]
    assert max(map(len, lines)) <= 60
    assert all(word in " ".join(lines) for word in ROWS[0][2].split())


def test_a_narrow_one_shows_a_block_a_row_with_everything(printed: Callable[[int], list[str]]) -> None:
    lines = printed(30)
    assert lines[0] == "version      demo/digits/2"
    assert lines[3] == f"digest       {ROWS[0][3]}"
    assert not lines[4]
    assert len(lines) == 9


def test_a_pipe_gets_tabs_and_no_headers(printed: Callable[[int], list[str]]) -> None:
    assert [line.split("\t") for line in printed(0)] == [list(row) for row in ROWS]


def test_what_came_from_elsewhere_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields([("description", "a\x1b[2Jb\nc")])
    assert capsys.readouterr().out == "description\ta\\x1b[2Jb\\nc\n"

"""The file-name rule that client and server share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.safe_path import MAX_PART_BYTES, MAX_PATH_BYTES, PathProblem, check_path, check_paths

ACCEPTED = [
    "model.joblib",
    "a/b/c.bin",
    "model-00001-of-00002.safetensors",
    ".gitattributes",
    ".hidden/file",
    "données/modèle.onnx",
    "模型/权重.bin",
    "with space/and (brackets) [1] + @ & = , ' ! $ ^ ~ {}",
    "100% sure.txt",
    "console.log",
    "com10.txt",
    "nullable.bin",
    "x" * MAX_PART_BYTES,
    "/".join(["é" * 100] * 5),
]

REFUSED = [
    "",
    "/etc/passwd",
    "//etc/passwd",
    "../x",
    "..",
    ".",
    "./x",
    "a/../../x",
    "a/..",
    "a/./b",
    "a//b",
    "a/",
    "C:\\x",
    "C:x",
    "c:/x",
    "\\\\host\\share",
    "a\\..\\b",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\x1b[2Jb",
    "a\x7fb",
    "a\x85b",
    "%2e%2e%2fx",
    "%2E%2E/x",
    "a%2fb",
    "%252e%252e%252fx",
    "a%00b",
    "..;/x",
    "a;b",
    "a#b",
    "a?b",
    "file://x",
    "a:b",
    "x" * (MAX_PART_BYTES + 1),
    "é" * (MAX_PART_BYTES // 2 + 1),
    "/".join(["x" * 200] * 6),
    "a\ud800b",
    "\udcff",
    "\uff0e\uff0e/x",
    "a\uff0fb",
    "a\uff3cb",
    "a\u2024b",
    "a\u2025b",
    "a\u2044b",
    "a\u2215b",
    "a\uff1ab",
    "a\uff05b",
    "invoice\u202egnp.exe",
    "a\u200fb",
    "a\u200bb",
    "a\ufeffb",
    "a\u2028b",
    "trailing.",
    "trailing ",
    "a./b",
    "a /b",
    "CON",
    "con.txt",
    "a/NUL",
    "aux.tar.gz",
    "LPT1",
    "com9.bin",
    "COM¹",
    "conin$",
    "cafe\u0301.bin",  # e + combining acute: not NFC
    ".git/hooks/pre-commit",
    "a/.GIT/config",
    ".hg/hgrc",
    ".svn/x",
]


@pytest.mark.parametrize("path", ACCEPTED)
def test_ordinary_names_are_accepted(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize("path", REFUSED, ids=ascii)
def test_dangerous_names_are_refused_with_the_problem(path: str) -> None:
    with pytest.raises(PathProblem) as caught:
        check_path(path)
    assert caught.value.path == path
    assert caught.value.problem
    assert str(caught.value).isascii() or str(caught.value).isprintable()


def test_limits_count_bytes_not_characters() -> None:
    check_path("/".join(["x" * 204] * 5))
    assert len("/".join(["x" * 204] * 5)) == MAX_PATH_BYTES
    with pytest.raises(PathProblem, match="1025 bytes"):
        check_path("/".join(["x" * 204] * 4) + "/" + "x" * 205)


@pytest.mark.parametrize(
    "paths",
    [
        ["Model.bin", "model.bin"],
        ["a/x", "A/y"],
        ["straße", "STRASSE"],
        ["a", "a"],
        ["a", "a/b"],
        ["a/b", "a"],
        ["a/b/c", "a/B"],
    ],
)
def test_names_that_collide_somewhere_are_refused_together(paths: list[str]) -> None:
    for path in paths:
        check_path(path)
    with pytest.raises(PathProblem):
        check_paths(paths)


def test_names_that_only_share_a_folder_do_not_collide() -> None:
    check_paths(["a/x", "a/y", "b", "c/a"])


segments = st.text(max_size=12) | st.sampled_from(["..", ".", "", "~", "%2e%2e", "con", "a\\..\\b", ".git"])


@given(st.lists(segments, min_size=1, max_size=6).map("/".join))
def test_an_accepted_name_stays_below_any_root(path: str) -> None:
    try:
        check_path(path)
    except PathProblem:
        return
    root = Path("/srv/root")
    for joined in (os.path.normpath(root / path), str(root / path)):
        assert joined == f"/srv/root/{path}"
    assert not Path(path).is_absolute()
    assert all(part not in {"", ".", ".."} for part in path.split("/"))


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), max_size=6))
def test_accepted_sets_are_distinct_on_a_case_insensitive_file_system(paths: list[str]) -> None:
    try:
        check_paths(paths)
    except PathProblem:
        return
    assert len({path.casefold() for path in paths}) == len(paths)

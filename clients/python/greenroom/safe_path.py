"""Which file paths an artifact may carry.

One rule for everybody: `push` applies it before it sends, the server before it commits, `pull` before it writes. A path
that passes names a file below whatever folder it is joined to, and the same file on every common file system.

    relative, `/`-separated and normalised: no empty part, no `.`, no `..`, no backslash, no drive letter
    no character that some reader decodes, hides or turns into another: controls, format characters such as
        right-to-left marks, percent-encodings, `;` `#` `?` `:`, look-alikes of dots and slashes
    NFC, no part that ends in a dot or a space, no Windows device name, no version-control folder
    at most 255 bytes a part and 1024 bytes in all, as UTF-8
    within one artifact no two paths that differ only by case, and no file that is also a folder
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_PATH_BYTES = 1024
"""Longest path, in bytes of UTF-8."""

MAX_PART_BYTES = 255
"""Longest part of a path, in bytes of UTF-8."""

VCS_FOLDERS = frozenset({".git", ".hg", ".svn", ".bzr", "_darcs", ".jj", "cvs"})
"""Folders of version-control systems, case-folded: writing into one can make it run programs."""

_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9¹²³])", re.IGNORECASE)
_PERCENT_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_REFUSED = {
    ";": "a semicolon",
    "#": "a number sign",
    "?": "a question mark",
    ":": "a colon",
    "\\": "a backslash; parts are separated by /",
}
# Characters that look like a separator and have no compatibility decomposition to it.
_SEPARATOR_LOOKALIKES = frozenset("\u2044\u2215\u2216\u29f5\u29f8\u29f9")
_MEANINGFUL = frozenset("./\\:;#?%")
# Control, format, surrogate, line separator, paragraph separator.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class PathProblem(ValueError):
    """A path that an artifact must not carry.

    Attributes:
        path: the path as given.
        problem: what is wrong with it, without the path, such as `has a part ".."`.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{shown(path)} {problem}")
        self.path = path
        self.problem = problem


def check_path(path: str) -> None:
    """Return when `path` is safe on its own.

    Raises:
        PathProblem: with the first rule that is broken.
    """
    problem = _whole_problem(path)
    if problem is None:
        for part in path.split("/"):
            problem = _part_problem(part)
            if problem is not None:
                break
    if problem is not None:
        raise PathProblem(path, problem)


def check_paths(paths: Iterable[str]) -> None:
    """Return when all paths are safe, alone and together.

    Raises:
        PathProblem: for the first path that is unsafe or collides with an earlier one.
    """
    spellings: dict[str, str] = {}
    files: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        check_path(path)
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            prefix = "/".join(parts[:depth])
            key = unicodedata.normalize("NFC", prefix.casefold())
            spelling = spellings.setdefault(key, prefix)
            if spelling != prefix:
                raise PathProblem(path, f"differs only by case from {shown(spelling)}")
            is_file = depth == len(parts)
            if is_file and key in files:
                raise PathProblem(path, "appears twice")
            if key in (folders if is_file else files):
                raise PathProblem(path, f"needs {shown(prefix)} to be a file and a folder")
            (files if is_file else folders).add(key)


def shown(path: str) -> str:
    """Return `path` quoted for a message: nothing in it can move the cursor or hide text."""
    return ascii(path if len(path) <= 200 else path[:200] + "…")


def _whole_problem(path: str) -> str | None:
    if not path:
        return "is empty"
    if path.startswith("/"):
        return "is absolute; paths are relative to the artifact's root"
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if size > MAX_PATH_BYTES:
        return f"has {size} bytes; at most {MAX_PATH_BYTES} are accepted"
    for character in path:
        problem = _character_problem(character)
        if problem is not None:
            return problem
    if _PERCENT_ENCODED.search(path):
        return "has a percent-encoded character, which some readers decode"
    if not unicodedata.is_normalized("NFC", path):
        return "is not in Unicode normal form C"
    return None


def _character_problem(character: str) -> str | None:
    if character in _REFUSED:
        return f"has {_REFUSED[character]}"
    if character.isascii() and character.isprintable():
        return None
    if unicodedata.category(character) in _HIDDEN:
        return f"has a control or format character (U+{ord(character):04X})"
    if character in _SEPARATOR_LOOKALIKES or _MEANINGFUL & set(unicodedata.normalize("NFKC", character)):
        return f"has a character that is read as . / \\ : ; # ? or % elsewhere (U+{ord(character):04X})"
    return None


def _part_problem(part: str) -> str | None:
    if not part:
        return "has an empty part"
    if part in {".", ".."}:
        return f'has a part "{part}"'
    if part[-1] in ". ":
        return "has a part that ends in a dot or a space"
    size = len(part.encode())
    if size > MAX_PART_BYTES:
        return f"has a part of {size} bytes; at most {MAX_PART_BYTES} are accepted"
    if _DEVICE.fullmatch(part.split(".", 1)[0].rstrip(" ")):
        return "has a part that is a device name on Windows"
    if part.casefold() in VCS_FOLDERS:
        return f"has a part {shown(part)}, the folder of a version-control system"
    return None

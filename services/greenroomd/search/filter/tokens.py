"""Cuts a filter or a sort order into tokens."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum

from greenroomd.search.errors import Malformed

LONGEST = 4096
"""Characters of a filter. The request is checked against the same bound before it comes here."""

SHOWN = 40
"""Characters of a wrong piece that a message repeats."""

SPACE = re.compile(r"[ \t\r\n]*")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
QUALIFIER = re.compile(r"[A-Za-z0-9_./-]+")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
OPERATOR = re.compile(r"!=|<=|>=|[=<>:]")
PLAIN = re.compile(r'[^"\\\0]*')
ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}


class Kind(Enum):
    """What a token is."""

    NAME = "a name"
    DATASET = "@"
    SLICE = "#"
    TEXT = "a text"
    NUMBER = "a number"
    OPERATOR = "a comparison"
    OPEN = "("
    CLOSE = ")"
    STAR = "*"
    COMMA = ","
    END = "the end"


SINGLE = {"(": Kind.OPEN, ")": Kind.CLOSE, "*": Kind.STAR, ",": Kind.COMMA}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text."""

    kind: Kind
    position: int
    """0-based, in characters."""
    text: str
    """As it was written."""
    value: str | int | float = ""
    """What it stands for: the text without quotes, the number."""

    def __str__(self) -> str:
        return "the end" if self.kind is Kind.END else quote(self.text)


def quote(text: str) -> str:
    """Return a piece of the caller's text, cut to a length that fits a message."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def tokens(text: str, malformed: type[Malformed]) -> list[Token]:
    """Return the tokens of `text`; the last is END. Raises `malformed(position, problem)`."""
    if len(text) > LONGEST:
        raise _error(malformed, LONGEST, f"is longer than {LONGEST} characters")
    return _Lexer(text, malformed).run()


def _error(malformed: type[Malformed], position: int, problem: str) -> Malformed:
    create: type = malformed
    error: Malformed = create(position, problem)
    return error


class _Lexer:
    def __init__(self, text: str, malformed: type[Malformed]) -> None:
        self._text = text
        self._malformed = malformed
        self._at = 0
        self._found: list[Token] = []

    def run(self) -> list[Token]:
        while True:
            after_space = _match(SPACE, self._text, self._at).end()
            adjacent, self._at = after_space == self._at, after_space
            if self._at == len(self._text):
                self._add(Kind.END, self._at)
                return self._found
            self._next(adjacent)

    def _next(self, adjacent: bool) -> None:
        first = self._text[self._at]
        if first == '"':
            self._add(Kind.TEXT, *self._quoted(self._at))
        elif first in "@#":
            self._qualifier(Kind(first), adjacent)
        elif first in SINGLE:
            self._add(SINGLE[first], self._at + 1)
        elif found := NAME.match(self._text, self._at):
            self._add(Kind.NAME, found.end(), found[0])
        elif found := NUMBER.match(self._text, self._at):
            self._number(found)
        elif found := OPERATOR.match(self._text, self._at):
            self._add(Kind.OPERATOR, found.end(), found[0])
        elif first in "'“”‘’":
            raise self._wrong(self._at, 'a text stands in straight double quotes: "risk"')
        else:
            raise self._wrong(self._at, f"{first!r} is not expected here")

    def _qualifier(self, kind: Kind, adjacent: bool) -> None:
        if not (adjacent and self._found and self._found[-1].kind in (Kind.NAME, Kind.DATASET)):
            raise self._wrong(self._at, f"{kind.value} directly follows a field, as in metric.f1@holdout")
        start = self._at + 1
        if self._text[start : start + 1] == '"':
            self._add(kind, *self._quoted(start))
        elif found := QUALIFIER.match(self._text, start):
            self._add(kind, found.end(), found[0])
        else:
            raise self._wrong(start, f"a name is expected after {kind.value}; quote one with other characters")

    def _number(self, found: re.Match[str]) -> None:
        if NAME.match(self._text, found.end()):
            raise self._wrong(self._at, "a text stands in double quotes; a number has digits only")
        number = float(found[0])
        if not math.isfinite(number):
            raise self._wrong(self._at, f"{quote(found[0])} is too large for a number")
        whole = int(found[0]) if found[1] is None and found[2] is None else None
        self._add(Kind.NUMBER, found.end(), number if whole is None or abs(whole) >= 2**63 else whole)

    def _quoted(self, start: int) -> tuple[int, str]:
        """Read the text in quotes that starts at `start`; return where it ends and what it says."""
        parts: list[str] = []
        at = start + 1
        while True:
            plain = _match(PLAIN, self._text, at)
            parts.append(plain[0])
            at = plain.end()
            stop = self._text[at : at + 1]
            if stop == '"':
                return at + 1, "".join(parts)
            if stop == "":
                raise self._wrong(start, "the text that begins here has no closing quote")
            if stop == "\0":
                raise self._wrong(at, "a text cannot hold the NUL character")
            escaped = ESCAPES.get(self._text[at + 1 : at + 2])
            if escaped is None:
                raise self._wrong(at, r"known escapes are \" \\ \n \t")
            parts.append(escaped)
            at += 2

    def _add(self, kind: Kind, end: int, value: str | int | float = "") -> None:
        self._found.append(Token(kind, self._at, self._text[self._at : end], value))
        self._at = end

    def _wrong(self, position: int, problem: str) -> Malformed:
        return _error(self._malformed, position, problem)


def _match(pattern: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    """Match a pattern that also matches nothing."""
    found = pattern.match(text, at)
    if found is None:
        raise AssertionError(pattern.pattern)
    return found

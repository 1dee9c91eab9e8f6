"""Selectors: how a client names a version.

    namespace/model/7                 the version with this number
    namespace/model@latest            the newest READY version
    namespace/model@production        the version in a stage; of several the one that entered last
    namespace/model@champion          the version that an alias points to
    namespace/model@sha256:<64 hex>   the newest READY version with these bytes
    namespace/model@^1.2              the highest semantic version in a range: a digit or one of ^ ~ < > = begins it

The model and the version may also be written as resource names: `namespaces/n/models/m@latest`,
`namespaces/n/models/m/versions/7`. No name fits two lines of this table: aliases that would are reserved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from greenroom import names
from greenroomd.lifecycle.domain import StageGraph
from greenroomd.lifecycle.errors import SelectorMalformed
from greenroomd.lifecycle.graph import LATEST

RANGE_START = "0123456789^~<>="
DIGEST_PREFIX = "sha256:"
HEX = "0123456789abcdef"
NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789._-"

RESERVED = re.compile(
    r"\d.*"  # would be read as a range
    r"|v\d+(\.\d+)+([-+].*)?"  # looks like one
    r"|sha\d+([-:].*)?|[0-9a-f]{32,}"  # looks like a digest
)


@dataclass(frozen=True, slots=True)
class ByNumber:
    number: int


@dataclass(frozen=True, slots=True)
class ByLatest:
    pass


@dataclass(frozen=True, slots=True)
class ByName:
    """A stage or an alias: the graph of the namespace tells which."""

    name: str


@dataclass(frozen=True, slots=True)
class ByDigest:
    digest: str


@dataclass(frozen=True, slots=True)
class BySemver:
    range: str
    position: int
    """Where the range starts in the selector."""


@dataclass(frozen=True, slots=True)
class Selector:
    text: str
    namespace: str
    """Resource name."""
    model: str
    """Resource name."""
    by: ByNumber | ByLatest | ByName | ByDigest | BySemver


def parse(text: str) -> Selector:
    """Read a selector. Raises SelectorMalformed with the position of the first character that does not fit."""
    return _Parser(text).selector()


def is_reserved(alias: str, graph: StageGraph) -> bool:
    """Return whether an alias of this name could be taken for something else."""
    return alias == LATEST or alias in graph.ids or RESERVED.fullmatch(alias) is not None


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def selector(self) -> Selector:
        # The short form has at most two slashes, the long one at least three.
        resource_name = self._text.startswith("namespaces/") and self._text.partition("@")[0].count("/") > 2
        if resource_name:
            self._literal("namespaces/")
        namespace = f"namespaces/{self._segment('namespace')}"
        self._literal("/models/" if resource_name else "/")
        model = f"{namespace}/models/{self._segment('model')}"
        if self._peek() == "/":
            self._literal("/versions/" if resource_name else "/")
            return Selector(self._text, namespace, model, self._number())
        if self._peek() != "@":
            raise self._malformed("expected / and a number, or @ and a stage, alias, digest, range or latest")
        self._position += 1
        return Selector(self._text, namespace, model, self._reference())

    def _reference(self) -> ByLatest | ByName | ByDigest | BySemver:
        start, rest = self._position, self._text[self._position :]
        if not rest:
            raise self._malformed("expected a stage, alias, digest, range or latest after @")
        if rest.startswith(DIGEST_PREFIX):
            self._position += len(DIGEST_PREFIX)
            self._run(HEX, 64, "64 lower-case hex digits after sha256:")
            return ByDigest(rest)
        if rest[0] in RANGE_START:
            return BySemver(rest, start)
        if rest == LATEST:
            return ByLatest()
        return ByName(self._name(rest, f"a stage or alias: {names.HINTS['alias']}", ("stage", "alias")))

    def _number(self) -> ByNumber:
        rest = self._text[self._position :]
        if not rest or rest[0] == "0":
            raise self._malformed(f"expected {names.HINTS['version']}")
        self._run("0123456789", None, names.HINTS["version"])
        if len(rest) > 18:
            raise SelectorMalformed(self._text, self._position - len(rest) + 18, "expected at most 18 digits")
        return ByNumber(int(rest))

    def _segment(self, variable: str) -> str:
        """Read up to the next separator."""
        found = re.compile("[^/@]*").match(self._text, self._position)
        text = found[0] if found else ""
        return self._name(text, f"a {variable}: {names.HINTS[variable]}", (variable,))

    def _name(self, text: str, expected: str, variables: tuple[str, ...]) -> str:
        """Read `text`, which stands at the position and must fit one of the variables of resource names."""
        if not any(re.fullmatch(names.SEGMENTS[variable], text, re.ASCII) for variable in variables):
            wrong = next((index for index, character in enumerate(text) if character not in NAME_CHARACTERS), 0)
            self._position += wrong
            raise self._malformed(f"expected {expected}")
        self._position += len(text)
        return text

    def _run(self, characters: str, length: int | None, expected: str) -> None:
        """Read the rest of the text, all of which must be of `characters`."""
        start = self._position
        while self._peek() and self._peek() in characters and (length is None or self._position < start + length):
            self._position += 1
        if self._peek() or (length is not None and self._position < start + length):
            raise self._malformed(f"expected {expected}")

    def _literal(self, literal: str) -> None:
        for character in literal:
            if self._peek() != character:
                raise self._malformed(f"expected {literal}")
            self._position += 1

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _malformed(self, problem: str) -> SelectorMalformed:
        return SelectorMalformed(self._text, self._position, problem)

"""Semantic versions (semver.org 2.0.0): order, and the ranges that a selector may name.

A range is one or more comparators separated by commas, all of which must hold:

    1.4.0      exactly this        >=1.2  >1.2  <=2  <2  =1.4.0
    ^1.2       same major (same minor below 1.0, same patch below 0.1)
    ~1.2       same minor; ~1 same major

A comparator may leave out minor and patch. As npm does, a pre-release matches only where a comparator of the range
names a pre-release of the same major.minor.patch: `^1.2` never gives out `1.3.0-rc.1`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import total_ordering

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
COMPARATOR = re.compile(r"\s*(\^|~|>=|<=|>|<|=)?\s*(\d+)(?:\.(\d+))?(?:\.(\d+)(?:-([0-9A-Za-z.-]+))?)?\s*")


@total_ordering
@dataclass(frozen=True, slots=True)
class Semver:
    """A parsed version. Build metadata takes no part in order or equality (semver.org, rule 10)."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[str, ...] = ()

    @property
    def release(self) -> tuple[int, int, int]:
        return (self.major, self.minor, self.patch)

    def _key(self) -> tuple[tuple[int, int, int], bool, list[tuple[bool, int, str]]]:
        # Rule 11: a release comes after its pre-releases; numeric parts compare as numbers and before words.
        parts = [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in self.prerelease]
        return (self.release, not self.prerelease, parts)

    def __lt__(self, other: Semver) -> bool:
        return self._key() < other._key()


def parse(text: str) -> Semver:
    """Return a semantic version. Raises ValueError when `text` is not one."""
    match = VERSION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a semantic version such as 1.4.0 or 2.0.0-rc.1")
    major, minor, patch, prerelease = match.groups()
    return Semver(int(major), int(minor), int(patch), tuple(prerelease.split(".")) if prerelease else ())


@dataclass(frozen=True, slots=True)
class Range:
    """A parsed range."""

    comparators: tuple[Callable[[Semver], bool], ...]
    prereleases: frozenset[tuple[int, int, int]]
    """Releases whose pre-releases the range names."""

    def __contains__(self, version: Semver) -> bool:
        if version.prerelease and version.release not in self.prereleases:
            return False
        return all(comparator(version) for comparator in self.comparators)


def parse_range(text: str) -> Range:
    """Return a range. Raises ValueError, naming the part that cannot be read."""
    comparators: list[Callable[[Semver], bool]] = []
    prereleases: set[tuple[int, int, int]] = set()
    for part in text.split(","):
        match = COMPARATOR.fullmatch(part)
        if match is None:
            raise ValueError(f"{part.strip()!r} is not a comparator such as ^1.2, ~1.2.3, >=1.2 or 1.4.0")
        operator, major, minor, patch, prerelease = match.groups()
        given = [int(number) for number in (major, minor, patch) if number is not None]
        low = _padded(given, tuple(prerelease.split(".")) if prerelease else ())
        if low.prerelease:
            prereleases.add(low.release)
        comparators.append(_comparator(operator or "=", low, len(given)))
    return Range(tuple(comparators), frozenset(prereleases))


def _comparator(operator: str, low: Semver, given: int) -> Callable[[Semver], bool]:
    """Return the test of one comparator. `given` is how many of major, minor and patch it names."""
    after = _after(low, given)
    match operator:
        case "^":
            fixed = next((index for index, number in enumerate(low.release[:given]) if number), given - 1)
            return _between(low, _after(low, fixed + 1))
        case "~":
            return _between(low, _after(low, min(given, 2)))
        case "=":
            return _between(low, after) if given < 3 else lambda version: version == low
        case ">=":
            return lambda version: version >= low
        case "<":
            return lambda version: version < low
        case ">":
            return (lambda version: version > low) if given == 3 else (lambda version: version >= after)
        case _:
            return (lambda version: version <= low) if given == 3 else (lambda version: version < after)


def _between(low: Semver, after: Semver) -> Callable[[Semver], bool]:
    return lambda version: low <= version and version.release < after.release


def _after(low: Semver, parts: int) -> Semver:
    """Return the first release beyond everything that shares the first `parts` numbers with `low`."""
    numbers = list(low.release[:parts])
    numbers[-1] += 1
    return _padded(numbers)


def _padded(numbers: list[int], prerelease: tuple[str, ...] = ()) -> Semver:
    """Return the version with zeros for the numbers that are left out."""
    major, minor, patch = (*numbers, 0, 0)[:3]
    return Semver(major, minor, patch, prerelease)

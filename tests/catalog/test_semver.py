"""Semantic versions and ranges, against the tables of semver.org and npm's documentation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroomd.catalog.semver import Semver, parse, parse_range

PRECEDENCE = [  # semver.org, rule 11
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.1.0",
    "2.0.0",
]


def test_precedence() -> None:
    versions = [parse(text) for text in PRECEDENCE]
    assert versions == sorted(versions)
    assert len(set(versions)) == len(versions)


def test_build_metadata_takes_no_part() -> None:
    assert parse("1.0.0+a") == parse("1.0.0+b")


@pytest.mark.parametrize(
    ("range_text", "inside", "outside"),
    [
        ("1.4.0", ["1.4.0"], ["1.4.1", "1.3.9"]),
        ("1.4", ["1.4.0", "1.4.9"], ["1.5.0", "1.3.9"]),
        ("1", ["1.0.0", "1.9.9"], ["2.0.0", "0.9.0"]),
        ("^1.2", ["1.2.0", "1.9.9"], ["1.1.9", "2.0.0", "1.3.0-rc.1"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "0.2.2"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("^0", ["0.0.0", "0.9.0"], ["1.0.0"]),
        ("^0.0", ["0.0.0", "0.0.9"], ["0.1.0"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0", "1.2.2"]),
        ("~1.2", ["1.2.0", "1.2.9"], ["1.3.0"]),
        ("~1", ["1.0.0", "1.9.9"], ["2.0.0"]),
        (">=1.2, <2", ["1.2.0", "1.9.9"], ["2.0.0", "1.1.9"]),
        (">1.2", ["1.3.0"], ["1.2.0", "1.2.9"]),
        (">1.2.0", ["1.2.1"], ["1.2.0"]),
        ("<=1.2", ["1.2.9", "0.1.0"], ["1.3.0"]),
        (">=1.0.0-rc.1", ["1.0.0-rc.2", "1.0.0", "3.0.0"], ["1.0.0-beta", "1.1.0-rc.1"]),
        ("^1.2.3-beta.2", ["1.2.3-beta.4", "1.2.3", "1.9.0"], ["1.2.3-beta.1", "1.2.4-beta.2", "2.0.0"]),
    ],
)
def test_ranges(range_text: str, inside: list[str], outside: list[str]) -> None:
    wanted = parse_range(range_text)
    assert [text for text in inside if parse(text) not in wanted] == []
    assert [text for text in outside if parse(text) in wanted] == []


@pytest.mark.parametrize("text", ["", "^", "1.2.3.4", "latest", ">=1 <2", "1..2", "=>1", "v1", "1.x", "^1,"])
def test_what_is_no_range_is_refused_with_the_part_that_is_wrong(text: str) -> None:
    with pytest.raises(ValueError, match="is not a comparator such as"):
        parse_range(text)


numbers = st.integers(0, 5)


@given(numbers, numbers, numbers, numbers, numbers, numbers)
def test_a_caret_range_never_leaves_the_leftmost_nonzero_number(a: int, b: int, c: int, x: int, y: int, z: int) -> None:
    low, other = Semver(a, b, c), Semver(x, y, z)
    if other in parse_range(f"^{a}.{b}.{c}"):
        assert other >= low
        fixed = next((i for i, number in enumerate(low.release) if number), 2)
        assert other.release[: fixed + 1] == low.release[: fixed + 1]

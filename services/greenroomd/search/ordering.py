"""The sort order of a search: its language, and a position in it as texts for a page token.

    order_by = key { "," key }
    key      = field [ "asc" | "desc" ]

Versions that lack what is sorted by come last in both directions. The name is always the last key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Literal

from greenroomd.search.errors import OrderMalformed, PageTokenInvalid
from greenroomd.search.filter.expression import Column, MetricField, ValueField
from greenroomd.search.filter.fields import read_field, unknown
from greenroomd.search.filter.tokens import Kind, Token, tokens

MOST_KEYS = 5

DIRECTIONS = {"asc": False, "desc": True}

SortValue = str | int | float | Decimal | datetime | None


class Score(Enum):
    """How well a version matches the text."""

    SCORE = "score"


@dataclass(frozen=True, slots=True)
class ValueKey:
    """A parameter or tag as far as it is a number, or as far as it is a text."""

    field: ValueField
    kind: Literal["number", "text"]


SortField = Column | MetricField | ValueKey | Score


@dataclass(frozen=True, slots=True)
class SortKey:
    field: SortField
    descending: bool = False

    @property
    def nullable(self) -> bool:
        """Whether some versions have no such value."""
        return isinstance(self.field, MetricField | ValueKey)


SORTABLE = {
    column.value: column
    for column in (
        Column.NAME,
        Column.NAMESPACE,
        Column.MODEL,
        Column.NUMBER,
        Column.CREATE_TIME,
        Column.CREATOR,
        Column.STAGE,
        Column.FRAMEWORK,
        Column.TASK,
    )
}
SPELLINGS = (*SORTABLE, "metric.NAME", "param.NAME", "tag.NAME")

BY_NAME = SortKey(Column.NAME)
BEST_FIRST = (SortKey(Score.SCORE, descending=True), BY_NAME)
NEWEST_FIRST = (SortKey(Column.CREATE_TIME, descending=True), BY_NAME)


def parse_order(text: str, *, with_text: bool) -> tuple[SortKey, ...]:
    """Return the keys to sort by, the name last; without any, best match first with a text, else newest first.

    Raises:
        OrderMalformed: with position and problem.
    """
    found = tokens(text, OrderMalformed)
    if found[0].kind is Kind.END:
        return BEST_FIRST if with_text else NEWEST_FIRST
    keys: list[SortKey] = []
    count = 0
    at = 0
    while True:
        if count == MOST_KEYS:
            raise OrderMalformed(found[at].position, f"an order has at most {MOST_KEYS} keys")
        at = _read_key(found, at, keys)
        count += 1
        if found[at].kind is Kind.END:
            return (*keys, BY_NAME)
        if found[at].kind is not Kind.COMMA:
            raise OrderMalformed(found[at].position, f"asc, desc or a comma is expected, not {found[at]}")
        at += 1


def _read_key(found: Sequence[Token], at: int, keys: list[SortKey]) -> int:
    """Add what one key stands for, and return where the next token is."""
    name = found[at]
    if name.kind is not Kind.NAME:
        raise OrderMalformed(name.position, f"a field is expected, such as create_time or metric.f1, not {name}")
    at += 1
    qualifiers: dict[Kind, Token] = {}
    for kind in (Kind.DATASET, Kind.SLICE):
        if found[at].kind is kind:
            qualifiers[kind] = found[at]
            at += 1
    descending = False
    if found[at].kind is Kind.NAME and found[at].text in DIRECTIONS:
        descending = DIRECTIONS[found[at].text]
        at += 1
    text = str(name.value)
    if text in SORTABLE and not qualifiers:
        keys.append(SortKey(SORTABLE[text], descending))
        return at
    field = read_field(name, qualifiers.get(Kind.DATASET), qualifiers.get(Kind.SLICE), _not_sortable(text))
    match field:
        case MetricField():
            keys.append(SortKey(field, descending))
        case ValueField():
            # Numbers first, then texts: a value is one or the other.
            keys.append(SortKey(ValueKey(field, "number"), descending))
            keys.append(SortKey(ValueKey(field, "text"), descending))
        case _:
            raise OrderMalformed(name.position, f"cannot sort by {text}; known are {', '.join(sorted(SPELLINGS))}")
    return at


def _not_sortable(text: str) -> Callable[[int, str], OrderMalformed]:
    def fail(position: int, problem: str) -> OrderMalformed:
        is_unknown = problem.startswith("there is no field")
        return OrderMalformed(position, unknown(text, SPELLINGS) if is_unknown else problem)

    return fail


def _read_float(text: str) -> float:
    return float.fromhex(text)


READ: Mapping[str, Callable[[str], SortValue]] = {
    "t": str,
    "i": int,
    "f": _read_float,
    "d": Decimal,
    "m": datetime.fromisoformat,
}


def write_position(values: Sequence[SortValue]) -> list[str]:
    """Return the sort values of a row as texts from which they are read back exactly."""
    return [_write(value) for value in values]


def _write(value: SortValue) -> str:
    match value:
        case None:
            return "n"
        case str():
            return "t" + value
        case int():
            return f"i{value}"
        case float():
            return "f" + value.hex()
        case Decimal():
            return f"d{value}"
        case datetime():
            return "m" + value.isoformat()


def read_position(texts: Sequence[str], keys: Sequence[SortKey]) -> tuple[SortValue, ...]:
    """Return the sort values that `write_position` wrote. Raises PageTokenInvalid."""
    try:
        values = tuple(None if text == "n" else READ[text[0]](text[1:]) for text in texts)
    except (KeyError, IndexError, ValueError, OverflowError, InvalidOperation, TypeError):
        raise PageTokenInvalid from None
    if len(values) != len(keys) or not all(_fits(key, value) for key, value in zip(keys, values, strict=True)):
        raise PageTokenInvalid
    return values


def _fits(key: SortKey, value: SortValue) -> bool:
    if value is None:
        return key.nullable
    match key.field:
        case MetricField() | Score.SCORE:
            return isinstance(value, float)
        case ValueKey(kind="number"):
            return isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 400
        case Column.NUMBER:
            return isinstance(value, int) and abs(value) < 2**63
        case Column.CREATE_TIME:
            return isinstance(value, datetime) and value.tzinfo is not None
        case _:
            return isinstance(value, str) and "\0" not in value

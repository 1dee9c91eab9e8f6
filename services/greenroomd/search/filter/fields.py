"""The fields of a filter: what each is called, and what it may be compared with."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from difflib import get_close_matches

from greenroomd.search.errors import FilterMalformed, Malformed
from greenroomd.search.filter.expression import (
    PRESENT,
    Column,
    Comparison,
    DeploymentStateField,
    Field,
    MetricField,
    Operand,
    Operator,
    Present,
    ValueField,
)
from greenroomd.search.filter.tokens import Token, quote

DEPLOYMENT_STATES = ("starting", "running", "failed", "stopped")

COLUMNS = {column.value: column for column in Column if column is not Column.NAME}
SPELLINGS = (*COLUMNS, "metric.NAME", "param.NAME", "tag.NAME", "deployment.state")

ORDERED = (Operator.LESS, Operator.AT_MOST, Operator.GREATER, Operator.AT_LEAST)
COMPARED = (Operator.EQUAL, *ORDERED)

TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d))?", re.ASCII)

Fail = Callable[[int, str], Malformed]


def read_field(name: Token, dataset: Token | None, slice: Token | None, fail: Fail) -> Field:
    """Return the field that a name with its `@` and `#` parts stands for. Raises what `fail` makes."""
    text = str(name.value)
    head, _, key = text.partition(".")
    match head:
        case "metric" if key:
            return MetricField(key, None if dataset is None else _text(dataset), "" if slice is None else _text(slice))
        case "deployment" if key == "state":
            _refuse(slice, fail, "deployment.state has no slices")
            return DeploymentStateField(None if dataset is None else _text(dataset))
    for qualifier in (dataset, slice):
        _refuse(qualifier, fail, "@ follows metric.NAME or deployment.state only, # follows metric.NAME only")
    match head:
        case "param" if key:
            return ValueField("param", key)
        case "tag" if key:
            return ValueField("tag", key)
        case "metric" | "param" | "tag":
            raise fail(name.position, f"{head} needs a name: {head}.NAME")
        case _ if text in COLUMNS:
            return COLUMNS[text]
    raise fail(name.position, unknown(text, SPELLINGS))


def unknown(text: str, spellings: Collection[str]) -> str:
    """Return the problem of an unknown field, with the known one that is nearest."""
    head, dot, key = text.partition(".")
    named = [spelling.removesuffix(".NAME") for spelling in spellings if spelling.endswith(".NAME")]
    if dot and (near := get_close_matches(head, named, n=1)):
        guess = f"{near[0]}.{key or 'NAME'}"
    elif near := get_close_matches(text, [*named, *spellings], n=1):
        guess = f"{near[0]}.NAME" if near[0] in named else near[0]
    else:
        return f"there is no field {quote(text)}; known are {', '.join(sorted(spellings))}"
    return f"there is no field {quote(text)}; did you mean {quote(guess)}?"


def _text(token: Token) -> str:
    return str(token.value)


def _refuse(token: Token | None, fail: Fail, problem: str) -> None:
    if token is not None:
        raise fail(token.position, problem)


def compare(field: Field, operator: Operator, at: int, operand: Operand, operand_at: int, shown: str) -> Comparison:
    """Return the condition, after checking that the field takes this comparison with this operand.

    Args:
        field: what is compared.
        operator: how.
        at: where the operator stands.
        operand: with what.
        operand_at: where that stands.
        shown: the field as it was written.

    Raises:
        FilterMalformed: with the position of what does not fit.
    """
    if isinstance(operand, Present):
        if field in (Column.NUMBER, Column.CREATE_TIME):
            raise FilterMalformed(at, f"{shown} is always there")
        return Comparison(field, Operator.HAS, PRESENT)
    match field:
        case MetricField() | Column.NUMBER:
            _accept(shown, operator, COMPARED, at)
            if isinstance(operand, bool | str | datetime):
                raise FilterMalformed(operand_at, f"{shown} is a number; compare it with one, such as 0.9")
        case Column.CREATE_TIME:
            _accept(shown, operator, COMPARED, at)
            operand = read_time(operand, shown, operand_at)
        case Column.DESCRIPTION:
            _accept(shown, operator, (Operator.HAS,), at)
            _require_text(operand, shown, operand_at)
        case DeploymentStateField():
            _accept(shown, operator, (Operator.EQUAL,), at)
            operand = _state(operand, operand_at)
        case ValueField():
            _check_value(shown, operator, at, operand, operand_at)
        case _:
            _accept(shown, operator, (Operator.EQUAL, Operator.HAS), at)
            _require_text(operand, shown, operand_at)
    return Comparison(field, operator, operand)


def _check_value(shown: str, operator: Operator, at: int, operand: Operand, operand_at: int) -> None:
    if operator is Operator.HAS:
        if not isinstance(operand, str):
            raise FilterMalformed(operand_at, f"{shown}: takes a text or *; use = for numbers, true and false")
    elif operator in ORDERED and isinstance(operand, bool):
        raise FilterMalformed(at, "true and false have no order; use = or !=")


def _accept(shown: str, operator: Operator, accepted: Collection[Operator], at: int) -> None:
    if operator not in accepted:
        signs = [sign.value for sign in accepted]
        if "=" in signs:
            signs.insert(1, "!=")
        raise FilterMalformed(at, f"{shown} is compared with {' '.join(signs)}, not with {operator.value}")


def _require_text(operand: Operand, shown: str, at: int) -> None:
    if not isinstance(operand, str):
        raise FilterMalformed(at, f'{shown} is a text; compare it with one in double quotes, such as "abc"')


def _state(operand: Operand, at: int) -> str:
    state = operand.lower() if isinstance(operand, str) else ""
    if state not in DEPLOYMENT_STATES:
        raise FilterMalformed(at, f"a deployment is in one of {', '.join(map(repr, DEPLOYMENT_STATES))}")
    return state


def read_time(operand: Operand, shown: str, at: int) -> datetime:
    """Return the moment, in UTC, that an RFC 3339 text or a date stands for. Raises FilterMalformed."""
    found = TIME.fullmatch(operand) if isinstance(operand, str) else None
    if found is None:
        raise FilterMalformed(at, f'{shown} is a time; compare it with "2026-11-30T12:00:00Z" or "2026-11-30"')
    day, time, fraction, zone = found.groups()
    text = day + "T" + (time or "00:00:00") + "." + (fraction or "")[:6].ljust(6, "0")
    try:
        return datetime.fromisoformat(text + (zone or "Z").upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise FilterMalformed(at, f"{quote(found[0])} is not a time: {error}") from None

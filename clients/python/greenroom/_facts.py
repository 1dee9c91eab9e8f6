"""Plain Python values as the facts of a version."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from greenroom.catalog.v1.facts_pb2 import Metric
from greenroom.errors import FieldInvalid, FieldViolation
from greenroom.type.v1.value_pb2 import Value, ValueList

ParamValue = bool | int | float | str | Sequence[bool | int | float | str] | Value
"""What a parameter or a tag can be. NumPy scalars are taken as the Python number they hold."""

Metrics = Mapping[str, float] | Iterable[Metric]
"""Metrics by name, or by `name@dataset`; or `Metric` messages for slices, steps, units and directions."""

_INT64 = range(-(2**63), 2**63)


def to_metrics(metrics: Metrics) -> list[Metric]:
    """Return `Metric` messages.

    Raises:
        FieldInvalid: a value is not a finite number: a metric that could not be computed is left out.
    """
    if not isinstance(metrics, Mapping):
        return list(metrics)
    found = []
    for key, value in metrics.items():
        name, _, dataset = key.partition("@")
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise _invalid(f"metrics[{key!r}]", f"{value!r} is not a finite number; leave out what was not computed")
        found.append(Metric(name=name, dataset=dataset, value=number))
    return found


def to_values(values: Mapping[str, ParamValue], field: str) -> dict[str, Value]:
    """Return typed values by name; `field` names the mapping in messages.

    Raises:
        FieldInvalid: a value is none of bool, int, float, str or a flat list of these.
    """
    return {name: to_value(value, f"{field}[{name!r}]") for name, value in values.items()}


def to_value(value: Any, field: str) -> Value:
    """Return a typed value. Raises as `to_values`."""
    if isinstance(value, Value):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return Value(list_value=ValueList(values=[_scalar(one, field) for one in value]))
    return _scalar(value, field)


def from_value(value: Value) -> bool | int | float | str | list[Any] | None:
    """Return the Python value of a typed value; None when no kind is set."""
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "list_value":
        return [from_value(one) for one in value.list_value.values]
    scalar: bool | int | float | str = getattr(value, kind)
    return scalar


def _scalar(value: Any, field: str) -> Value:
    if not isinstance(value, bool | int | float | str) and hasattr(value, "item"):
        value = value.item()  # a NumPy scalar
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, int) and value in _INT64:
        return Value(int_value=value)
    if isinstance(value, float) and math.isfinite(value):
        return Value(double_value=value)
    if isinstance(value, str):
        return Value(string_value=value)
    raise _invalid(field, f"{value!r} is not a bool, a 64-bit integer, a finite float, a text, or a flat list of these")


def _invalid(field: str, message: str) -> FieldInvalid:
    return FieldInvalid(f"{field}: {message}", violations=[FieldViolation(field, message)])

"""Reads what is given as `key=value` on the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import typer
from google.protobuf import json_format

from greenroom.catalog.v1.facts_pb2 import Dataset, Metric
from greenroom.lifecycle.v1.stage_graph_pb2 import StageGraph
from greenroom.roles import Role

Parsed = TypeVar("Parsed")


def parse_metric(text: str) -> Metric:
    """Read `name=0.97` or `name@dataset=0.97`.

    Raises:
        ValueError: it has another form, or the value is not a finite number.
    """
    key, separator, value = text.rpartition("=")
    name, at, dataset = key.partition("@")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not separator or not name or (at and not dataset) or not math.isfinite(number):
        raise ValueError(f"{text!r} is not name=number or name@dataset=number, such as accuracy@holdout=0.97")
    return Metric(name=name, dataset=dataset, value=number)


def parse_value(text: str) -> bool | int | float | str | list[Any]:
    """Read a value as JSON where it is a number, a truth value, a quoted text or a flat list; else as text.

    `5` is an integer, `5.0` a double, `true` a truth value, `"5"` and `five` are texts.
    """
    try:
        value = json.loads(text, parse_constant=lambda constant: constant)
    except (ValueError, RecursionError):
        return text
    flat = isinstance(value, list) and all(isinstance(one, bool | int | float | str) for one in value)
    return value if flat or isinstance(value, bool | int | float | str) else text


def parse_pair(text: str) -> tuple[str, bool | int | float | str | list[Any]]:
    """Read `key=value`. Raises ValueError without a key."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ValueError(f"{text!r} is not key=value, such as learning_rate=0.1")
    return key, parse_value(value)


def parse_dataset(text: str) -> Dataset:
    """Read `name=sha256:…`; `name` alone is a dataset whose digest is not known.

    Raises:
        ValueError: it has no name, or a digest without algorithm.
    """
    name, separator, digest = text.partition("=")
    if not name or (separator and ":" not in digest):
        raise ValueError(f"{text!r} is not name=sha256:<hex digits>")
    return Dataset(name=name, digest=digest)


def parse_role(text: str) -> tuple[str, Role]:
    """Read `pattern=role`. Raises ValueError for an unknown role."""
    pattern, separator, role = text.rpartition("=")
    if not separator or not pattern or role not in set(Role):
        raise ValueError(f"{text!r} is not pattern=role with a role of {', '.join(Role)}")
    return pattern, Role(role)


def parse_stage_graph(text: str, namespace: str) -> StageGraph:
    """Read the stages of a namespace as `greenroom stages --json` prints them; `name` may be left out.

    Raises:
        typer.BadParameter: it is not that, or is of another namespace.
    """
    try:
        graph = json_format.Parse(text, StageGraph())
    except json_format.ParseError as error:
        raise typer.BadParameter(f"not stages as --json prints them: {error}", param_hint="'--set'") from None
    name = f"namespaces/{namespace.removeprefix('namespaces/')}/stageGraph"
    if graph.name not in {"", name}:
        raise typer.BadParameter(f"the file has the stages of {graph.name}, not {name}", param_hint="'--set'")
    graph.name = name
    return graph


def read_all(texts: Iterable[str] | None, parse: Callable[[str], Parsed], option: str) -> list[Parsed]:
    """Read every value of an option; a wrong one is wrong usage that names the option."""
    try:
        return [parse(text) for text in texts or ()]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=f"'{option}'") from None

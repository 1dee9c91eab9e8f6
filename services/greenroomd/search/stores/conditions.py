"""A filter as SQL. Every name here is a column of ours; what the caller wrote reaches PostgreSQL as bound values only.

Each condition is true or false, never NULL, so NOT means what it says.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Double,
    Numeric,
    Table,
    Text,
    and_,
    exists,
    func,
    literal,
    not_,
    or_,
    true,
)

from greenroomd.search.filter.expression import (
    And,
    Column,
    Comparison,
    DeploymentStateField,
    Expression,
    Field,
    MetricField,
    Not,
    Operand,
    Operator,
    Or,
    Present,
    ValueField,
)
from greenroomd.search.stores.tables import aliases, datasets, deployments, metrics, params, tags, versions

INDEXED_CHARACTERS = 200
"""How much of a text value the index holds; as in the migration."""

SIGNS: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQUAL: operator.eq,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
}
NOT_BEYOND: dict[Operator, Callable[[Any, Any], Any]] = {
    **SIGNS,
    Operator.LESS: operator.le,
    Operator.GREATER: operator.ge,
}
"""What holds of the beginnings of two texts when the sign holds of the texts."""

TEXT_COLUMNS: dict[Column, ColumnElement[str]] = {
    Column.NAMESPACE: versions.c.namespace,
    Column.MODEL: versions.c.model_id,
    Column.CREATOR: versions.c.creator,
    Column.STAGE: versions.c.stage,
    Column.FRAMEWORK: versions.c.framework,
    Column.TASK: versions.c.task,
    Column.SEMVER: versions.c.semver,
    Column.ARTIFACT: versions.c.artifact,
    Column.DESCRIPTION: versions.c.description,
}

VALUE_TABLES = {"param": params, "tag": tags}

Condition = ColumnElement[bool]


def condition(expression: Expression) -> Condition:
    """Return the SQL of an expression over a row of `versions`."""
    match expression:
        case And(parts):
            return and_(true(), *map(condition, parts))
        case Or(parts):
            return or_(*map(condition, parts))
        case Not(part):
            return not_(condition(part))
        case Comparison(field, sign, operand):
            return comparison(field, sign, operand)


def comparison(field: Field, sign: Operator, operand: Operand) -> Condition:
    match field:
        case MetricField():
            return metric_condition(field, sign, operand)
        case ValueField():
            return value_condition(field, sign, operand)
        case DeploymentStateField():
            return state_condition(field, operand)
        case Column():
            return column_condition(field, sign, operand)


def some(table: Table, *conditions: Condition) -> Condition:
    """Return whether the version has a row in a narrow table."""
    return exists().where(table.c.version == versions.c.name, *conditions).correlate(versions)


def metric_condition(field: MetricField, sign: Operator, operand: Operand) -> Condition:
    conditions = metric_rows(field)
    if not isinstance(operand, Present):
        conditions.append(SIGNS[sign](metrics.c.value, literal(float(number_of(operand)), Double)))
    return some(metrics, *conditions)


def metric_rows(field: MetricField) -> list[Condition]:
    """Return what selects the rows of `metrics` that a field means."""
    conditions = [metrics.c.key == text_value(field.name), metrics.c.slice == text_value(field.slice)]
    if field.dataset is not None:
        conditions.append(metrics.c.dataset == text_value(field.dataset))
    return conditions


def value_condition(field: ValueField, sign: Operator, operand: Operand) -> Condition:
    table = VALUE_TABLES[field.table]
    found = [table.c.key == text_value(field.key)]
    match operand:
        case Present():
            pass
        case bool():
            found.append(table.c.flag == literal(operand, Boolean))
        case str() if sign is Operator.HAS:
            found.append(contains(table.c.text, operand))
        case str():
            found += [table.c.text.is_not(None), *text_comparison(table, sign, operand)]
        case _:
            found.append(SIGNS[sign](table.c.number, literal(exact(number_of(operand)), Numeric)))
    return some(table, *found)


def text_comparison(table: Table, sign: Operator, operand: str) -> list[Condition]:
    """Return a comparison of a long text in a form that the index on its beginning serves.

    A text compares with a shorter operand as its beginning does. With a longer one the beginning only narrows it down.
    """
    if len(operand) < INDEXED_CHARACTERS:
        return [SIGNS[sign](table.c.beginning, text_value(operand))]
    narrowed = NOT_BEYOND[sign](table.c.beginning, text_value(operand[:INDEXED_CHARACTERS]))
    return [narrowed, SIGNS[sign](table.c.text, text_value(operand))]


def state_condition(field: DeploymentStateField, operand: Operand) -> Condition:
    found: list[Condition] = []
    if not isinstance(operand, Present):
        found.append(deployments.c.state == text_value(str(operand)))
    if field.environment is not None:
        found.append(deployments.c.environment == text_value(field.environment))
    return some(deployments, *found)


def column_condition(column: Column, sign: Operator, operand: Operand) -> Condition:
    match column:
        case Column.NUMBER:
            number = number_of(operand)
            bound = literal(number, BigInteger) if isinstance(number, int) else literal(number, Double)
            return SIGNS[sign](versions.c.number, bound)  # type: ignore[no-any-return]
        case Column.CREATE_TIME:
            return SIGNS[sign](versions.c.create_time, literal(operand, DateTime(timezone=True)))  # type: ignore[no-any-return]
        case Column.ALIAS:
            return some(aliases, *text_conditions(sign, operand, aliases.c.alias))
        case Column.DATASET:
            return some(datasets, *text_conditions(sign, operand, datasets.c.name, datasets.c.digest))
        case Column.ENVIRONMENT:
            return some(deployments, *text_conditions(sign, operand, deployments.c.environment))
        case Column.MODEL if isinstance(operand, str) and operand.startswith("namespaces/"):
            return compared(versions.c.model, sign, operand)
        case Column.NAMESPACE if isinstance(operand, str):
            return compared(versions.c.namespace, sign, operand.removeprefix("namespaces/"))
    if isinstance(operand, Present):
        return TEXT_COLUMNS[column] != text_value("")
    return compared(TEXT_COLUMNS[column], sign, str(operand))


def text_conditions(sign: Operator, operand: Operand, *columns: ColumnElement[str]) -> list[Condition]:
    """Return what selects the rows in which one of the columns satisfies a comparison."""
    if isinstance(operand, Present):
        return [columns[0] != text_value("")]
    return [or_(*(compared(column, sign, str(operand)) for column in columns))]


def compared(column: ColumnElement[str], sign: Operator, operand: str) -> Condition:
    return contains(column, operand) if sign is Operator.HAS else column == text_value(operand)


def contains(column: ColumnElement[str], part: str) -> Condition:
    """Return whether a text contains another, whatever the case. No LIKE: % and _ are characters like all others."""
    return func.coalesce(func.strpos(func.lower(column), func.lower(text_value(part))) > 0, False)


def text_value(text: str) -> ColumnElement[str]:
    return literal(text, Text)


def number_of(operand: Operand) -> int | float:
    if isinstance(operand, bool) or not isinstance(operand, int | float):
        raise TypeError(f"the parser let {operand!r} stand where a number belongs")
    return operand


def exact(number: int | float) -> Decimal:
    """Return the decimal that a person means by a number: 0.1 is 0.1."""
    return Decimal(repr(number))

"""A search as one statement: candidates, their sort values, and the rest of a hit for those on the page only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Double,
    Numeric,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, TSQUERY, aggregate_order_by

from greenroomd.search.domain import Query
from greenroomd.search.filter.expression import Column, MetricField
from greenroomd.search.ordering import Score, SortKey, SortValue, ValueKey
from greenroomd.search.stores.conditions import VALUE_TABLES, Condition, condition, metric_rows, text_value
from greenroomd.search.stores.tables import aliases, deployments, metrics, versions
from greenroomd.search.text_query import TextQuery

SIMPLE: ColumnElement[Any] = literal_column("'simple'::regconfig")
"""Words as they are: model names and tags are in no particular language."""

COLUMNS: dict[Column, tuple[ColumnElement[Any], Any]] = {
    Column.NAME: (versions.c.name, Text),
    Column.NAMESPACE: (versions.c.namespace, Text),
    Column.MODEL: (versions.c.model_id, Text),
    Column.NUMBER: (versions.c.number, BigInteger),
    Column.CREATE_TIME: (versions.c.create_time, DateTime(timezone=True)),
    Column.CREATOR: (versions.c.creator, Text),
    Column.STAGE: (versions.c.stage, Text),
    Column.FRAMEWORK: (versions.c.framework, Text),
    Column.TASK: (versions.c.task, Text),
}


def search_statement(query: Query) -> Select[Any]:
    """Return the statement that answers a query. Its columns: name, message, stage, aliases, deployments, score, and
    the sort values as `sort_0`, `sort_1` and so on.
    """
    matching = [versions.c.known, *parent_conditions(query.parent), condition(query.filter)]
    score: ColumnElement[float] = literal_column("0.0::double precision")
    if query.text is not None:
        wanted = text_query(query.text)
        matching.append(versions.c.text.op("@@")(wanted))
        score = cast(func.ts_rank(versions.c.text, wanted), Double)
    sort = [sort_expression(key, score) for key in query.order]
    if query.after:
        matching.append(beyond(query.order, sort, query.after))
    page = (
        select(
            versions.c.name,
            score.label("score"),
            *(expression.label(f"sort_{index}") for index, (expression, _) in enumerate(sort)),
        )
        .where(*matching)
        .order_by(*(direction(key, expression) for key, (expression, _) in zip(query.order, sort, strict=True)))
        .limit(query.limit)
        .cte("page")
    )
    values = [page.c[f"sort_{index}"] for index in range(len(sort))]
    return (
        select(
            versions.c.message,
            versions.c.stage,
            collected(aliases.c.alias, aliases.c.version, aliases.c.alias, Text()).label("aliases"),
            collected(deployments.c.message, deployments.c.version, deployments.c.name, BYTEA()).label("deployments"),
            page.c.score,
            *values,
        )
        .join_from(page, versions, versions.c.name == page.c.name)
        .order_by(*(direction(key, value) for key, value in zip(query.order, values, strict=True)))
    )


def collected(
    column: ColumnElement[Any], version: ColumnElement[str], by: ColumnElement[Any], sql_type: Any
) -> ColumnElement[Any]:
    """Return all values that a version has in a narrow table, as an array."""
    values = select(func.array_agg(aggregate_order_by(column, by), type_=ARRAY(sql_type)))
    return values.where(version == versions.c.name).correlate(versions).scalar_subquery()


def parent_conditions(parent: str) -> list[Condition]:
    if not parent:
        return []
    if "/models/" in parent:
        return [versions.c.model == text_value(parent)]
    return [versions.c.namespace == text_value(parent.removeprefix("namespaces/"))]


def text_query(text: TextQuery) -> ColumnElement[Any]:
    """Return the tsquery; with the last word as a prefix where that is asked for."""
    wanted = func.websearch_to_tsquery(SIMPLE, literal(text.websearch, Text), type_=TSQUERY)
    if not text.prefix:
        return wanted
    # The printed form ends with the last word in quotes. Nothing is left of a query whose words PostgreSQL ignores.
    prefixed = cast(cast(wanted, Text).concat(literal_column("':*'")), TSQUERY)
    return case((func.numnode(wanted) == 0, wanted), else_=prefixed)


SortExpression = tuple[ColumnElement[Any], Any]
"""What is sorted by, and its SQL type."""


def sort_expression(key: SortKey, score: ColumnElement[float]) -> SortExpression:
    match key.field:
        case Score.SCORE:
            return score, Double
        case MetricField() as field:
            return extreme(key, metrics.c.value, metric_rows(field), metrics.c.version), Double
        case ValueKey(field, kind):
            table = VALUE_TABLES[field.table]
            rows = [table.c.key == text_value(field.key)]
            column = table.c.number if kind == "number" else table.c.text
            return extreme(key, column, rows, table.c.version), Numeric if kind == "number" else Text
        case Column() as column_field:
            return COLUMNS[column_field]


def extreme(
    key: SortKey, column: ColumnElement[Any], rows: Sequence[Condition], version: ColumnElement[str]
) -> ColumnElement[Any]:
    """Return the value that puts a version with several of them first: the largest when descending, else the least."""
    best = func.max(column) if key.descending else func.min(column)
    return select(best).where(version == versions.c.name, *rows).correlate(versions).scalar_subquery()


def direction(key: SortKey, expression: ColumnElement[Any]) -> ColumnElement[Any]:
    if not key.nullable:
        return expression.desc() if key.descending else expression.asc()
    return expression.desc().nulls_last() if key.descending else expression.asc().nulls_last()


def beyond(order: Sequence[SortKey], sort: Sequence[SortExpression], after: Sequence[SortValue]) -> Condition:
    """Return whether a row comes after a position: the first sort value that differs is later."""
    alternatives: list[Condition] = []
    same: list[Condition] = []
    for key, (expression, sql_type), value in zip(order, sort, after, strict=True):
        if value is None:  # nothing comes after the last
            same.append(expression.is_(None))
            continue
        bound = literal(value, sql_type)
        later = expression < bound if key.descending else expression > bound
        if key.nullable:
            later = or_(later, expression.is_(None))
        alternatives.append(and_(*same, later))
        same.append(expression == bound)
    first, value = order[0], after[0]
    if first.nullable or value is None:
        return or_(*alternatives)
    # Implied by the rest, and all that an index can use.
    bound = literal(value, sort[0][1])
    start = sort[0][0] <= bound if first.descending else sort[0][0] >= bound
    return and_(start, or_(*alternatives))

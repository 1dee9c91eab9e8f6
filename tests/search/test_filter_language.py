"""What the filter and the sort order accept, and where they say that something is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroomd.search.errors import FilterMalformed, OrderMalformed, PageTokenInvalid
from greenroomd.search.filter.expression import (
    EVERYTHING,
    PRESENT,
    And,
    Column,
    Comparison,
    DeploymentStateField,
    Expression,
    MetricField,
    Not,
    Operator,
    Or,
    ValueField,
)
from greenroomd.search.filter.parser import DEEPEST, MOST_CONDITIONS, parse
from greenroomd.search.ordering import (
    BEST_FIRST,
    BY_NAME,
    NEWEST_FIRST,
    SortKey,
    ValueKey,
    parse_order,
    read_position,
    write_position,
)

A = Comparison(Column.STAGE, Operator.EQUAL, "a")
B = Comparison(Column.STAGE, Operator.EQUAL, "b")
C = Comparison(Column.STAGE, Operator.EQUAL, "c")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("", EVERYTHING),
        (" \n\t ", EVERYTHING),
        ('stage = "a"', A),
        ('stage="a"', A),
        ('stage != "a"', Not(A)),
        ('NOT stage = "a"', Not(A)),
        ('NOT NOT stage = "a"', Not(Not(A))),
        ('stage="a" AND stage="b" AND stage="c"', And((A, B, C))),
        # As AIP-160: OR binds tighter than AND.
        ('stage="a" AND stage="b" OR stage="c"', And((A, Or((B, C))))),
        ('stage="a" OR stage="b" AND stage="c"', And((Or((A, B)), C))),
        ('(stage="a" AND stage="b") OR stage="c"', Or((And((A, B)), C))),
        ('NOT stage="a" OR stage="b"', Or((Not(A), B))),
        ("metric.f1 > 0.9", Comparison(MetricField("f1"), Operator.GREATER, 0.9)),
        ("metric.f1@holdout>=1", Comparison(MetricField("f1", "holdout"), Operator.AT_LEAST, 1)),
        ("metric.f1@2026-10 < -1e-3", Comparison(MetricField("f1", "2026-10"), Operator.LESS, -0.001)),
        ('metric.f1@"my \\"set\\"" <= 2', Comparison(MetricField("f1", 'my "set"'), Operator.AT_MOST, 2)),
        ('metric.a/b.c-d@x#"country=NZ" = 1', Comparison(MetricField("a/b.c-d", "x", "country=NZ"), Operator.EQUAL, 1)),
        ("metric.f1#fr = 1", Comparison(MetricField("f1", None, "fr"), Operator.EQUAL, 1)),
        ("metric.f1:*", Comparison(MetricField("f1"), Operator.HAS, PRESENT)),
        ("param.depth = 9223372036854775807", Comparison(ValueField("param", "depth"), Operator.EQUAL, 2**63 - 1)),
        ("param.depth = 9223372036854775808", Comparison(ValueField("param", "depth"), Operator.EQUAL, float(2**63))),
        ("tag.final = true", Comparison(ValueField("tag", "final"), Operator.EQUAL, True)),
        ('tag.date >= "2026-10-01"', Comparison(ValueField("tag", "date"), Operator.AT_LEAST, "2026-10-01")),
        ('tag.team : "ri"', Comparison(ValueField("tag", "team"), Operator.HAS, "ri")),
        ('tag.a = "\\n\\t\\\\"', Comparison(ValueField("tag", "a"), Operator.EQUAL, "\n\t\\")),
        ("number > 3", Comparison(Column.NUMBER, Operator.GREATER, 3)),
        ('description:"slow"', Comparison(Column.DESCRIPTION, Operator.HAS, "slow")),
        ('deployment.state = "RUNNING"', Comparison(DeploymentStateField(), Operator.EQUAL, "running")),
        ('deployment.state@eu = "failed"', Comparison(DeploymentStateField("eu"), Operator.EQUAL, "failed")),
        ('deployment.environment = "eu"', Comparison(Column.ENVIRONMENT, Operator.EQUAL, "eu")),
        ("alias:*", Comparison(Column.ALIAS, Operator.HAS, PRESENT)),
        (
            'create_time > "2026-10-01T12:00:00.5+02:00"',
            Comparison(Column.CREATE_TIME, Operator.GREATER, datetime(2026, 10, 1, 10, 0, 0, 500_000, tzinfo=UTC)),
        ),
        (
            'create_time < "2026-10-01"',
            Comparison(Column.CREATE_TIME, Operator.LESS, datetime(2026, 10, 1, tzinfo=UTC)),
        ),
    ],
)
def test_a_filter_is_read(text: str, expression: Expression) -> None:
    assert parse(text) == expression


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("stage", 5, "a comparison is expected after 'stage'"),
        ("stage =", 7, "is expected after =, not the end"),
        ("stage = production", 8, 'a text stands in double quotes: "production"'),
        ("stage = 'production'", 8, "straight double quotes"),
        ('stage = "production', 8, "no closing quote"),
        ('stage = "a\\q"', 10, "known escapes"),
        ('stage = "a\0"', 10, "NUL"),
        ("stage = 3", 8, "stage is a text"),
        ('stage > "a"', 6, "stage is compared with = != :, not with >"),
        ('stage = "a" stage = "b"', 12, "AND or OR is expected before 'stage'"),
        ('stage = "a" and stage = "b"', 12, "write AND in capitals"),
        ('stage = "a" AND', 15, "a field is expected"),
        ('stage = "a")', 11, "closes nothing"),
        ('(stage = "a"', 12, "the parenthesis opened at 0"),
        ('stagee = "a"', 0, "did you mean 'stage'?"),
        ("metrics.f1 > 1", 0, "did you mean 'metric.f1'?"),
        ('tags.team = "x"', 0, "did you mean 'tag.team'?"),
        ("zzzzzz = 1", 0, "known are alias, artifact"),
        ("metric > 1", 0, "metric needs a name: metric.NAME"),
        ('metric.f1 > "0.9"', 12, "metric.f1 is a number"),
        ("metric.f1 > true", 12, "metric.f1 is a number"),
        ("metric.f1 : 1", 10, "metric.f1 is compared with = != < <= > >=, not with :"),
        ("metric.f1 > 1e999", 12, "too large"),
        ("metric.f1 > 12abc", 12, "a text stands in double quotes"),
        ("metric.f1 > *", 12, "* follows : only"),
        ("metric.f1 @x > 1", 10, "@ directly follows"),
        ("metric.f1@ > 1", 10, "a name is expected after @"),
        ("tag.team@x = 1", 8, "@ follows metric.NAME"),
        ("tag.team > true", 9, "no order"),
        ("tag.team : 3", 11, "takes a text or *"),
        ("number:*", 6, "always there"),
        ('create_time > "yesterday"', 14, "create_time is a time"),
        ('create_time > "2026-13-01"', 14, "is not a time"),
        ('create_time > "0001-01-01T00:00:00+23:59"', 14, "is not a time"),
        ('deployment.state = "gone"', 19, "'starting', 'running', 'failed', 'stopped'"),
        ('description = "x"', 12, "description is compared with :"),
        ("; DROP TABLE versions", 0, "';' is not expected here"),
        ("NOT " * (DEEPEST + 1) + 'stage="a"', 4 * (DEEPEST + 1), "nest 20 levels"),
        ("(" * 500 + 'stage="a"' + ")" * 500, DEEPEST + 1, "nest 20 levels"),
        (" AND ".join(["number=1"] * (MOST_CONDITIONS + 1)), 13 * MOST_CONDITIONS, "at most 50 conditions"),
        ("x" * 5000, 4096, "longer than 4096"),
    ],
)
def test_a_wrong_filter_says_where_and_what(text: str, position: int, problem: str) -> None:
    with pytest.raises(FilterMalformed) as caught:
        parse(text)
    error = caught.value
    assert (error.reason, error.metadata["position"]) == ("FILTER_MALFORMED", str(position))
    assert problem in error.metadata["problem"]
    assert error.metadata["problem"] in error.message


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("metric.latency_p95", (SortKey(MetricField("latency_p95")), BY_NAME)),
        (
            "metric.f1@holdout desc, create_time asc",
            (SortKey(MetricField("f1", "holdout"), descending=True), SortKey(Column.CREATE_TIME), BY_NAME),
        ),
        (
            "tag.date desc",
            (
                SortKey(ValueKey(ValueField("tag", "date"), "number"), descending=True),
                SortKey(ValueKey(ValueField("tag", "date"), "text"), descending=True),
                BY_NAME,
            ),
        ),
        ("name desc", (SortKey(Column.NAME, descending=True), BY_NAME)),
    ],
)
def test_an_order_is_read(text: str, keys: tuple[SortKey, ...]) -> None:
    assert parse_order(text, with_text=False) == keys


def test_without_an_order_the_best_come_first_with_text_and_the_newest_without() -> None:
    assert parse_order(" ", with_text=True) == BEST_FIRST
    assert parse_order("", with_text=False) == NEWEST_FIRST


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("metric", 0, "metric needs a name"),
        ("numbr", 0, "did you mean 'number'?"),
        ("number,", 7, "a field is expected"),
        ("number up", 7, "asc, desc or a comma"),
        ("number; DROP TABLE versions", 6, "';' is not expected"),
        ('"number"', 0, "a field is expected"),
        ("alias", 0, "cannot sort by alias"),
        ("deployment.state", 0, "cannot sort by deployment.state"),
        ("number, number, number, number, number, number", 40, "at most 5 keys"),
    ],
)
def test_a_wrong_order_says_where_and_what(text: str, position: int, problem: str) -> None:
    with pytest.raises(OrderMalformed) as caught:
        parse_order(text, with_text=False)
    assert (caught.value.reason, caught.value.position) == ("ORDER_MALFORMED", position)
    assert problem in caught.value.problem


PIECES = st.sampled_from(
    [
        "AND",
        "OR",
        "NOT",
        "(",
        ")",
        "=",
        "!=",
        "<",
        ">=",
        ":",
        "*",
        ",",
        "@",
        "#",
        '"',
        "\\",
        "'",
        "stage",
        "metric.f1",
        "metric.f1@holdout",
        "tag.team",
        "param.",
        "number",
        "create_time",
        '"risk"',
        '"2026-10-01"',
        "0.9",
        "-1",
        "1e999",
        "true",
        "deployment.state",
        "description",
        ";",
        "--",
        "%",
        "\0",
        "é",
        "𝔣",
        " ",
    ]
)


@settings(max_examples=2000, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=20).map(" ".join), st.lists(PIECES).map("".join)))
def test_whatever_is_sent_gives_an_expression_or_a_position_in_the_text(text: str) -> None:
    for read in (parse, lambda text: parse_order(text, with_text=False)):
        try:
            read(text)
        except (FilterMalformed, OrderMalformed) as error:
            assert 0 <= error.position <= len(text)
            assert error.problem


POSITIONS = st.tuples(
    st.one_of(st.none(), st.floats(allow_nan=False)),
    st.one_of(st.none(), st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)),
    st.one_of(st.none(), st.text(st.characters(exclude_characters="\0"))),
    st.datetimes(timezones=st.just(UTC)),
    st.text(st.characters(exclude_characters="\0")),
)
KEYS = parse_order("metric.f1, tag.x, create_time", with_text=False)


@given(POSITIONS)
def test_a_position_is_read_back_as_it_was_written(values: tuple[object, ...]) -> None:
    assert read_position(write_position(values), KEYS) == values  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "texts", [[], ["x"], [""] * 5, ["n"] * 5, ["fzz", "n", "n", "m2026-10-01T00:00:00+00:00", "t"]]
)
def test_a_forged_position_is_refused(texts: list[str]) -> None:
    with pytest.raises(PageTokenInvalid):
        read_position(texts, KEYS)

"""Searches on PostgreSQL give exactly what reading every version one by one gives."""

from __future__ import annotations

import asyncio
import operator
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from greenroom.catalog.v1.facts_pb2 import Dataset, Metric
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1.deployment_pb2 import Deployment
from greenroomd.platform.wellknown import values_from_proto
from greenroomd.search.domain import Query
from greenroomd.search.errors import FilterMalformed, SearchTooSlow
from greenroomd.search.filter.parser import parse
from greenroomd.search.ordering import NEWEST_FIRST, parse_order
from greenroomd.search.stores.queries import search_statement
from search.builders import EPOCH, IndexUnderTest, alias_set, created, deployed, moved, version

NUMBERS = [0, 1, 2, 0.5, 0.9, 0.95, -1, 2**53 + 1, 2**53]
TEXTS = ["risk", "fraud", "Risk", "50%", "5_%", "a\\b", 'say "hi"', "", "2026-10-01", "x" * 250 + "a", "x" * 250 + "b"]
STAGES = ["development", "staging", "production", "archived"]
DATASETS = ["holdout", "train", "my set", ""]
STATES = ["starting", "running", "failed", "stopped"]
ENVIRONMENTS = ["eu", "us", ""]
MODELS = ["digits", "fraud-detector", "risk_model"]
NAMESPACES = ["demo", "risk-team"]


@dataclass(frozen=True)
class Record:
    """All that is known of a version, the plain way."""

    version: Version
    stage: str
    aliases: list[str]
    deployments: list[Deployment]

    @property
    def tags(self) -> dict[str, Any]:
        return values_from_proto(self.version.tags)

    @property
    def params(self) -> dict[str, Any]:
        return values_from_proto(self.version.facts.params)


def population(seed: int, size: int) -> list[Record]:
    chance = random.Random(seed)
    scalars: list[Any] = [*NUMBERS, *TEXTS, True, False]
    records = []
    for number in range(1, size + 1):
        name = f"namespaces/{chance.choice(NAMESPACES)}/models/{chance.choice(MODELS)}/versions/{number}"
        metrics = {
            (metric, dataset, slice): chance.choice(NUMBERS)
            for metric in ("f1", "latency_p95")
            for dataset in DATASETS
            for slice in ("", "country=NZ")
            if chance.random() < 0.25
        }
        values = [
            {
                key: chance.choice([*scalars, tuple(chance.choices(scalars, k=2))])
                for key in keys
                if chance.random() < 0.7
            }
            for keys in (("team", "date"), ("depth", "kind"))
        ]
        message = version(
            name,
            metrics=[Metric(name=m, dataset=d, slice=s, value=value) for (m, d, s), value in metrics.items()],
            tags=values[0],
            params=values[1],
            datasets=[
                Dataset(name=dataset, digest=f"sha256:{index:02x}")
                for index, dataset in enumerate(DATASETS[:3])
                if chance.random() < 0.3
            ],
            framework=chance.choice(["scikit-learn", "torch", ""]),
            task=chance.choice(["classification", ""]),
            semver=chance.choice(["", "1.4.0"]),
            description=chance.choice(TEXTS),
            creator=chance.choice(["ada", "ci"]),
            create_time=EPOCH + timedelta(minutes=chance.randrange(size // 2)),
        )
        parent = name.rsplit("/versions/", 1)[0]
        aliases = [f"{parent}/aliases/a{number}"] if chance.random() < 0.3 else []
        deployments = [
            Deployment(
                name=f"{parent}/deployments/d{number}-{place}",
                version=name,
                state=Deployment.State.ValueType(chance.randrange(1, 5)),
                environment=chance.choice(ENVIRONMENTS),
            )
            for place in range(chance.choice([0, 0, 1, 2]))
        ]
        records.append(Record(message, chance.choice(STAGES), aliases, deployments))
    return records


async def fill(index: IndexUnderTest, records: list[Record]) -> None:
    await index.apply(*(created(record.version) for record in records))
    await index.apply(*(moved((record.version.name, record.stage)) for record in records))
    for record in records:
        for alias in record.aliases:
            await index.apply(alias_set(alias, record.version.name))
        for place in record.deployments:
            await index.apply(deployed(place.name, place.version, place.state, place.environment))


Predicate = Callable[[Record], bool]
Condition = tuple[str, Predicate]
"""A filter, and what it means in plain Python."""

SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


DIALECT: Any = postgresql.asyncpg.dialect  # SQLAlchemy gives it no types


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def kind(value: Any) -> str:
    return "bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


@st.composite
def metric_conditions(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from(["f1", "latency_p95", "missing"]))
    dataset = draw(st.sampled_from([None, *DATASETS]))
    slice = draw(st.sampled_from(["", "country=NZ"]))
    sign = draw(st.sampled_from([*SIGNS, ":*"]))
    number = draw(st.sampled_from(NUMBERS))
    field = f"metric.{name}"
    field += "" if dataset is None else f"@{quoted(dataset)}"
    field += f"#{quoted(slice)}" if slice else ""

    def holds(record: Record) -> bool:
        return any(
            sign == ":*" or SIGNS[sign](metric.value, float(number))
            for metric in record.version.facts.metrics
            if metric.name == name and metric.slice == slice and dataset in (None, metric.dataset)
        )

    return f"{field}{sign}" if sign == ":*" else f"{field} {sign} {number!r}", holds


@st.composite
def value_conditions(draw: st.DrawFn) -> Condition:
    table, key = draw(st.sampled_from([("tags", "team"), ("tags", "date"), ("params", "depth"), ("params", "kind")]))
    field = f"{table[:-1]}.{key}"
    operand: Any = draw(st.sampled_from([*NUMBERS, *TEXTS, True, False]))
    accepted = ["="] if isinstance(operand, bool) else list(SIGNS)
    sign = draw(st.sampled_from([*accepted, ":*", *([":"] if isinstance(operand, str) else [])]))

    def holds(record: Record) -> bool:
        values = [part for value in [getattr(record, table).get(key)] if value is not None for part in parts(value)]
        if sign == ":*":
            return bool(values)
        same_kind = [value for value in values if kind(value) == kind(operand)]
        if sign == ":":
            return any(operand.lower() in value.lower() for value in same_kind)
        return any(SIGNS[sign](value, operand) for value in same_kind)

    shown = quoted(operand) if isinstance(operand, str) else str(operand).lower()
    return f"{field}{sign}" if sign == ":*" else f"{field} {sign} {shown}", holds


TEXT_FIELDS: dict[str, Callable[[Record], list[str]]] = {
    "stage": lambda record: [record.stage],
    "framework": lambda record: [record.version.facts.framework],
    "task": lambda record: [record.version.facts.task],
    "semver": lambda record: [record.version.semver],
    "creator": lambda record: [record.version.creator.id],
    "artifact": lambda record: [record.version.artifact_digest],
    "model": lambda record: [record.version.name.split("/")[3]],
    "namespace": lambda record: [record.version.name.split("/")[1]],
    "alias": lambda record: [name.rsplit("/", 1)[1] for name in record.aliases],
    "dataset": lambda record: [text for each in record.version.facts.datasets for text in (each.name, each.digest)],
    "deployment.environment": lambda record: [place.environment for place in record.deployments],
}
WORDS = ["production", "prod", "torch", "scikit", "1.4.0", "ada", f"sha256:{7:064x}", "fraud-detector", "risk", "demo",
         "a3", "a", "my set", "sha256:01", "eu", "_", "%", "", "classification"]  # fmt: skip


@st.composite
def text_conditions(draw: st.DrawFn) -> Condition:
    field = draw(st.sampled_from(sorted(TEXT_FIELDS)))
    sign = draw(st.sampled_from(["=", ":", ":*"]))
    word = draw(st.sampled_from(WORDS))
    values = TEXT_FIELDS[field]
    if sign == ":*":
        return f"{field}:*", lambda record: any(values(record))
    if sign == ":":
        return f"{field}:{quoted(word)}", lambda record: any(word.lower() in value.lower() for value in values(record))
    return f"{field}={quoted(word)}", lambda record: word in values(record)


@st.composite
def other_conditions(draw: st.DrawFn) -> Condition:
    sign = draw(st.sampled_from(sorted(SIGNS)))
    compare = SIGNS[sign]
    match draw(st.integers(0, 4)):
        case 0:
            number = draw(st.sampled_from([7, 7.5, -1, 10**30]))
            return f"number {sign} {number!r}", lambda record: compare(record.version.number, number)
        case 1:
            moment = EPOCH + timedelta(minutes=draw(st.integers(0, 30)))
            shown = quoted(moment.isoformat())
            return f"create_time {sign} {shown}", lambda record: compare(
                record.version.create_time.ToMicroseconds(), int(moment.timestamp() * 1_000_000)
            )
        case 2:
            text = draw(st.sampled_from(TEXTS))
            return f"description:{quoted(text)}", lambda record: text.lower() in record.version.description.lower()
        case 3:
            state = draw(st.integers(0, 3))
            shown = quoted(STATES[state])
            return f"deployment.state = {shown}", lambda record: any(p.state == state + 1 for p in record.deployments)
        case _:
            state, environment = draw(st.integers(0, 3)), draw(st.sampled_from(ENVIRONMENTS))
            return f"deployment.state@{quoted(environment)} = {quoted(STATES[state])}", lambda record: any(
                p.state == state + 1 and p.environment == environment for p in record.deployments
            )


def negated(condition: Condition) -> Condition:
    text, holds = condition
    return f"NOT ({text})", lambda record: not holds(record)


def all_of(conditions: list[Condition]) -> Condition:
    return " AND ".join(f"({text})" for text, _ in conditions), lambda record: all(
        holds(record) for _, holds in conditions
    )


def any_of(conditions: list[Condition]) -> Condition:
    return " OR ".join(f"({text})" for text, _ in conditions), lambda record: any(
        holds(record) for _, holds in conditions
    )


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    st.one_of(metric_conditions(), value_conditions(), text_conditions(), other_conditions()),
    lambda inner: st.one_of(
        inner.map(negated),
        st.lists(inner, min_size=2, max_size=3).map(all_of),
        st.lists(inner, min_size=2, max_size=3).map(any_of),
    ),
    max_leaves=8,
)


def test_every_filter_finds_exactly_what_reading_one_by_one_finds(search_url: str) -> None:
    records = population(seed=1, size=60)
    with asyncio.Runner() as runner:
        index = IndexUnderTest.on(search_url)
        runner.run(fill(index, records))

        @settings(max_examples=400, deadline=None)
        @given(CONDITIONS)
        def found_is_expected(condition: Condition) -> None:
            text, holds = condition
            expected = {record.version.name for record in records if holds(record)}
            assert set(runner.run(index.names(text))) == expected, text

        try:
            found_is_expected()
        finally:
            runner.run(index.database.close())


async def test_the_example_of_the_requirements_gives_the_exact_set_in_the_exact_order(index: IndexUnderTest) -> None:
    chance = random.Random(3)
    versions = [
        version(
            f"namespaces/demo/models/digits/versions/{number}",
            metrics=[
                Metric(name="f1", dataset="holdout", value=chance.choice([0.85, 0.9, 0.95, 0.99])),
                Metric(name="f1", dataset="train", value=0.999),
                *([Metric(name="latency_p95", value=chance.randrange(100))] if chance.random() < 0.8 else []),
            ],
            tags={"team": chance.choice(["risk", "fraud"])},
        )
        for number in range(1, 101)
    ]
    await index.apply(*map(created, versions))
    expected = [
        (latency.value if latency else float("inf"), each.name)
        for each in versions
        if each.facts.metrics[0].value > 0.9 and each.tags["team"].string_value == "risk"
        for latency in [next((metric for metric in each.facts.metrics if metric.name == "latency_p95"), None)]
    ]
    found = await index.names('metric.f1@holdout > 0.9 AND tag.team = "risk"', order_by="metric.latency_p95")
    assert 10 < len(found) < 40
    assert found == [name for _, name in sorted(expected)]


async def test_a_range_of_dates_in_tags(index: IndexUnderTest) -> None:
    names = [f"namespaces/demo/models/digits/versions/{day}" for day in range(1, 31)]
    await index.apply(
        *(created(version(name, tags={"deployment_date": f"2026-10-{day:02}"})) for day, name in enumerate(names, 1))
    )
    wanted = 'tag.deployment_date >= "2026-10-10" AND tag.deployment_date < "2026-10-13"'
    assert await index.names(wanted, order_by="tag.deployment_date desc") == [names[11], names[10], names[9]]


INJECTIONS = [
    "' OR '1'='1",
    "'; DROP TABLE versions; --",
    '" OR ""="',
    "\\'; SELECT pg_sleep(9); --",
    "%",
    "_",
    "%%",
    "\\",
    "\\\\",
    "$1",
    ":name",
    "%s",
    "%(x)s",
    "{x}",
    "1) OR (1=1",
    "/* */",
    "--",
    "\x1a",
    "ʼ OR 1=1",
    "\u2028",
    "NULL",
    "E'\\\\x27'",
    "' UNION SELECT message FROM versions --",
    "risk' AND 1=CAST((SELECT current_user) AS int) --",
]


@pytest.mark.parametrize("attack", INJECTIONS)
async def test_an_attack_is_a_text_like_any_other(index: IndexUnderTest, attack: str) -> None:
    secret, harmless = (f"namespaces/demo/models/digits/versions/{number}" for number in (1, 2))
    await index.apply(
        created(version(secret, tags={"team": attack}, description="x" + attack, framework=attack)),
        created(version(harmless, tags={"team": "other"}, description="other", framework="other")),
    )
    text = quoted(attack)
    for filter in (f"tag.team = {text}", f"tag.team : {text}", f"description : {text}", f"framework = {text}"):
        assert await index.names(filter) == [secret], filter
    assert await index.names(f"metric.f1@{text} > 0 OR param.x = {text} OR stage = {text} OR alias : {text}") == []
    await index.names(query=attack)
    for field in ("metric", "tag", "param"):
        # As a name an attack is refused, or it is the name of nothing.
        try:
            assert await index.names(f"{field}.{attack} = 1") == []
        except FilterMalformed:
            continue
    assert await index.names() == [secret, harmless][::-1]


def test_what_a_caller_writes_never_stands_in_the_statement() -> None:
    def statement(word: str, number: int, key: str) -> str:
        filter = parse(
            f'tag.{key} = "{word}" AND (metric.{key}@"{word}"#"{word}" > {number} OR description:"{word}")'
            f' AND NOT (deployment.state@"{word}" = "running" OR alias:"{word}" OR param.{key} = {number}.5)'
            f' AND model = "{word}" AND number = {number} AND deployment.environment = "{word}" AND dataset = "{word}"'
        )
        order = parse_order(f'metric.{key}@"{word}", tag.{key} desc', with_text=False)
        after = (1.0, None, word, word)
        compiled = search_statement(Query("", None, filter, order, after, 20)).compile(dialect=DIALECT())
        return str(compiled)

    first, second = statement("evil", 666, "abc"), statement("other", 7, "xyz")
    assert first == second
    assert "evil" not in first
    assert "666" not in first


async def test_fifty_conditions_at_every_depth_are_answered_in_time(index: IndexUnderTest) -> None:
    await fill(index, population(seed=2, size=40))
    rng = range(50)
    joined = " AND ".join(f"metric.f1@d{number} > {number}" for number in rng)
    either = " OR ".join(f'tag.t{number} = "{number}"' for number in rng)
    nested = "(" * 10 + "NOT " * 9 + 'stage = "x"' + ")" * 10
    for filter in (joined, either, nested):
        async with asyncio.timeout(4):
            await index.names(filter)


async def test_a_search_that_takes_too_long_is_stopped_and_says_so(index: IndexUnderTest) -> None:
    await index.apply(*(created(version(f"namespaces/demo/models/m/versions/{n}")) for n in range(1, 2001)))
    heavy = parse(" OR ".join(f'description:"{number}"' for number in range(50)))
    with pytest.raises(SearchTooSlow, match=r"stopped after 0\.0 s"):
        await index.store.search(Query("", None, heavy, NEWEST_FIRST, (), 200), 0.001)
    assert len(await index.names()) == 200

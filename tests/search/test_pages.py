"""Pages of a search: nothing twice, nothing left out, whatever is written meanwhile; text; waiting."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

import pytest

from greenroom.catalog.v1.facts_pb2 import Metric
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.version_pb2 import Version
from greenroomd.platform.context import SYSTEM, Call, enter_call
from greenroomd.platform.errors import InvalidArgument
from greenroomd.platform.values import Value
from greenroomd.search.domain import CATALOG, LIFECYCLE
from greenroomd.search.errors import IndexBehind
from greenroomd.search.usecases import BYTES_PER_PAGE
from search.builders import EPOCH, IndexUnderTest, created, moved, version

DIGITS = "namespaces/demo/models/digits"


TAG_VALUES: Sequence[Value] = (1, 1.5, 2**60, "x", "y", "", True, (3, "z"))


def numbered(number: int) -> str:
    return f"{DIGITS}/versions/{number}"


def various(number: int, chance: random.Random) -> Version:
    """A version with many ties in everything that can be sorted by."""
    metrics = [Metric(name="f1", dataset=dataset, value=chance.choice([0.1, 0.2, 0.3]))
               for dataset in ("a", "b") if chance.random() < 0.5]  # fmt: skip
    value: Value = chance.choice(TAG_VALUES)
    tags = {"t": value} if chance.random() < 0.7 else {}
    return version(
        numbered(number),
        metrics=metrics,
        tags=tags,
        framework=chance.choice(["torch", "jax"]),
        description=chance.choice(["fast net", "fast fast net", "slow net"]),
        create_time=EPOCH.replace(microsecond=chance.randrange(3)),
    )


async def all_pages(
    index: IndexUnderTest, size: int, between: Sequence[Version] = (), *, query: str = "", order_by: str = ""
) -> list[str]:
    """Read a list page by page; between pages, other versions are registered."""
    names: list[str] = []
    after: Sequence[str] | None = ()
    waiting = list(between)
    while after is not None:
        page = await index.page(query=query, order_by=order_by, after=after, limit=size)
        names += [Version.FromString(hit.version).name for hit in page.hits]
        after = page.next
        if waiting:
            await index.apply(created(waiting.pop()))
    return names


ORDERS = [
    "",
    "name desc",
    "number",
    "framework, number desc",
    "metric.f1",
    "metric.f1 desc",
    "metric.f1@a desc, metric.f1@b",
    "tag.t",
    "tag.t desc, framework",
    "create_time",
    "stage, creator, task, namespace, model",
]


@pytest.mark.parametrize("order_by", ORDERS)
async def test_pages_together_are_the_list(index: IndexUnderTest, order_by: str) -> None:
    chance = random.Random(5)
    await index.apply(*(created(various(number, chance)) for number in range(1, 41)))
    expected = await index.names(order_by=order_by)
    assert len(set(expected)) == 40
    for size in (1, 7, 39, 40):
        assert await all_pages(index, size, order_by=order_by) == expected


@pytest.mark.parametrize("order_by", ["", "metric.f1 desc, tag.t", "name"])
@pytest.mark.parametrize("query", ["", "fast net"])
async def test_what_is_registered_between_pages_loses_and_repeats_nothing(
    index: IndexUnderTest, order_by: str, query: str
) -> None:
    chance = random.Random(6)
    await index.apply(*(created(various(number, chance)) for number in range(1, 41)))
    expected = await index.names(query=query, order_by=order_by)
    late = [various(number, chance) for number in range(41, 61)]
    seen = await all_pages(index, 3, late, query=query, order_by=order_by)
    assert len(seen) == len(set(seen))
    names_of_late = {each.name for each in late}
    assert [name for name in seen if name not in names_of_late] == expected


async def test_a_page_ends_before_it_outgrows_a_message(index: IndexUnderTest) -> None:
    big = "x" * (BYTES_PER_PAGE // 5)
    for number in range(1, 13):
        message = version(numbered(number))
        message.facts.environment.operating_system = big
        await index.apply(created(message))
    page = await index.page(limit=12)
    assert len(page.hits) == 4
    assert page.next is not None
    assert await all_pages(index, 12) == await all_pages(index, 1)
    assert len(await all_pages(index, 12)) == 12


async def test_a_position_of_another_order_is_refused(index: IndexUnderTest) -> None:
    await index.apply(*(created(version(numbered(number))) for number in (1, 2)))
    page = await index.page(limit=1, order_by="number")
    with pytest.raises(InvalidArgument) as caught:
        await index.page(limit=1, order_by="metric.f1, number", after=page.next or ())
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


async def test_the_name_of_the_model_weighs_more_than_labels_and_those_more_than_prose(index: IndexUnderTest) -> None:
    named, tagged, told, placed = (
        f"namespaces/{namespace}/models/{model}/versions/1"
        for namespace, model in (("demo", "fraud-detector"), ("demo", "b"), ("demo", "c"), ("fraud", "d"))
    )
    await index.apply(
        created(version(placed)),
        created(version(told, description="finds fraud")),
        created(version(tagged, tags={"topic": "fraud"})),
        created(version(named)),
    )
    page = await index.page(query="fraud")
    assert [Version.FromString(hit.version).name for hit in page.hits] == [named, tagged, told, placed]
    scores = [hit.score for hit in page.hits]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0
    assert (await index.page()).hits[0].score == 0


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("handwritten dig", {1, 2}),
        ("DIGITS", {1, 2, 3}),
        ("scikit-le", {1}),
        ("scikit learn", {1}),
        ('"written hand"', set()),
        ('"handwritten digits"', {1}),
        ("digits -handwritten", {3}),
        ("postcodes or handwritten", {1, 2, 3}),
        ("größ", {3}),
        ("!!!", set()),
        ("image_class", {2}),
        ("0.95", {3}),
    ],
)
async def test_words_find_versions(index: IndexUnderTest, query: str, numbers: set[int]) -> None:
    await index.apply(
        created(Model(name=DIGITS)),
        created(version(numbered(1), description="handwritten digits", framework="scikit-learn")),
        created(version(numbered(2), tags={"of": "Handwritten things"}, task="image-classification")),
        created(version(numbered(3), description="postcodes: GRÖSSE größer 0.95")),
    )
    assert set(await index.names(query=query)) == {numbered(number) for number in numbers}


async def test_text_filter_and_parent_all_narrow(index: IndexUnderTest) -> None:
    elsewhere = "namespaces/other/models/digits/versions/3"
    await index.apply(*(created(version(name)) for name in (numbered(1), numbered(2), elsewhere)))
    await index.apply(moved((numbered(2), "production"), (elsewhere, "production")))
    found = {"query": "digits", "filter": 'stage = "production"'}
    assert set(await index.names(**found)) == {numbered(2), elsewhere}
    assert await index.names(**found, parent="namespaces/other") == [elsewhere]
    assert await index.names(**found, parent=DIGITS) == [numbered(2)]
    assert await index.names(**found, parent="namespaces/demo/models/none") == []


async def test_a_search_waits_for_the_revision_asked_for(index: IndexUnderTest) -> None:
    await index.apply(created(version(numbered(1))))
    waiting = asyncio.create_task(index.page(min_revisions=[(CATALOG, 2), (LIFECYCLE, 1)]))
    await asyncio.sleep(0.05)
    await index.apply(created(version(numbered(2))))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await index.apply(moved((numbered(1), "staging")))
    page = await waiting
    assert len(page.hits) == 2
    assert page.positions == {CATALOG: 2, LIFECYCLE: 1}


async def test_another_process_may_be_the_one_that_indexes(index: IndexUnderTest, search_url: str) -> None:
    other = IndexUnderTest.on(search_url)
    waiting = asyncio.create_task(index.page(min_revisions=[(CATALOG, 1)]))
    await asyncio.sleep(0.05)
    await other.apply(created(version(numbered(1))))
    assert len((await waiting).hits) == 1
    await other.database.close()


async def test_an_index_that_stays_behind_says_so_before_the_deadline(index: IndexUnderTest) -> None:
    await index.apply(created(version(numbered(1))))
    deadline = time.monotonic() + 0.5
    enter_call(Call(method="", principal=SYSTEM, deadline=deadline))
    with pytest.raises(IndexBehind) as caught:
        await index.page(min_revisions=[(CATALOG, 5)])
    assert caught.value.metadata == {"service": CATALOG, "min_revision": "5", "revision": "1"}
    assert 0 < deadline - time.monotonic() < 0.2


async def test_a_revision_of_a_service_that_is_not_indexed_is_refused(index: IndexUnderTest) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await index.page(min_revisions=[(CATALOG, 0), ("artifact", 1)])
    assert [violation.path for violation in caught.value.violations] == ["min_revisions[1].service"]


async def test_searches_during_rebuilds_answer_from_one_moment(index: IndexUnderTest) -> None:
    await index.apply(*(created(version(numbered(number))) for number in range(1, 51)))

    async def rebuild() -> None:
        for generation in range(1, 21):
            await index.indexer.rebuild()
            index.revisions[CATALOG] = 0
            await index.apply(*(created(version(numbered(number))) for number in range(1, 51)), generation=generation)

    rebuilding = asyncio.create_task(rebuild())
    while not rebuilding.done():
        page = await index.page()
        assert len(page.hits) == page.positions[CATALOG]
    await rebuilding

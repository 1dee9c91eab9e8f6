"""The index follows two logs that know nothing of each other, loses nothing and doubles nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text

from greenroom.catalog.v1.facts_pb2 import Dataset, Metric
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1.deployment_pb2 import Deployment
from greenroomd.search.domain import CATALOG, LIFECYCLE, SourceBatch
from greenroomd.search.errors import GenerationChangedError
from search.builders import (
    IndexUnderTest,
    alias_deleted,
    alias_set,
    created,
    deleted,
    deployed,
    graph_set,
    moved,
    requested,
    updated,
    version,
)

DIGITS = "namespaces/demo/models/digits"
ONE, TWO, THREE = (f"{DIGITS}/versions/{number}" for number in (1, 2, 3))
CHAMPION = f"{DIGITS}/aliases/champion"
EDGE = f"{DIGITS}/deployments/edge"


async def test_a_version_is_found_by_what_both_sources_say(index: IndexUnderTest) -> None:
    message = version(ONE, metrics=[Metric(name="f1", value=0.95, dataset="holdout")], tags={"team": "risk"})
    await index.apply(created(Model(name=DIGITS)), created(message))
    await index.apply(moved((ONE, "production")), alias_set(CHAMPION, ONE), deployed(EDGE, ONE, environment="eu"))
    page = await index.page('metric.f1@holdout > 0.9 AND tag.team = "risk" AND deployment.state@eu = "running"')
    (hit,) = page.hits
    assert Version.FromString(hit.version) == message
    assert (hit.stage, list(hit.aliases), hit.score) == ("production", ["champion"], 0.0)
    assert [Deployment.FromString(deployment).name for deployment in hit.deployments] == [EDGE]
    assert page.positions == {CATALOG: 2, LIFECYCLE: 3}


async def test_news_of_lifecycle_wait_for_the_catalog(index: IndexUnderTest) -> None:
    await index.apply(moved((ONE, "production")), alias_set(CHAMPION, ONE), deployed(EDGE, ONE))
    assert await index.names() == []
    assert (await index.search.get_index()).version_count == 0
    await index.apply(created(version(ONE)))
    assert await index.names('stage = "production" AND alias = "champion" AND deployment.state = "running"') == [ONE]


async def test_a_transition_moves_all_its_versions_and_a_request_none(index: IndexUnderTest) -> None:
    await index.apply(created(version(ONE)), created(version(TWO)))
    await index.apply(moved((ONE, "production")), requested(TWO, "production"))
    assert await index.names('stage = "production"') == [ONE]
    await index.apply(moved((TWO, "production"), (ONE, "archived")))
    assert await index.names('stage = "production"') == [TWO]
    assert await index.names('stage = "archived"') == [ONE]


async def test_what_was_never_moved_is_in_the_first_stage_of_its_namespace(index: IndexUnderTest) -> None:
    other = "namespaces/other/models/m/versions/1"
    await index.apply(created(version(ONE)), created(version(TWO)), created(version(other)))
    await index.apply(moved((TWO, "staging")), graph_set("demo", "sandbox", "staging"))
    await index.apply(created(version(THREE)))
    assert set(await index.names('stage = "sandbox"')) == {ONE, THREE}
    assert await index.names('stage = "staging"') == [TWO]
    assert await index.names('stage = "development"') == [other]


async def test_an_alias_that_moves_or_goes_leaves_nothing_behind(index: IndexUnderTest) -> None:
    await index.apply(created(version(ONE)), created(version(TWO)))
    await index.apply(alias_set(CHAMPION, ONE))
    await index.apply(alias_set(CHAMPION, TWO))
    assert await index.names('alias = "champion"') == [TWO]
    await index.apply(alias_deleted(CHAMPION))
    assert await index.names("alias:*") == []


async def test_an_update_replaces_what_was_said_before(index: IndexUnderTest) -> None:
    await index.apply(created(version(ONE, tags={"team": "risk", "old": True}, description="slow on mobile")))
    await index.apply(moved((ONE, "staging")))
    await index.apply(updated(version(ONE, tags={"team": ("fraud", "risk")}, description="fast")))
    assert await index.names("tag.old:*") == []
    assert await index.names('tag.team = "fraud" AND tag.team = "risk" AND stage = "staging"') == [ONE]
    assert await index.names(query="mobile") == []
    assert await index.names(query="fast") == [ONE]


async def test_a_deleted_version_is_no_hit_whatever_lifecycle_says_later(index: IndexUnderTest) -> None:
    message = version(ONE, metrics=[Metric(name="f1", value=1)], datasets=[Dataset(name="d")], params={"a": 1})
    await index.apply(created(message))
    await index.apply(deleted(message))
    await index.apply(moved((ONE, "archived")), deployed(EDGE, ONE, Deployment.STATE_STOPPED))
    assert await index.names() == []
    rows = await index.rows()
    assert [rows[table] for table in ("metrics", "params", "tags", "datasets")] == [[], [], [], []]


async def test_the_models_description_finds_its_versions(index: IndexUnderTest) -> None:
    await index.apply(created(Model(name=DIGITS, description="handwriting")), created(version(ONE, description="own")))
    assert await index.names(query="handwriting own") == [ONE]
    await index.apply(updated(Model(name=DIGITS, description="postcodes")))
    assert await index.names(query="handwriting") == []
    assert await index.names(query="postcodes own") == [ONE]


async def test_a_batch_that_comes_again_changes_nothing(index: IndexUnderTest) -> None:
    batches = [
        index.batch(created(version(ONE, tags={"a": 1}, params={"b": "x"})), created(version(TWO))),
        index.batch(moved((ONE, "production")), alias_set(CHAMPION, ONE)),
        index.batch(updated(version(ONE, tags={"a": 2}))),
        index.batch(moved((TWO, "production"), (ONE, "staging")), alias_set(CHAMPION, TWO)),
    ]
    for source, batch in batches:
        await index.indexer.apply(source, batch, 0)
    rows = await index.rows()
    for source, batch in batches:
        await index.indexer.apply(source, batch, 0)
    assert await index.rows() == rows


async def test_of_a_batch_that_is_known_in_part_only_the_rest_is_new(index: IndexUnderTest) -> None:
    source, first = index.batch(moved((ONE, "staging")))
    _, second = index.batch(moved((ONE, "production")))
    await index.indexer.apply(source, second, 0)
    both = SourceBatch([*first.changes, *second.changes], 3, "token-3")
    await index.indexer.apply(source, both, 0)
    await index.apply(created(version(ONE)))
    assert await index.names('stage = "production"') == [ONE]


async def test_a_bookmark_moves_the_position_only_forwards(index: IndexUnderTest) -> None:
    await index.indexer.apply(CATALOG, SourceBatch([], 0, "start"), 0)
    async with index.store.read() as reader:
        assert (await reader.position(CATALOG)).resume_token == "start"
    await index.indexer.apply(CATALOG, SourceBatch([], 7, "seven"), 0)
    await index.indexer.apply(CATALOG, SourceBatch([], 5, "five"), 0)
    async with index.store.read() as reader:
        assert (await reader.position(CATALOG)).resume_token == "seven"


class Killed(Exception):
    """The process ended here."""


async def test_killed_between_rows_and_position_neither_is_there(index: IndexUnderTest) -> None:
    source, batch = index.batch(created(version(ONE, tags={"a": 1})))
    with pytest.raises(Killed):
        async with index.store.write() as transaction:
            await transaction.lock()
            for change in batch.changes:
                await transaction.apply(change.effects)
            raise Killed
    assert await index.names() == []
    await index.indexer.apply(source, batch, 0)
    assert await index.names() == [ONE]


def history(seed: int) -> tuple[list[list[Any]], list[list[Any]]]:
    """Return transactions of both logs, as a registry in use could have written them."""
    chance = random.Random(seed)
    catalog: list[list[Any]] = []
    lifecycle: list[list[Any]] = []
    for number in range(1, 31):
        name = f"{DIGITS}/versions/{number}"
        tags = {"n": chance.randrange(5)}
        message = version(name, tags=tags, metrics=[Metric(name="f1", value=chance.random())])
        catalog.append([created(message)])
        stage = chance.choice(["staging", "production", "archived"])
        lifecycle.append([moved((name, stage)), alias_set(f"{DIGITS}/aliases/a{chance.randrange(4)}", name)])
        if chance.random() < 0.5:
            lifecycle.append([deployed(f"{DIGITS}/deployments/d{chance.randrange(4)}", name)])
        if chance.random() < 0.3:
            catalog.append([updated(version(name, tags={"n": 9}))])
        if chance.random() < 0.2:
            catalog.append([deleted(message)])
    lifecycle.insert(10, [graph_set("demo", "lab", "staging", "production", "archived")])
    return catalog, lifecycle


@pytest.mark.parametrize("seed", range(4))
async def test_any_interleaving_with_restarts_gives_the_same_index(index: IndexUnderTest, seed: int) -> None:
    catalog, lifecycle = history(seed)
    logs: dict[str, Sequence[SourceBatch]] = {
        CATALOG: [index.batch(*changes)[1] for changes in catalog],
        LIFECYCLE: [index.batch(*changes)[1] for changes in lifecycle],
    }

    async def read_in_order(sources: list[str], generation: int, chance: random.Random) -> dict[str, Any]:
        at = {CATALOG: 0, LIFECYCLE: 0}
        for source in sources:
            await index.indexer.apply(source, logs[source][at[source]], generation)
            at[source] += 1
            if chance.random() < 0.1:  # a restart: what was sent after the last commit comes again
                at[source] = max(at[source] - chance.randrange(3), 0)
        for source, batches in logs.items():
            for batch in batches[at[source] :]:
                await index.indexer.apply(source, batch, generation)
        return await index.rows()

    chance = random.Random(seed)
    catalog_first = [CATALOG] * len(catalog) + [LIFECYCLE] * len(lifecycle)
    expected = await read_in_order(catalog_first, 0, random.Random(99))
    await index.indexer.rebuild()
    assert await index.names() == []
    shuffled = list(catalog_first)
    chance.shuffle(shuffled)
    mixed = await read_in_order(shuffled, 1, chance)
    # A tombstone's row is gone, unless lifecycle spoke of it afterwards: then what it said is kept, and never shown.
    for rows in (expected, mixed):
        rows["versions"] = [row for row in rows["versions"] if row[5]]
    assert mixed == expected


async def test_a_rebuild_empties_everything_and_refuses_batches_from_before(index: IndexUnderTest) -> None:
    await index.apply(created(version(ONE, tags={"a": 1})))
    source, late = index.batch(created(version(TWO)))
    written = await index.search.rebuild_index()
    assert written.revision == 1
    assert (written.value.state.generation, written.value.version_count) == (1, 0)
    assert written.value.positions == {CATALOG: 0, LIFECYCLE: 0}
    with pytest.raises(GenerationChangedError):
        await index.indexer.apply(source, late, 0)
    with pytest.raises(GenerationChangedError):
        await index.indexer.apply(source, SourceBatch([], 9, "bookmark"), 0)
    with pytest.raises(GenerationChangedError):
        await index.indexer.rebuild(expected_generation=0)
    (change,) = await index.log.read_after(0)
    assert (change.type, change.resource, change.namespace, change.actor_id) == ("index.rebuilt", "index", "", "system")


async def test_texts_that_postgresql_cannot_hold_or_index_do_not_stop_the_index(index: IndexUnderTest) -> None:
    vast = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz \0é", k=16384))
    tags: dict[str, Any] = {f"t{number}": vast[:4096] for number in range(100)}
    message = version(ONE, tags=tags, description=vast, framework="a\0b", params={"p": ("\0", vast[:4096])})
    await index.apply(created(Model(name=DIGITS, description=vast)), created(message))
    start = vast[:1500].replace("\0", "")
    assert await index.names(f'framework = "ab" AND tag.t7 > "{start}" AND tag.t7 : "{start}"') == [ONE]
    async with index.database.read() as connection:
        size = (await connection.execute(text("SELECT pg_column_size(text) FROM versions"))).scalar_one()
    assert size < 1 << 20

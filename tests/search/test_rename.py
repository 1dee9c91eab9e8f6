"""Renamed models in the index: moved once, whichever of the two logs tells of it first."""

from __future__ import annotations

import random
from typing import Any

import pytest

from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.catalog.v1.facts_pb2 import Metric
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1.deployment_pb2 import Deployment
from greenroom.search.v1 import search_service_pb2 as search
from greenroom.type.v1.service_revision_pb2 import ServiceRevision
from greenroomd.search.errors import ModelRenamed
from search.builders import (
    IndexUnderTest,
    alias_deleted,
    alias_set,
    created,
    deployed,
    moved,
    renamed,
    updated,
    version,
)
from support.lifecycle import DIGITS, Team
from support.renaming import MNIST, rename
from support.server import RunningServer, refused

A, B, C = (f"namespaces/demo/models/{id}" for id in ("apple", "banana", "cherry"))


def one(model: str, **fields: Any) -> Version:
    return version(f"{model}/versions/1", tags={"team": "risk"}, metrics=[Metric(name="f1", value=0.9)], **fields)


async def test_everything_of_a_version_moves_with_its_model(index: IndexUnderTest) -> None:
    await index.apply(created(Model(name=A, description="fruit")), created(one(A)))
    await index.apply(
        moved((f"{A}/versions/1", "production")),
        alias_set(f"{A}/aliases/champion", f"{A}/versions/1"),
        deployed(f"{A}/deployments/eu", f"{A}/versions/1"),
    )
    of_catalog, of_lifecycle = renamed(A, B)
    for change in (of_lifecycle, of_catalog):
        await index.apply(change)
        query = 'tag.team = "risk" AND metric.f1 > 0.5 AND alias = "champion" AND deployment.state = "running"'
        (hit,) = (await index.page(f'{query} AND stage = "production"', parent=B)).hits
        assert Version.FromString(hit.version).name == f"{B}/versions/1"
        assert list(hit.aliases) == ["champion"]
        deployment = Deployment.FromString(hit.deployments[0])
        assert (deployment.name, deployment.version) == (f"{B}/deployments/eu", f"{B}/versions/1")
        assert await index.names(query="banana") == [f"{B}/versions/1"]
        assert await index.names(query="apple") == []
        with pytest.raises(ModelRenamed):
            await index.names(parent=A)


def histories() -> tuple[list[list[Any]], list[list[Any]]]:
    """Return transactions of both logs: a model that is apple, banana, apple again, and cherry in the end."""
    catalog: list[list[Any]] = [[created(Model(name=A, description="fruit"))]]
    lifecycle: list[list[Any]] = []
    number = 0
    for before, after in ((A, B), (B, A), (A, C), (C, "")):
        for _ in range(2):
            number += 1
            name = f"{before}/versions/{number}"
            catalog.append([created(version(name, tags={"n": number}))])
            lifecycle.append([moved((name, "staging"))])
            lifecycle.append([alias_set(f"{before}/aliases/a{number}", name)])
            lifecycle.append([deployed(f"{before}/deployments/d{number}", name)])
        catalog.append([updated(version(f"{before}/versions/1", tags={"n": number}))])
        lifecycle.append([moved((f"{before}/versions/1", "production"))])
        lifecycle.append([alias_deleted(f"{before}/aliases/a{number}")])
        if after:
            of_catalog, of_lifecycle = renamed(before, after)
            catalog.append([of_catalog])
            lifecycle.append([of_lifecycle])
    return catalog, lifecycle


@pytest.mark.parametrize("seed", range(12))
async def test_the_logs_can_be_followed_in_any_order_and_in_any_pieces(index: IndexUnderTest, seed: int) -> None:
    chance = random.Random(seed)
    logs = [*histories()]
    while any(logs):
        log = chance.choice([log for log in logs if log])
        pieces = min(chance.randrange(1, 6), len(log))
        await index.apply(*(change for transaction in log[:pieces] for change in transaction))
        del log[:pieces]
    assert sorted(await index.names()) == [f"{C}/versions/{number}" for number in range(1, 9)]
    rows = await index.rows()
    assert {row[0] for row in rows["models"]} == {C}
    assert {row[0] for row in rows["aliases"]} == {f"{C}/aliases/a{number}" for number in (1, 3, 5, 7)}
    assert {row[0] for row in rows["deployments"]} == {f"{C}/deployments/d{number}" for number in range(1, 9)}
    assert {row[:2] for row in rows["former_names"]} == {(A, C), (B, C)}
    assert await index.names('stage = "production" AND tag.n = 8') == [f"{C}/versions/1"]
    assert {row[1] for row in rows["tags"]} == {"n"}
    assert len(rows["tags"]) == 8


async def test_a_search_below_either_name_finds_the_versions(server: RunningServer) -> None:
    team = await Team.start(server)
    await team.promote(await team.version())
    at = (await rename(team)).revision
    behind = [
        ServiceRevision(service="catalog", revision=at),
        ServiceRevision(service="lifecycle", revision=await team.head()),
    ]
    for parent in (MNIST, DIGITS):
        request = search.SearchVersionsRequest(parent=parent, filter='stage = "production"', min_revisions=behind)
        answer = await server.as_("viewer").search.SearchVersions(request)
        assert [hit.version.name for hit in answer.hits] == [f"{MNIST}/versions/1"]
    await server.as_("admin").search.RebuildIndex(search.RebuildIndexRequest())
    rebuilt = search.SearchVersionsRequest(parent=DIGITS, min_revisions=behind)
    answer = await server.as_("viewer").search.SearchVersions(rebuilt)
    assert [hit.version.name for hit in answer.hits] == [f"{MNIST}/versions/1"]
    nothing = search.SearchVersionsRequest(parent=DIGITS, filter='stage = "nowhere"')
    assert not (await server.as_("viewer").search.SearchVersions(nothing)).hits
    gone = team.catalog.GetModel(pb.GetModelRequest(name=f"{DIGITS}-other"))
    assert (await refused(gone)).reason == "MODEL_NOT_FOUND"

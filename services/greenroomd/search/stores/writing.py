"""Effects of the sources' changes as statements, many rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from greenroomd.search.domain import FIRST_STAGE, Deployment, Effects, Model, Version, model_sections
from greenroomd.search.stores.rows import (
    Row,
    dataset_rows,
    metric_rows,
    storable,
    value_rows,
    version_key,
    version_row,
)
from greenroomd.search.stores.tables import datasets, metrics, params, tags

NARROW = (metrics, params, tags, datasets)
"""What the catalog says of a version, several times over."""

FORGET = {
    table.name: text(f"DELETE FROM {table.name} WHERE version = ANY(:names)").bindparams(  # noqa: S608
        bindparam("names", type_=ARRAY(Text))
    )
    for table in NARROW
}
FORGET_VERSIONS = text("DELETE FROM versions WHERE name = ANY(:names)").bindparams(
    bindparam("names", type_=ARRAY(Text))
)

SAVE_MODEL = text(
    "INSERT INTO models (name, text) VALUES (:name,"
    " setweight(to_tsvector('simple', CAST(:words_b AS text)), 'B')"
    " || setweight(to_tsvector('simple', CAST(:words_c AS text)), 'C'))"
    " ON CONFLICT (name) DO UPDATE SET text = excluded.text"
)
SPREAD_MODEL_TEXT = text(
    "UPDATE versions SET text = own_text || models.text FROM models"
    " WHERE models.name = versions.model AND versions.model = ANY(:names) AND known"
).bindparams(bindparam("names", type_=ARRAY(Text)))

# The stage stays as it is when lifecycle was faster than the catalog.
SAVE_VERSION = text(
    f"""
    WITH own AS (
        SELECT setweight(to_tsvector('simple', CAST(:words_a AS text)), 'A')
            || setweight(to_tsvector('simple', CAST(:words_b AS text)), 'B')
            || setweight(to_tsvector('simple', CAST(:words_c AS text)), 'C')
            || setweight(to_tsvector('simple', CAST(:words_d AS text)), 'D') AS text
    )
    INSERT INTO versions (
        name, namespace, model, model_id, number, known, stage, create_time, creator, framework, task, semver,
        artifact, description, own_text, text, message
    )
    SELECT CAST(:name AS text), CAST(:namespace AS text), CAST(:model AS text), CAST(:model_id AS text),
        CAST(:number AS bigint), true,
        coalesce((SELECT stage FROM first_stages WHERE namespace = CAST(:namespace AS text)), '{FIRST_STAGE}'),
        CAST(:create_time AS timestamptz), CAST(:creator AS text), CAST(:framework AS text), CAST(:task AS text),
        CAST(:semver AS text), CAST(:artifact AS text), CAST(:description AS text), own.text,
        own.text || coalesce((SELECT text FROM models WHERE name = CAST(:model AS text)), ''),
        CAST(:message AS bytea)
    FROM own
    ON CONFLICT (name) DO UPDATE SET
        known = true, create_time = excluded.create_time, creator = excluded.creator, framework = excluded.framework,
        task = excluded.task, semver = excluded.semver, artifact = excluded.artifact,
        description = excluded.description, own_text = excluded.own_text, text = excluded.text,
        message = excluded.message
    """  # noqa: S608
)
SAVE_STAGE = text(
    "INSERT INTO versions (name, namespace, model, model_id, number, stage, moved)"
    " VALUES (:name, :namespace, :model, :model_id, :number, :stage, true)"
    " ON CONFLICT (name) DO UPDATE SET stage = excluded.stage, moved = true"
)
SAVE_FIRST_STAGE = text(
    "INSERT INTO first_stages (namespace, stage) VALUES (:namespace, :stage)"
    " ON CONFLICT (namespace) DO UPDATE SET stage = excluded.stage"
)
SPREAD_FIRST_STAGE = text("UPDATE versions SET stage = :stage WHERE namespace = :namespace AND NOT moved")
SAVE_ALIAS = text(
    "INSERT INTO aliases (name, version, alias) VALUES (:name, :version, :alias)"
    " ON CONFLICT (name) DO UPDATE SET version = excluded.version"
)
FORGET_ALIASES = text("DELETE FROM aliases WHERE name = ANY(:names)").bindparams(bindparam("names", type_=ARRAY(Text)))
SAVE_DEPLOYMENT = text(
    "INSERT INTO deployments (name, version, state, environment, message)"
    " VALUES (:name, :version, :state, :environment, :message)"
    " ON CONFLICT (name) DO UPDATE SET version = excluded.version, state = excluded.state,"
    " environment = excluded.environment, message = excluded.message"
)


async def write_effects(connection: AsyncConnection, effects: Effects) -> None:
    """Bring effects into the rows. Writing the same ones again changes nothing."""
    await _models(connection, effects.models)
    await _versions(connection, effects.versions)
    await _stages(connection, effects.stages, effects.first_stages)
    await _aliases(connection, effects.aliases)
    await _deployments(connection, effects.deployments.values())


async def _models(connection: AsyncConnection, models: Mapping[str, Model]) -> None:
    if not models:
        return
    rows: list[Row] = []
    for model in models.values():
        found_by = model_sections(model)
        rows.append({"name": model.name, "words_b": found_by.labels, "words_c": found_by.description})
    await _each(connection, SAVE_MODEL, rows)
    await connection.execute(SPREAD_MODEL_TEXT, {"names": list(models)})


async def _versions(connection: AsyncConnection, changed: Mapping[str, Version | None]) -> None:
    if not changed:
        return
    for table in NARROW:
        await connection.execute(FORGET[table.name], {"names": list(changed)})
    if deleted := [name for name, version in changed.items() if version is None]:
        await connection.execute(FORGET_VERSIONS, {"names": deleted})
    present = [version for version in changed.values() if version is not None]
    await _each(connection, SAVE_VERSION, [version_row(version) for version in present])
    await _each(connection, insert(metrics), [row for version in present for row in metric_rows(version)])
    for table, which in ((params, "params"), (tags, "tags")):
        rows = [row for version in present for row in value_rows(version.name, getattr(version, which))]
        await _each(connection, insert(table), rows)
    await _each(connection, insert(datasets), [row for version in present for row in dataset_rows(version)])


async def _stages(connection: AsyncConnection, stages: Mapping[str, str], first_stages: Mapping[str, str]) -> None:
    await _each(connection, SAVE_STAGE, [{**version_key(name), "stage": stage} for name, stage in stages.items()])
    firsts = [{"namespace": namespace, "stage": stage} for namespace, stage in first_stages.items()]
    await _each(connection, SAVE_FIRST_STAGE, firsts)
    await _each(connection, SPREAD_FIRST_STAGE, firsts)


async def _aliases(connection: AsyncConnection, aliases: Mapping[str, str | None]) -> None:
    if deleted := [name for name, version in aliases.items() if version is None]:
        await connection.execute(FORGET_ALIASES, {"names": deleted})
    rows = [
        {"name": name, "version": version, "alias": name.rsplit("/", 1)[1]}
        for name, version in aliases.items()
        if version is not None
    ]
    await _each(connection, SAVE_ALIAS, rows)


async def _deployments(connection: AsyncConnection, deployments: Iterable[Deployment]) -> None:
    rows = [
        {
            "name": deployment.name,
            "version": deployment.version,
            "state": deployment.state,
            "environment": storable(deployment.environment),
            "message": deployment.message,
        }
        for deployment in deployments
    ]
    await _each(connection, SAVE_DEPLOYMENT, rows)


async def _each(connection: AsyncConnection, statement: Any, rows: Sequence[Row]) -> None:
    if rows:
        await connection.execute(statement, rows)

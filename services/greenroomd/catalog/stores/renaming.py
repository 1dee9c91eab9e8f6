"""Names that lead to models, and the move of a model's rows from one name to another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from greenroom.catalog.v1.version_pb2 import Version as VersionMessage
from greenroomd.catalog import convert
from greenroomd.catalog.domain import Model, Renaming
from greenroomd.catalog.errors import ModelExists, ModelNameTaken
from greenroomd.catalog.stores.tables import former_names, models, versions
from greenroomd.platform.redirects import Redirect

# Waits for, and holds up, those who create a model in the namespace: their row locks it as the one it refers to.
LOCK_NAMESPACE = text("SELECT 1 FROM namespaces WHERE name = :namespace FOR UPDATE")

RESERVE = text("""
    INSERT INTO former_names (name, model) VALUES (:name, :model)
    ON CONFLICT (name) DO UPDATE SET expire_time = NULL WHERE former_names.model = excluded.model
    RETURNING name
""")
BEGIN = text("UPDATE models SET renaming_to = :target WHERE name = :name RETURNING renames + 1")

FINISH = text("""
    UPDATE models SET name = :target, message = :message, renaming_to = NULL, renames = renames + 1
    WHERE name = :name
""")
FORGET = text("DELETE FROM former_names WHERE name = :name")
REMEMBER = text("INSERT INTO former_names (name, model, expire_time) VALUES (:name, :model, :expire_time)")
# The model's row has taken `model` along.
MOVE_VERSIONS = text("""
    UPDATE versions SET name = moved.target, message = moved.message
    FROM unnest(CAST(:names AS text[]), CAST(:targets AS text[]), CAST(:messages AS bytea[]))
        AS moved (name, target, message)
    WHERE versions.name = moved.name
""")


async def redirects(connection: AsyncConnection, names: Collection[str]) -> Mapping[str, Redirect]:
    """Return where those of the names lead that are not the present name of a model, but were or will be."""
    query = (
        select(former_names.c.name, models.c.name.label("current"), former_names.c.expire_time)
        .join(models, models.c.uid == former_names.c.model)
        .where(former_names.c.name.in_(names), former_names.c.name != models.c.name)
    )
    return {row.name: Redirect(row.current, row.expire_time) for row in await connection.execute(query)}


async def check_never_used(connection: AsyncConnection, name: str) -> None:
    """Raises ModelNameTaken when a name was, or is to be, that of another model than the one that was just created."""
    if redirect := (await redirects(connection, [name])).get(name):
        raise ModelNameTaken(name, redirect.current)


async def renaming(connection: AsyncConnection, name: str) -> Renaming | None:
    query = select(models.c.renaming_to, models.c.renames).where(models.c.name == name)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None or row.renaming_to is None else Renaming(row.renaming_to, row.renames + 1)


async def begin(connection: AsyncConnection, model: Model, target: str) -> Renaming:
    await connection.execute(LOCK_NAMESPACE, {"namespace": model.namespace})
    if (await connection.scalars(select(models.c.name).where(models.c.name == target))).one_or_none() is not None:
        raise ModelExists(target)
    if (await connection.execute(RESERVE, {"name": target, "model": model.uid})).one_or_none() is None:
        raise ModelNameTaken(target, (await redirects(connection, [target]))[target].current)
    sequence = (await connection.execute(BEGIN, {"name": model.name, "target": target})).scalar_one()
    return Renaming(target, sequence)


async def finish(connection: AsyncConnection, before: Model, after: Model) -> None:
    message = convert.model_to_proto(after).SerializeToString()
    await connection.execute(FINISH, {"name": before.name, "target": after.name, "message": message})
    former = after.former_names[0]
    await connection.execute(FORGET, {"name": after.name})
    await connection.execute(
        REMEMBER, {"name": former.name, "model": after.uid, "expire_time": former.redirect_expire_time}
    )
    rows = select(versions.c.message).where(versions.c.model == after.name).order_by(versions.c.number)
    moved = []
    for message in await connection.scalars(rows.with_for_update()):
        version = convert.version_from_proto(VersionMessage.FromString(message))
        name = after.name + version.name.removeprefix(before.name)
        renamed = replace(version, name=name, model=after.name)
        moved.append((version.name, name, convert.version_to_proto(renamed).SerializeToString()))
    if moved:
        names, targets, messages = map(list, zip(*moved, strict=True))
        await connection.execute(MOVE_VERSIONS, {"names": names, "targets": targets, "messages": messages})

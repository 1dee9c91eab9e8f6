"""Names that changed: rows that move to another one, and changes that still carry a former one.

Two logs tell of every renaming, at different times. Whichever is followed first moves the rows, and what the other one
has yet to say under the former name is brought to the row's name of now. Renamings are applied to the model that a name
leads to, so with both logs followed a model has the name that both gave it last.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from greenroom.catalog.v1.version_pb2 import Version as VersionMessage
from greenroom.lifecycle.v1.deployment_pb2 import Deployment as DeploymentMessage
from greenroomd.platform.redirects import Redirect
from greenroomd.search.convert import deployment_from_proto, version_from_proto
from greenroomd.search.domain import Deployment, Effects, Version
from greenroomd.search.renames import Rename, top_of
from greenroomd.search.stores.tables import aliases, deployments, former_names, versions
from greenroomd.search.stores.writing import write_effects

FORGET = text("DELETE FROM former_names WHERE name = :current")
LEAD_ON = text("UPDATE former_names SET current = :current WHERE current = :before")
REMEMBER = text(
    "INSERT INTO former_names (name, current, expire_time) VALUES (:name, :current, :expire_time)"
    " ON CONFLICT (name) DO UPDATE SET current = excluded.current, expire_time = excluded.expire_time"
)
MOVE_MODEL = text(
    "INSERT INTO models (name, text) SELECT :current, text FROM models WHERE name = :before ON CONFLICT DO NOTHING"
)
FORGET_MODEL = text("DELETE FROM models WHERE name = :before")
FORGET_DEPLOYMENTS = text("DELETE FROM deployments WHERE name = ANY(:names)").bindparams(
    bindparam("names", type_=ARRAY(Text))
)


async def redirects(connection: AsyncConnection, names: Collection[str]) -> Mapping[str, Redirect]:
    """Return where those of the names lead that are former ones."""
    query = select(former_names).where(former_names.c.name.in_(names))
    return {row.name: Redirect(row.current, row.expire_time) for row in await connection.execute(query)}


async def apply_rename(connection: AsyncConnection, rename: Rename) -> None:
    """Move a model's rows to its new name, from whichever name they have. Doing it again changes nothing."""
    known = (await redirects(connection, [rename.former])).get(rename.former)
    before = known.current if known else rename.former
    if before != rename.current:
        await _move(connection, Rename(before, rename.current, rename.expire_time))
        names = {"current": rename.current, "before": before}
        await connection.execute(FORGET, {"current": rename.current})
        await connection.execute(LEAD_ON, names)
        if before != rename.former:
            await connection.execute(
                REMEMBER, {"name": before, "current": rename.current, "expire_time": rename.expire_time}
            )
    values = {"name": rename.former, "current": rename.current, "expire_time": rename.expire_time}
    await connection.execute(REMEMBER, values)


async def _move(connection: AsyncConnection, rename: Rename) -> None:
    names = {"before": rename.former, "current": rename.current}
    await connection.execute(MOVE_MODEL, names)
    await connection.execute(FORGET_MODEL, {"before": rename.former})
    moved = Effects()
    columns = (versions.c.name, versions.c.known, versions.c.stage, versions.c.moved, versions.c.message)
    for row in await connection.execute(select(*columns).where(versions.c.model == rename.former)):
        moved.versions[row.name] = None
        if row.known:
            version = renamed_version(row.message, rename)
            moved.versions[version.name] = version
        if row.moved:
            moved.stages[rename.applied_to(row.name)] = row.stage
    below = aliases.c.version.startswith(f"{rename.former}/", autoescape=True)
    for name, version_name in await connection.execute(select(aliases.c.name, aliases.c.version).where(below)):
        moved.aliases[name] = None
        moved.aliases[rename.applied_to(name)] = rename.applied_to(version_name)
    below = deployments.c.version.startswith(f"{rename.former}/", autoescape=True)
    running = (await connection.execute(select(deployments.c.name, deployments.c.message).where(below))).all()
    for _, message in running:
        deployment = renamed_deployment(message, rename)
        moved.deployments[deployment.name] = deployment
    await connection.execute(FORGET_DEPLOYMENTS, {"names": [name for name, _ in running]})
    await write_effects(connection, moved)


async def with_current_names(connection: AsyncConnection, effects: Effects) -> Effects:
    """Return effects under the names that the index has."""
    parts = (effects.models, effects.versions, effects.stages, effects.aliases, effects.deployments)
    found = await redirects(connection, {top_of(name) for part in parts for name in part})
    if not found:
        return effects
    renames = {name: Rename(name, redirect.current, None) for name, redirect in found.items()}
    same = Rename("", "", None)
    current = Effects(first_stages=effects.first_stages)
    for name, model in effects.models.items():
        rename = renames.get(name, same)
        current.models[rename.applied_to(name)] = replace(model, name=rename.applied_to(name))
    for name, version in effects.versions.items():
        rename = renames.get(top_of(name), same)
        current.versions[rename.applied_to(name)] = version and renamed_version(version.message, rename)
    for name, stage in effects.stages.items():
        current.stages[renames.get(top_of(name), same).applied_to(name)] = stage
    for name, alias in effects.aliases.items():
        rename = renames.get(top_of(name), same)
        current.aliases[rename.applied_to(name)] = alias and rename.applied_to(alias)
    for name, deployment in effects.deployments.items():
        rename = renames.get(top_of(name), same)
        current.deployments[rename.applied_to(name)] = renamed_deployment(deployment.message, rename)
    return current


def renamed_version(message: bytes, rename: Rename) -> Version:
    version = VersionMessage.FromString(message)
    version.name = rename.applied_to(version.name)
    return version_from_proto(version)


def renamed_deployment(message: bytes, rename: Rename) -> Deployment:
    deployment = DeploymentMessage.FromString(message)
    deployment.name = rename.applied_to(deployment.name)
    deployment.version = rename.applied_to(deployment.version)
    return deployment_from_proto(deployment)

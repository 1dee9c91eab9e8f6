"""Former names, and the move of everything of a model from one name to another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from greenroom.lifecycle.v1.alias_pb2 import Alias
from greenroom.lifecycle.v1.check_pb2 import Check
from greenroom.lifecycle.v1.deployment_pb2 import Deployment
from greenroom.lifecycle.v1.transition_pb2 import Transition
from greenroomd.lifecycle.domain import ModelRename
from greenroomd.lifecycle.stores.tables import (
    aliases,
    checks,
    deployments,
    former_names,
    transition_versions,
    transitions,
)
from greenroomd.platform.redirects import Redirect

# The name itself was a former one when the model returns to it.
FORGET = text("DELETE FROM former_names WHERE name = :name")
LEAD_ON = text("UPDATE former_names SET current = :name WHERE current = :former_name")
EXTEND = text("UPDATE former_names SET expire_time = :expire_time WHERE name = :name")
REMEMBER = text("INSERT INTO former_names VALUES (:former_name, :name, :sequence, :expire_time)")

# In plain columns a name is its model's and what stands below it.
MOVE = tuple(
    text(f"UPDATE {table} SET model = :name, {', '.join(columns)} WHERE model = :former_name")  # noqa: S608
    for table, columns in {
        "assignments": ("version = :name || substr(version, :length)",),
        "transition_versions": ("version = :name || substr(version, :length)",),
        "aliases": ("name = :name || substr(name, :length)", "version = :name || substr(version, :length)"),
        "deployments": ("name = :name || substr(name, :length)", "version = :name || substr(version, :length)"),
    }.items()
)
# Between / and 0, which follows it, is everything that begins with the prefix.
MOVE_CHECKS = text("""
    UPDATE checks SET name = :name || substr(name, :length), version = :name || substr(version, :length)
    WHERE version > :former_name || '/versions/' AND version < :former_name || '/versions0'
""")


async def redirects(connection: AsyncConnection, names: Collection[str]) -> Mapping[str, Redirect]:
    """Return where those of the names lead that are former ones."""
    query = select(former_names).where(former_names.c.name.in_(names))
    return {row.name: Redirect(row.current, row.expire_time) for row in await connection.execute(query)}


async def last_sequence(connection: AsyncConnection, name: str) -> int:
    """Return which renaming gave a model its present name; 0 when it has had no other."""
    query = select(func.coalesce(func.max(former_names.c.sequence), 0)).where(former_names.c.current == name)
    return int((await connection.execute(query)).scalar_one())


async def extend_redirect(connection: AsyncConnection, rename: ModelRename) -> None:
    await connection.execute(EXTEND, {"name": rename.former_name, "expire_time": rename.expire_time})


async def move(connection: AsyncConnection, rename: ModelRename) -> None:
    names = {"name": rename.name, "former_name": rename.former_name}
    await connection.execute(FORGET, {"name": rename.name})
    await connection.execute(LEAD_ON, names)
    await connection.execute(REMEMBER, {**names, "sequence": rename.sequence, "expire_time": rename.expire_time})
    # Of the length of the former name, counted from 1, the rest begins one further.
    moving = {**names, "length": len(rename.former_name) + 1}
    for statement in (*MOVE, MOVE_CHECKS):
        await connection.execute(statement, moving)
    moved = select(transition_versions.c.transition).where(transition_versions.c.model == rename.name)
    below = (checks.c.version > f"{rename.name}/versions/") & (checks.c.version < f"{rename.name}/versions0")
    await _rewrite(connection, aliases, Alias, aliases.c.model == rename.name, rename)
    await _rewrite(connection, deployments, Deployment, deployments.c.model == rename.name, rename)
    await _rewrite(connection, checks, Check, below, rename)
    await _rewrite(connection, transitions, Transition, transitions.c.name.in_(moved), rename)


async def _rewrite(
    connection: AsyncConnection, table: Table, message_type: Any, which: ColumnElement[bool], rename: ModelRename
) -> None:
    """Write the new names into messages whose rows have them already."""
    written: dict[str, bytes] = {}
    for row in await connection.execute(select(table.c.name, table.c.message).where(which)):
        message = message_type.FromString(row.message)
        rename_in(message, rename)
        written[row.name] = message.SerializeToString()
    if written:
        statement = text(
            f"UPDATE {table.name} SET message = written.message"  # noqa: S608
            " FROM unnest(CAST(:names AS text[]), CAST(:messages AS bytea[])) AS written (name, message)"
            f" WHERE {table.name}.name = written.name"
        )
        await connection.execute(statement, {"names": list(written), "messages": list(written.values())})


def rename_in(message: Alias | Check | Deployment | Transition, rename: ModelRename) -> None:
    """Put the new name in place of the former one; in names, not in words that people wrote."""
    if isinstance(message, Transition):
        message.versions[:] = [rename.applied_to(version) for version in message.versions]
        for move in message.moves:
            move.version = rename.applied_to(move.version)
        for gate in message.unmet_gates:
            gate.version = rename.applied_to(gate.version)
        return
    message.name = rename.applied_to(message.name)
    if not isinstance(message, Check):
        message.version = rename.applied_to(message.version)

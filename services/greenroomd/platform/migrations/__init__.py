"""Brings a service's schema up to date: schema, role, Alembic history, grants.

One `env.py` serves all services; each service's `migrations/` folder holds its own history.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from greenroomd.platform.changelog.schema import APPEND_ONLY_TABLES
from greenroomd.platform.database import role_of

VERSION_TABLE = "schema_version"
"""Where Alembic notes, in the service's own schema, how far its history has run."""


async def upgrade(url: str, service: str, revision: str = "head") -> None:
    """Create or upgrade one service's schema. Safe to run at the same time from several processes.

    Args:
        url: database URL of a role that may create schemas and roles.
        service: name of the service.
        revision: Alembic revision to stop at.
    """
    await _run(url, service, lambda connection: _upgrade(connection, service, revision))


async def downgrade(url: str, service: str, revision: str = "base") -> None:
    """Take one service's schema back to a revision; `base` leaves the empty schema."""
    await _run(url, service, lambda connection: command.downgrade(_config(connection, service), revision))


async def _run(url: str, service: str, work: object) -> None:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"),
                {"key": f"greenroom migration {service}"},
            )
            await connection.run_sync(work)  # type: ignore[arg-type]
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, service: str, revision: str) -> None:
    role = role_of(service)
    connection.execute(text(CREATE_ROLE.format(role=role)))
    connection.execute(text(f"GRANT {role} TO CURRENT_USER"))
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {service}"))
    command.upgrade(_config(connection, service), revision)
    # Data, never definitions: at run time a service cannot change its schema, nor rewrite its log.
    connection.execute(text(f"GRANT USAGE ON SCHEMA {service} TO {role}"))
    connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {service} TO {role}"))
    connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {service} TO {role}"))
    for table in (*APPEND_ONLY_TABLES, VERSION_TABLE):
        connection.execute(text(f"REVOKE UPDATE, DELETE ON {service}.{table} FROM {role}"))
    connection.execute(text(f"REVOKE INSERT ON {service}.{VERSION_TABLE} FROM {role}"))


# Roles belong to the whole cluster: two databases may be migrated at once.
CREATE_ROLE = """
DO $$ BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""


def _config(connection: Connection, service: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", str(files(f"greenroomd.{service}") / "migrations"))
    config.attributes["connection"] = connection
    config.attributes["service"] = service
    return config

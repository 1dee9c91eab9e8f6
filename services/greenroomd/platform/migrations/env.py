"""Alembic's entry point: runs a history on the connection and in the schema that the caller gave."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from greenroomd.platform.migrations import VERSION_TABLE

service = context.config.attributes["service"]
connection = context.config.attributes["connection"]

connection.execute(text(f"SET LOCAL search_path TO {service}"))
context.configure(connection=connection, version_table=VERSION_TABLE, version_table_schema=service)
with context.begin_transaction():
    context.run_migrations()

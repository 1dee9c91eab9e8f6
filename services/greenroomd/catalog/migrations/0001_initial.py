"""Namespaces, models, versions and the change log."""

from __future__ import annotations

from alembic import op

from greenroomd.platform.changelog import schema

revision = "0001"
down_revision = None

CREATE = (
    """
    CREATE TABLE namespaces (
        name text COLLATE "C" PRIMARY KEY,
        uid uuid NOT NULL UNIQUE,
        message bytea NOT NULL
    )
    """,
    """
    CREATE TABLE models (
        name text COLLATE "C" PRIMARY KEY,
        uid uuid NOT NULL UNIQUE,
        namespace text COLLATE "C" NOT NULL CONSTRAINT models_namespace REFERENCES namespaces (name),
        last_number bigint NOT NULL DEFAULT 0,
        message bytea NOT NULL
    )
    """,
    "CREATE INDEX models_by_namespace ON models (namespace, name)",
    """
    CREATE TABLE versions (
        name text COLLATE "C" PRIMARY KEY,
        uid uuid NOT NULL UNIQUE,
        model text COLLATE "C" NOT NULL REFERENCES models (name),
        number bigint NOT NULL CHECK (number > 0),
        state smallint NOT NULL,
        semver text NOT NULL,
        artifact_digest text NOT NULL,
        deletion_lease uuid,
        message bytea NOT NULL,
        CONSTRAINT versions_number UNIQUE (model, number)
    )
    """,
    "CREATE UNIQUE INDEX versions_semver ON versions (model, semver) WHERE semver <> ''",
    "CREATE INDEX versions_artifact ON versions (model, artifact_digest, number)",
)


def upgrade() -> None:
    for statement in (*schema.CREATE, *CREATE):
        op.execute(statement)


def downgrade() -> None:
    for table in ("versions", "models", "namespaces"):
        op.execute(f"DROP TABLE {table}")
    for statement in schema.DROP:
        op.execute(statement)

"""Renaming models: names that lead to them, and the renaming that is under way."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

UP = (
    'ALTER TABLE models ADD COLUMN renaming_to text COLLATE "C", ADD COLUMN renames bigint NOT NULL DEFAULT 0',
    # The names that a model had, and the one that it is being given: that one has no time at which it expires.
    """
    CREATE TABLE former_names (
        name text COLLATE "C" PRIMARY KEY,
        model uuid NOT NULL REFERENCES models (uid),
        expire_time timestamptz
    )
    """,
    "CREATE INDEX versions_leased ON versions (deletion_lease) WHERE deletion_lease IS NOT NULL",
    "ALTER TABLE versions DROP CONSTRAINT versions_model_fkey",
    "ALTER TABLE versions ADD CONSTRAINT versions_model_fkey"
    " FOREIGN KEY (model) REFERENCES models (name) ON UPDATE CASCADE",
)

DOWN = (
    "DROP INDEX versions_leased",
    "ALTER TABLE versions DROP CONSTRAINT versions_model_fkey",
    "ALTER TABLE versions ADD CONSTRAINT versions_model_fkey FOREIGN KEY (model) REFERENCES models (name)",
    "DROP TABLE former_names",
    "ALTER TABLE models DROP COLUMN renaming_to, DROP COLUMN renames",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)

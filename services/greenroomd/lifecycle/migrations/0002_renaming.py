"""Renaming models: former names, and locks that find them out."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

UP = (
    """
    CREATE TABLE former_names (
        name text COLLATE "C" PRIMARY KEY,
        current text COLLATE "C" NOT NULL,
        sequence bigint NOT NULL,
        expire_time timestamptz NOT NULL
    )
    """,
    "CREATE INDEX former_names_by_current ON former_names (current, sequence)",
    # A function, because each of its statements sees what was committed before it: the last one a renaming that the
    # locks before it had to wait for. In one plain statement it would see what was there before the wait.
    """
    CREATE FUNCTION lock_names(namespace bigint, shared bigint[], exclusive bigint[], models text[])
    RETURNS SETOF former_names LANGUAGE plpgsql AS $$
    DECLARE
        key bigint;
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(namespace);
        FOREACH key IN ARRAY shared LOOP
            PERFORM pg_advisory_xact_lock_shared(key);
        END LOOP;
        FOREACH key IN ARRAY exclusive LOOP
            PERFORM pg_advisory_xact_lock(key);
        END LOOP;
        RETURN QUERY SELECT former.* FROM former_names AS former WHERE former.name = ANY(models) ORDER BY former.name;
    END
    $$
    """,
)

DOWN = ("DROP FUNCTION lock_names", "DROP TABLE former_names")


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)

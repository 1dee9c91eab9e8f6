"""Renaming models: where former names lead."""

from __future__ import annotations

from alembic import op

from greenroomd.platform.database import role_of

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE former_names (
            name text COLLATE "C" PRIMARY KEY,
            current text COLLATE "C" NOT NULL,
            expire_time timestamptz NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX former_names_by_current ON former_names (current)")
    op.execute(f"GRANT TRUNCATE ON former_names TO {role_of('search')}")


def downgrade() -> None:
    op.execute("DROP TABLE former_names")

"""The index, how far it has followed its sources, and the change log."""

from __future__ import annotations

from alembic import op

from greenroomd.platform.changelog import schema
from greenroomd.platform.database import role_of

revision = "0001"
down_revision = None

CREATE = (
    """
    CREATE TABLE index_state (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        generation bigint NOT NULL DEFAULT 0,
        rebuild_time timestamptz
    )
    """,
    "INSERT INTO index_state DEFAULT VALUES",
    """
    CREATE TABLE positions (
        source text COLLATE "C" PRIMARY KEY,
        revision bigint NOT NULL,
        resume_token text NOT NULL
    )
    """,
    # A row with `known` false holds what lifecycle has said of a version that the catalog has not announced yet.
    """
    CREATE TABLE versions (
        name text COLLATE "C" PRIMARY KEY,
        namespace text COLLATE "C" NOT NULL,
        model text COLLATE "C" NOT NULL,
        model_id text COLLATE "C" NOT NULL,
        number bigint NOT NULL,
        known boolean NOT NULL DEFAULT false,
        stage text COLLATE "C" NOT NULL,
        moved boolean NOT NULL DEFAULT false,
        create_time timestamptz,
        creator text COLLATE "C" NOT NULL DEFAULT '',
        framework text COLLATE "C" NOT NULL DEFAULT '',
        task text COLLATE "C" NOT NULL DEFAULT '',
        semver text COLLATE "C" NOT NULL DEFAULT '',
        artifact text COLLATE "C" NOT NULL DEFAULT '',
        description text COLLATE "C" NOT NULL DEFAULT '',
        own_text tsvector NOT NULL DEFAULT '',
        text tsvector NOT NULL DEFAULT '',
        message bytea NOT NULL DEFAULT ''
    )
    """,
    "CREATE INDEX versions_newest ON versions (create_time DESC, name) WHERE known",
    "CREATE INDEX versions_of_namespace ON versions (namespace, create_time DESC, name) WHERE known",
    "CREATE INDEX versions_of_model ON versions (model, create_time DESC, name) WHERE known",
    "CREATE INDEX versions_in_stage ON versions (stage, create_time DESC, name) WHERE known",
    "CREATE INDEX versions_of_artifact ON versions (artifact) WHERE known",
    "CREATE INDEX versions_text ON versions USING gin (text) WHERE known",
    """
    CREATE TABLE models (
        name text COLLATE "C" PRIMARY KEY,
        text tsvector NOT NULL
    )
    """,
    """
    CREATE TABLE first_stages (
        namespace text COLLATE "C" PRIMARY KEY,
        stage text COLLATE "C" NOT NULL
    )
    """,
    """
    CREATE TABLE metrics (
        version text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL,
        dataset text COLLATE "C" NOT NULL,
        slice text COLLATE "C" NOT NULL,
        value double precision NOT NULL,
        PRIMARY KEY (version, key, slice, dataset)
    )
    """,
    "CREATE INDEX metrics_value ON metrics (key, slice, value, version)",
    # A long text is too long for an index entry; its first 200 characters find it, the row decides.
    *(
        statement
        for table in ("params", "tags")
        for statement in (
            f"""
            CREATE TABLE {table} (
                version text COLLATE "C" NOT NULL,
                key text COLLATE "C" NOT NULL,
                text text COLLATE "C",
                beginning text COLLATE "C" GENERATED ALWAYS AS ("left"(text, 200)) STORED,
                number numeric,
                flag boolean
            )
            """,
            f"CREATE INDEX {table}_of_version ON {table} (version, key)",
            f"CREATE INDEX {table}_text ON {table} (key, beginning, version) WHERE text IS NOT NULL",
            # How common a value is depends on the key; without it the planner takes every tag for a rare one.
            f"CREATE STATISTICS {table}_values (mcv) ON key, beginning FROM {table}",
            f"CREATE INDEX {table}_number ON {table} (key, number, version) WHERE number IS NOT NULL",
        )
    ),
    """
    CREATE TABLE datasets (
        version text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        digest text COLLATE "C" NOT NULL
    )
    """,
    "CREATE INDEX datasets_of_version ON datasets (version)",
    "CREATE INDEX datasets_name ON datasets (name, version)",
    "CREATE INDEX datasets_digest ON datasets (digest, version)",
    """
    CREATE TABLE aliases (
        name text COLLATE "C" PRIMARY KEY,
        version text COLLATE "C" NOT NULL,
        alias text COLLATE "C" NOT NULL
    )
    """,
    "CREATE INDEX aliases_of_version ON aliases (version, alias)",
    "CREATE INDEX aliases_alias ON aliases (alias, version)",
    """
    CREATE TABLE deployments (
        name text COLLATE "C" PRIMARY KEY,
        version text COLLATE "C" NOT NULL,
        state text COLLATE "C" NOT NULL,
        environment text COLLATE "C" NOT NULL,
        message bytea NOT NULL
    )
    """,
    "CREATE INDEX deployments_of_version ON deployments (version, name)",
    "CREATE INDEX deployments_state ON deployments (state, environment, version)",
)

TABLES = ("versions", "models", "first_stages", "metrics", "params", "tags", "datasets", "aliases", "deployments")


def upgrade() -> None:
    for statement in (*schema.CREATE, *CREATE):
        op.execute(statement)
    # A rebuild empties the index at once, however large it is.
    op.execute(f"GRANT TRUNCATE ON {', '.join(TABLES)} TO {role_of('search')}")


def downgrade() -> None:
    for table in (*TABLES, "positions", "index_state"):
        op.execute(f"DROP TABLE {table}")
    for statement in schema.DROP:
        op.execute(statement)

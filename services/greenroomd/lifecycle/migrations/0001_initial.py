"""Stage graphs, policies, transitions, stage assignments, aliases, checks, deployments and the change log."""

from __future__ import annotations

from alembic import op

from greenroomd.platform.changelog import schema

revision = "0001"
down_revision = None

CREATE = (
    """
    CREATE TABLE stage_graphs (
        namespace text COLLATE "C" PRIMARY KEY,
        message bytea NOT NULL
    )
    """,
    """
    CREATE TABLE policies (
        name text COLLATE "C" PRIMARY KEY,
        namespace text COLLATE "C" NOT NULL,
        message bytea NOT NULL
    )
    """,
    "CREATE INDEX policies_by_namespace ON policies (namespace)",
    """
    CREATE TABLE transitions (
        name text COLLATE "C" PRIMARY KEY,
        namespace text COLLATE "C" NOT NULL,
        state smallint NOT NULL,
        creators text[] NOT NULL,
        message bytea NOT NULL
    )
    """,
    "CREATE INDEX transitions_by_namespace ON transitions (namespace, name)",
    """
    CREATE TABLE transition_versions (
        transition text COLLATE "C" NOT NULL REFERENCES transitions (name),
        version text COLLATE "C" NOT NULL,
        model text COLLATE "C" NOT NULL,
        target_stage text NOT NULL,
        pending boolean NOT NULL,
        PRIMARY KEY (transition, version)
    )
    """,
    "CREATE INDEX transition_versions_by_model ON transition_versions (model, transition)",
    # One open request a version and stage, also when the model's lock were not there.
    """
    CREATE UNIQUE INDEX transition_versions_pending ON transition_versions (version, target_stage) WHERE pending
    """,
    # A version is in `stage` from `from_revision` until before `to_revision`. One that was never moved has no row.
    """
    CREATE TABLE assignments (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        model text COLLATE "C" NOT NULL,
        version text COLLATE "C" NOT NULL,
        artifact_digest text NOT NULL,
        stage text NOT NULL,
        slot integer CHECK (slot > 0),
        from_stage text NOT NULL,
        from_revision bigint NOT NULL CHECK (from_revision > 0),
        to_revision bigint CHECK (to_revision > from_revision),
        displaced boolean NOT NULL,
        kind smallint NOT NULL,
        transition text COLLATE "C" NOT NULL REFERENCES transitions (name),
        actor_id text NOT NULL,
        actor_kind text NOT NULL,
        reason text NOT NULL,
        time timestamptz NOT NULL
    )
    """,
    # Two guards that hold whatever the code does: a version is in one stage, and a stage with a capacity has that many
    # slots, each taken by one version of a model.
    "CREATE UNIQUE INDEX assignments_one_stage ON assignments (version) WHERE to_revision IS NULL",
    "CREATE UNIQUE INDEX assignments_slot ON assignments (model, stage, slot) WHERE to_revision IS NULL",
    "CREATE INDEX assignments_by_stage ON assignments (model, stage, from_revision)",
    "CREATE INDEX assignments_by_version ON assignments (version, from_revision)",
    """
    CREATE TABLE aliases (
        name text COLLATE "C" PRIMARY KEY,
        model text COLLATE "C" NOT NULL,
        alias text COLLATE "C" NOT NULL,
        version text COLLATE "C" NOT NULL,
        artifact_digest text NOT NULL,
        message bytea NOT NULL,
        CONSTRAINT aliases_of_model UNIQUE (model, alias)
    )
    """,
    "CREATE INDEX aliases_by_version ON aliases (version)",
    """
    CREATE TABLE checks (
        name text COLLATE "C" PRIMARY KEY,
        version text COLLATE "C" NOT NULL,
        message bytea NOT NULL
    )
    """,
    "CREATE INDEX checks_by_version ON checks (version, name)",
    """
    CREATE TABLE deployments (
        name text COLLATE "C" PRIMARY KEY,
        model text COLLATE "C" NOT NULL,
        version text COLLATE "C" NOT NULL,
        message bytea NOT NULL
    )
    """,
    "CREATE INDEX deployments_by_model ON deployments (model, name)",
    "CREATE INDEX deployments_by_version ON deployments (version)",
)

TABLES = (
    "deployments",
    "checks",
    "aliases",
    "assignments",
    "transition_versions",
    "transitions",
    "policies",
    "stage_graphs",
)


def upgrade() -> None:
    for statement in (*schema.CREATE, *CREATE):
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    for statement in schema.DROP:
        op.execute(statement)

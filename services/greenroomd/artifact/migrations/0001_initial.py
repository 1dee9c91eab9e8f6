"""Blobs and who holds them, uploads, artifacts, and the change log."""

from __future__ import annotations

from alembic import op

from greenroomd.platform.changelog import schema

revision = "0001"
down_revision = None

CREATE = (
    """
    CREATE TABLE blobs (
        digest text COLLATE "C" PRIMARY KEY,
        size bigint NOT NULL CHECK (size >= 0),
        create_time timestamptz NOT NULL DEFAULT now()
    )
    """,
    # Which namespaces have brought the bytes themselves: what a namespace may name in a manifest.
    """
    CREATE TABLE namespace_blobs (
        namespace text COLLATE "C" NOT NULL,
        digest text COLLATE "C" NOT NULL CONSTRAINT namespace_blobs_blob REFERENCES blobs (digest) ON DELETE RESTRICT,
        create_time timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (namespace, digest)
    )
    """,
    "CREATE INDEX namespace_blobs_by_digest ON namespace_blobs (digest)",
    # The size belongs to the key: a client that announces a wrong one does not stand in the way of the right one.
    """
    CREATE TABLE uploads (
        id uuid PRIMARY KEY,
        namespace text COLLATE "C" NOT NULL,
        digest text COLLATE "C" NOT NULL,
        size bigint NOT NULL CHECK (size >= 0),
        committed_size bigint NOT NULL CHECK (committed_size BETWEEN 0 AND size),
        complete boolean NOT NULL,
        create_time timestamptz NOT NULL DEFAULT now(),
        expire_time timestamptz NOT NULL,
        CONSTRAINT uploads_blob UNIQUE (namespace, digest, size)
    )
    """,
    "CREATE INDEX uploads_by_expiry ON uploads (expire_time)",
    """
    CREATE TABLE artifacts (
        namespace text COLLATE "C" NOT NULL,
        digest text COLLATE "C" NOT NULL,
        create_time timestamptz NOT NULL,
        manifest bytea NOT NULL,
        message bytea NOT NULL,
        PRIMARY KEY (namespace, digest)
    )
    """,
    "CREATE INDEX artifacts_by_age ON artifacts (namespace, create_time, digest)",
    # Through namespace_blobs to blobs: while an artifact names a blob, nothing can drop it nor the right to it.
    """
    CREATE TABLE artifact_blobs (
        namespace text COLLATE "C" NOT NULL,
        artifact text COLLATE "C" NOT NULL,
        blob text COLLATE "C" NOT NULL,
        PRIMARY KEY (namespace, artifact, blob),
        CONSTRAINT artifact_blobs_artifact FOREIGN KEY (namespace, artifact)
            REFERENCES artifacts (namespace, digest) ON DELETE CASCADE,
        CONSTRAINT artifact_blobs_blob FOREIGN KEY (namespace, blob)
            REFERENCES namespace_blobs (namespace, digest) ON DELETE RESTRICT
    )
    """,
    "CREATE INDEX artifact_blobs_by_blob ON artifact_blobs (namespace, blob)",
)


def upgrade() -> None:
    for statement in (*schema.CREATE, *CREATE):
        op.execute(statement)


def downgrade() -> None:
    for table in ("artifact_blobs", "artifacts", "uploads", "namespace_blobs", "blobs"):
        op.execute(f"DROP TABLE {table}")
    for statement in schema.DROP:
        op.execute(statement)

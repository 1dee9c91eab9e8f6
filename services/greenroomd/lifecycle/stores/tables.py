"""The lifecycle's tables: the columns that SQL needs, and the resource itself as the message that answers carry."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
)

metadata = MetaData()

NAME = Text(collation="C")

stage_graphs = Table(
    "stage_graphs",
    metadata,
    Column("namespace", NAME, primary_key=True),
    Column("message", LargeBinary, nullable=False),
)

former_names = Table(
    "former_names",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("current", NAME, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("namespace", NAME, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

transitions = Table(
    "transitions",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("namespace", NAME, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("creators", ARRAY(Text), nullable=False),
    Column("message", LargeBinary, nullable=False),
)

transition_versions = Table(
    "transition_versions",
    metadata,
    Column("transition", NAME, primary_key=True),
    Column("version", NAME, primary_key=True),
    Column("model", NAME, nullable=False),
    Column("target_stage", Text, nullable=False),
    Column("pending", Boolean, nullable=False),
)

assignments = Table(
    "assignments",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("model", NAME, nullable=False),
    Column("version", NAME, nullable=False),
    Column("artifact_digest", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("slot", Integer),
    Column("from_stage", Text, nullable=False),
    Column("from_revision", BigInteger, nullable=False),
    Column("to_revision", BigInteger),
    Column("displaced", Boolean, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("transition", NAME, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
)

aliases = Table(
    "aliases",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("model", NAME, nullable=False),
    Column("alias", NAME, nullable=False),
    Column("version", NAME, nullable=False),
    Column("artifact_digest", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

checks = Table(
    "checks",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("version", NAME, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

deployments = Table(
    "deployments",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("model", NAME, nullable=False),
    Column("version", NAME, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

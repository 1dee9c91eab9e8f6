"""The index's tables as queries see them: one row a version, and narrow tables for what it has several of."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    DateTime,
    Double,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

metadata = MetaData()

versions = Table(
    "versions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("known", Boolean, nullable=False),
    Column("stage", Text, nullable=False),
    Column("moved", Boolean, nullable=False),
    Column("create_time", DateTime(timezone=True)),
    Column("creator", Text, nullable=False),
    Column("framework", Text, nullable=False),
    Column("task", Text, nullable=False),
    Column("semver", Text, nullable=False),
    Column("artifact", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("text", TSVECTOR, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

metrics = Table(
    "metrics",
    metadata,
    Column("version", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("slice", Text, nullable=False),
    Column("value", Double, nullable=False),
)


def _values(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("version", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("text", Text),
        Column("beginning", Text, Computed("left(text, 200)")),
        Column("number", Numeric),
        Column("flag", Boolean),
    )


params = _values("params")
tags = _values("tags")

datasets = Table(
    "datasets",
    metadata,
    Column("version", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
)

aliases = Table(
    "aliases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("alias", Text, nullable=False),
)

former_names = Table(
    "former_names",
    metadata,
    Column("name", Text, primary_key=True),
    Column("current", Text, nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
)

deployments = Table(
    "deployments",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

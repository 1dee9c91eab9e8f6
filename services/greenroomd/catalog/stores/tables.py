"""The catalog's tables: the columns that SQL needs, and the resource itself as the message that answers carry."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, MetaData, SmallInteger, Table, Text, Uuid

metadata = MetaData()

namespaces = Table(
    "namespaces",
    metadata,
    Column("name", Text(collation="C"), primary_key=True),
    Column("uid", Uuid, nullable=False, unique=True),
    Column("message", LargeBinary, nullable=False),
)

models = Table(
    "models",
    metadata,
    Column("name", Text(collation="C"), primary_key=True),
    Column("uid", Uuid, nullable=False, unique=True),
    Column("namespace", Text(collation="C"), nullable=False),
    Column("last_number", BigInteger, nullable=False),
    Column("renaming_to", Text(collation="C")),
    Column("renames", BigInteger, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

former_names = Table(
    "former_names",
    metadata,
    Column("name", Text(collation="C"), primary_key=True),
    Column("model", Uuid, nullable=False),
    Column("expire_time", DateTime(timezone=True)),
)

versions = Table(
    "versions",
    metadata,
    Column("name", Text(collation="C"), primary_key=True),
    Column("uid", Uuid, nullable=False, unique=True),
    Column("model", Text(collation="C"), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("semver", Text, nullable=False),
    Column("artifact_digest", Text, nullable=False),
    Column("deletion_lease", Uuid),
    Column("message", LargeBinary, nullable=False),
)

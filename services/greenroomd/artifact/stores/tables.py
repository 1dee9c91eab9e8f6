"""The artifact service's tables: the columns that SQL needs, and an artifact as the message that answers carry."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, LargeBinary, MetaData, Table, Text, Uuid

metadata = MetaData()

blobs = Table(
    "blobs",
    metadata,
    Column("digest", Text(collation="C"), primary_key=True),
    Column("size", BigInteger, nullable=False),
)

namespace_blobs = Table(
    "namespace_blobs",
    metadata,
    Column("namespace", Text(collation="C"), primary_key=True),
    Column("digest", Text(collation="C"), primary_key=True),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("namespace", Text(collation="C"), nullable=False),
    Column("digest", Text(collation="C"), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("committed_size", BigInteger, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("namespace", Text(collation="C"), primary_key=True),
    Column("digest", Text(collation="C"), primary_key=True),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

artifact_blobs = Table(
    "artifact_blobs",
    metadata,
    Column("namespace", Text(collation="C"), primary_key=True),
    Column("artifact", Text(collation="C"), primary_key=True),
    Column("blob", Text(collation="C"), primary_key=True),
)

"""Blobs, uploads and artifacts as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from greenroomd.platform.context import Actor


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes, named by content."""

    digest: str
    """`sha256:<64 lower-case hex digits>`."""
    size: int
    """Number of bytes."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A session that brings the bytes of one blob into one namespace."""

    name: str
    """`namespaces/{namespace}/uploads/{upload}`."""
    namespace: str
    """Resource name of the namespace."""
    blob: Blob
    committed_size: int
    """Bytes from the start that survive any crash."""
    complete: bool
    """Whether the namespace holds the blob, verified."""
    expire_time: datetime

    @property
    def id(self) -> str:
        """Last segment of the name: what a blob store knows the session by."""
        return self.name.rsplit("/", 1)[1]


class Role(Enum):
    """What a file is for, as CNCF ModelPack distinguishes layers."""

    WEIGHT = 1
    CONFIG = 2
    CODE = 3
    DOC = 4
    DATASET = 5


@dataclass(frozen=True, slots=True)
class File:
    """One file of an artifact."""

    path: str
    """Relative to the artifact's root."""
    blob: Blob
    role: Role
    media_type: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """The files of a version, named by the digest of their manifest."""

    name: str
    """`namespaces/{namespace}/artifacts/{digest}`."""
    namespace: str
    """Resource name of the namespace."""
    digest: str
    files: tuple[File, ...]
    """Ordered by path."""
    size: int
    """Sum of the files' sizes in bytes."""
    creator: Actor
    create_time: datetime
    manifest: bytes = b""
    """The manifest as it was committed; empty where only the description was read."""


@dataclass(frozen=True, slots=True)
class ArtifactPage:
    """Some artifacts of a list, without their manifests."""

    artifacts: tuple[Artifact, ...]
    more: bool
    """Whether others follow."""


@dataclass(frozen=True, slots=True)
class Readable:
    """What a namespace may read under a digest."""

    blob: Blob
    manifest: bytes | None
    """The bytes themselves when the digest is that of a manifest; None when they are in the blob store."""

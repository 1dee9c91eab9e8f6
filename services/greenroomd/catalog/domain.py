"""Namespaces, models and versions as values, and the rules that need nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from uuid import UUID

from greenroomd.platform.context import Actor
from greenroomd.platform.values import Value


@dataclass(frozen=True, slots=True)
class Namespace:
    name: str
    uid: UUID
    description: str
    creator: Actor
    create_time: datetime
    update_time: datetime
    etag: str


@dataclass(frozen=True, slots=True)
class FormerName:
    """A name that a model had."""

    name: str
    redirect_expire_time: datetime
    """Until when it leads to the model."""


@dataclass(frozen=True, slots=True)
class Renaming:
    """A renaming that is under way."""

    target: str
    """Resource name that the model is being given."""
    sequence: int
    """Which renaming of the model it is: 1, 2, 3…"""


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    uid: UUID
    namespace: str
    description: str
    tags: Mapping[str, Value]
    owner: str
    creator: Actor
    create_time: datetime
    update_time: datetime
    etag: str
    former_names: tuple[FormerName, ...] = ()
    """The last one first."""


class Direction(Enum):
    """Which way a metric is better."""

    UNSPECIFIED = 0
    HIGHER_IS_BETTER = 1
    LOWER_IS_BETTER = 2


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    value: float
    dataset: str = ""
    slice: str = ""
    step: int = 0
    unit: str = ""
    direction: Direction = Direction.UNSPECIFIED


class DatasetRole(Enum):
    """What a dataset was used for."""

    UNSPECIFIED = 0
    TRAINING = 1
    VALIDATION = 2
    EVALUATION = 3


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    digest: str = ""
    location: str = ""
    role: DatasetRole = DatasetRole.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class CodeReference:
    repository: str = ""
    commit: str = ""
    ref: str = ""
    dirty: bool | None = None
    entry_point: str = ""


@dataclass(frozen=True, slots=True)
class Hardware:
    cpu: str = ""
    cpu_count: int = 0
    memory_bytes: int = 0
    gpu: str = ""
    gpu_count: int = 0
    driver_version: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    python_version: str = ""
    operating_system: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    image_digest: str = ""
    lockfile_digest: str = ""
    hardware: Hardware | None = None
    seeds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Producer:
    system: str = ""
    run_id: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    name: str
    data_type: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """How a version was made and how good it is. Immutable after registration."""

    framework: str = ""
    framework_version: str = ""
    model_type: str = ""
    task: str = ""
    metrics: tuple[Metric, ...] = ()
    params: Mapping[str, Value] = field(default_factory=dict)
    datasets: tuple[Dataset, ...] = ()
    code: CodeReference | None = None
    environment: Environment | None = None
    producer: Producer | None = None
    parents: tuple[str, ...] = ()
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()


class VersionState(Enum):
    """Where a version is between registration and deletion."""

    READY = 1
    DELETING = 2
    DELETED = 3


@dataclass(frozen=True, slots=True)
class Version:
    name: str
    uid: UUID
    namespace: str
    model: str
    """Resource name of the model."""
    number: int
    state: VersionState
    artifact_digest: str
    artifact_size_bytes: int
    semver: str
    facts: Facts
    description: str
    tags: Mapping[str, Value]
    creator: Actor
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None
    deleter: Actor | None
    etag: str


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What a caller says about a version that it registers."""

    artifact_digest: str
    semver: str
    facts: Facts
    description: str
    tags: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ArtifactSummary:
    """What the artifact service says about an artifact."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What the lifecycle service says about a version that is to be deleted."""

    in_use: bool
    """Whether its stage or an alias keeps it from being deleted."""
    stage: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Annotations:
    """New values of what can change on a model or a version; None leaves a field as it is."""

    description: str | None = None
    tags: Mapping[str, Value] | None = None
    owner: str | None = None

"""What the lifecycle owns, as values. Rules on them: graph.py, board.py, gates.py, selectors.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from greenroomd.platform.context import Actor


class VersionState(Enum):
    """The catalog's word on a version."""

    READY = 1
    DELETING = 2
    DELETED = 3


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What the catalog says about a version."""

    name: str
    state: VersionState
    artifact_digest: str
    creator: Actor
    create_time: datetime
    delete_time: datetime | None = None
    deleter: Actor | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    id: str
    description: str = ""
    capacity: int = 0
    """Most versions of one model that can be here; 0 means any number."""
    displaced_to: str = ""
    """Where a version goes that makes room here."""


@dataclass(frozen=True, slots=True)
class StageEdge:
    from_stage: str
    to_stage: str


@dataclass(frozen=True, slots=True)
class StageGraph:
    name: str
    stages: tuple[Stage, ...]
    edges: tuple[StageEdge, ...]
    update_time: datetime | None
    """None for the default graph."""
    etag: str

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(stage.id for stage in self.stages)

    @property
    def first(self) -> str:
        """Where a version is that was never moved."""
        return self.stages[0].id

    def stage(self, id: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.id == id), None)

    def reachable(self, from_stage: str) -> tuple[str, ...]:
        """Return the stages that a version in `from_stage` can be moved to, in the order of the graph."""
        targets = {edge.to_stage for edge in self.edges if edge.from_stage == from_stage}
        return tuple(id for id in self.ids if id in targets)

    def holds(self, id: str) -> bool:
        """Return whether a version in this stage is in use: not in the first, nor where displaced versions rest."""
        return id != self.first and all(stage.displaced_to != id for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    required_checks: tuple[str, ...]
    approvals: int
    """Number of different people who must say yes."""
    update_time: datetime | None
    """None while nothing was set."""
    etag: str

    @property
    def stage(self) -> str:
        return last_segment(self.name)


class CheckState(Enum):
    QUEUED = 1
    RUNNING = 2
    PASSED = 3
    FAILED = 4


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: CheckState
    summary: str
    link: str
    artifact_digest: str
    reporter: Actor
    create_time: datetime
    update_time: datetime


class TransitionKind(Enum):
    MOVE = 1
    ROLLBACK = 2


class TransitionState(Enum):
    PENDING = 1
    COMPLETED = 2
    REJECTED = 3
    CANCELLED = 4
    FAILED = 5


class GateKind(Enum):
    CHECK = 1
    APPROVAL = 2


@dataclass(frozen=True, slots=True)
class UnmetGate:
    kind: GateKind
    subject: str
    version: str
    message: str


class Decision(Enum):
    APPROVED = 1
    REJECTED = 2


@dataclass(frozen=True, slots=True)
class Approval:
    approver: Actor
    decision: Decision
    comment: str
    time: datetime


@dataclass(frozen=True, slots=True)
class StageMove:
    version: str
    from_stage: str
    to_stage: str
    displaced: bool


@dataclass(frozen=True, slots=True)
class Transition:
    name: str
    """Empty when it was only asked what would happen."""
    kind: TransitionKind
    state: TransitionState
    versions: tuple[str, ...]
    artifact_digests: tuple[str, ...]
    creators: tuple[str, ...]
    """Id of who registered each version, in the same order: none of them may approve. Kept beside the message."""
    target_stage: str
    reason: str
    requester: Actor
    unmet_gates: tuple[UnmetGate, ...]
    approvals: tuple[Approval, ...]
    moves: tuple[StageMove, ...]
    outcome_reason: str
    closer: Actor | None
    create_time: datetime
    close_time: datetime | None
    etag: str

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(parent_of(version) for version in self.versions)


@dataclass(frozen=True, slots=True)
class Alias:
    name: str
    version: str
    artifact_digest: str
    updater: Actor
    update_time: datetime
    etag: str


class DeploymentState(Enum):
    STARTING = 1
    RUNNING = 2
    FAILED = 3
    STOPPED = 4


@dataclass(frozen=True, slots=True)
class Deployment:
    name: str
    version: str
    state: DeploymentState
    environment: str
    message: str
    reporter: Actor
    start_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class ModelRename:
    """A renaming of a model that the catalog decided on, the `sequence`-th of that model."""

    name: str
    former_name: str
    sequence: int
    expire_time: datetime
    """Until when the former name leads to the new one."""

    def applied_to(self, name: str) -> str:
        """Return what a resource name is after it: another one when it is that of the model or of one below it."""
        if name == self.former_name or name.startswith(f"{self.former_name}/"):
            return self.name + name.removeprefix(self.former_name)
        return name


def last_segment(name: str) -> str:
    return name.rsplit("/", 1)[1]


def parent_of(name: str) -> str:
    """Return the parent of a resource name: of a version its model, of a model its namespace."""
    return name.rsplit("/", 2)[0]


def namespace_of(name: str) -> str:
    """Return the namespace that a resource lies in, as a resource name."""
    return "/".join(name.split("/", 2)[:2])


def namespace_id(name: str) -> str:
    """Return the id of the namespace that a resource lies in."""
    return name.split("/", 2)[1]

"""Where versions are and how they came there, as reads answer it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from greenroomd.lifecycle.domain import Alias, Check, Deployment, StageGraph
from greenroomd.platform.context import Actor


@dataclass(frozen=True, slots=True)
class PastMove:
    """One entry of a version's way through the stages."""

    version: str
    from_stage: str
    """Empty for the registration."""
    to_stage: str
    displaced: bool
    transition: str
    """Empty for the registration."""
    actor: Actor
    reason: str
    time: datetime
    revision: int
    """0 for the registration."""


@dataclass(frozen=True, slots=True)
class VersionStanding:
    version: str
    stage: str
    aliases: tuple[str, ...]
    """Ids of the aliases that point to it."""
    checks: tuple[Check, ...]
    deployments: tuple[Deployment, ...]
    in_use: bool
    """Whether it must not be deleted."""


@dataclass(frozen=True, slots=True)
class ModelStanding:
    model: str
    stages: tuple[tuple[str, tuple[str, ...]], ...]
    """Every stage in the graph's order with its versions, the one that entered last first."""
    aliases: tuple[Alias, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class Resolution:
    selector: str
    version: str
    artifact_digest: str
    stage: str
    revision: int


@dataclass(frozen=True, slots=True)
class Pointed:
    """What a stage or an alias names."""

    version: str
    artifact_digest: str
    stage: str
    """The stage that the version is in; empty when it was never moved."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a name after @ stands for in a model, all at one revision."""

    graph: StageGraph
    holder: Pointed | None
    """The version that entered the stage of this name last."""
    alias: Pointed | None
    revision: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one version is, at one revision."""

    stage: str
    revision: int

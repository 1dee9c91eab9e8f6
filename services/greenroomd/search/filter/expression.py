"""A filter that has been read: well typed, and true or false of every version, never unknown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal


class Column(Enum):
    """A field of one text, number or time a version, or of several texts."""

    NAME = "name"
    NAMESPACE = "namespace"
    MODEL = "model"
    NUMBER = "number"
    CREATE_TIME = "create_time"
    CREATOR = "creator"
    STAGE = "stage"
    FRAMEWORK = "framework"
    TASK = "task"
    SEMVER = "semver"
    ARTIFACT = "artifact"
    DESCRIPTION = "description"
    ALIAS = "alias"
    DATASET = "dataset"
    ENVIRONMENT = "deployment.environment"


@dataclass(frozen=True, slots=True)
class MetricField:
    """`metric.NAME[@DATASET][#SLICE]`."""

    name: str
    dataset: str | None = None
    """None: measured on any dataset, or on none that was named."""
    slice: str = ""
    """Empty: measured on all of the dataset."""


@dataclass(frozen=True, slots=True)
class ValueField:
    """`param.NAME` or `tag.NAME`: a typed value, or each value of a list."""

    table: Literal["param", "tag"]
    key: str


@dataclass(frozen=True, slots=True)
class DeploymentStateField:
    """`deployment.state[@ENVIRONMENT]`."""

    environment: str | None = None
    """None: deployed anywhere."""


Field = Column | MetricField | ValueField | DeploymentStateField


class Operator(Enum):
    """How a field is compared. `!=` is read as NOT of `=`."""

    EQUAL = "="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    HAS = ":"


class Present(Enum):
    """The star in `tag.team:*`: any value."""

    PRESENT = "*"


PRESENT = Present.PRESENT

Operand = str | bool | int | float | datetime | Present


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition. True when one of the field's values satisfies it; `fields.py` says what a field takes."""

    field: Field
    operator: Operator
    operand: Operand


@dataclass(frozen=True, slots=True)
class Not:
    part: Expression


@dataclass(frozen=True, slots=True)
class And:
    """True when all parts are; without parts, always."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True when one of at least two parts is."""

    parts: tuple[Expression, ...]


Expression = Comparison | Not | And | Or

EVERYTHING = And(())

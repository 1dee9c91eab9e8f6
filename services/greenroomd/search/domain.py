"""What the index holds, what the sources' changes do to it, and what a search asks and gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from greenroomd.platform.values import Scalar, Value
from greenroomd.search.filter.expression import Expression
from greenroomd.search.ordering import SortKey, SortValue
from greenroomd.search.renames import Rename
from greenroomd.search.text_query import TextQuery, words

CATALOG = "catalog"
LIFECYCLE = "lifecycle"
SOURCES = (CATALOG, LIFECYCLE)
"""The services whose logs the index follows."""

FIRST_STAGE = "development"
"""Stage of a version that was never moved, in a namespace that has no stage graph of its own."""

INDEX = "index"
"""Resource name of the index."""

LONGEST_TEXT = 16384
"""Characters of one section of a version that can be found by text. The rest of a longer one is left out, so that no
version can outgrow what PostgreSQL stores of a text."""


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    dataset: str
    slice: str
    step: int
    value: float


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Version:
    """A version as the catalog announced it, as far as it can be searched."""

    name: str
    number: int
    create_time: datetime
    creator: str
    framework: str
    model_type: str
    task: str
    semver: str
    artifact: str
    description: str
    metrics: tuple[Metric, ...]
    params: Mapping[str, Value]
    tags: Mapping[str, Value]
    datasets: tuple[Dataset, ...]
    message: bytes
    """The catalog's Version message, which a hit carries unchanged."""

    @property
    def model(self) -> str:
        return model_of(self.name)


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    description: str
    tags: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Deployment:
    name: str
    version: str
    state: str
    environment: str
    message: bytes
    """The lifecycle service's Deployment message, which a hit carries unchanged."""


def model_of(version: str) -> str:
    return version.rsplit("/versions/", 1)[0]


def namespace_of(name: str) -> str:
    """Return the id of the namespace that a resource is in."""
    return name.split("/")[1]


def final_metrics(metrics: Iterable[Metric]) -> list[Metric]:
    """Return what of a version's metrics is searched: for each name, dataset and slice its final value.

    That is the one at step 0, which the catalog calls final, else the one at the highest step; the last stated of
    several.
    """
    final: dict[tuple[str, str, str], Metric] = {}
    for metric in metrics:
        key = (metric.name, metric.dataset, metric.slice)
        known = final.get(key)
        if known is None or metric.step == 0 or (known.step != 0 and metric.step >= known.step):
            final[key] = metric
    return list(final.values())


def scalars(value: Value) -> Sequence[Scalar]:
    """Return a value's parts: each of a list, or itself."""
    return value if isinstance(value, tuple) else (value,)


@dataclass(frozen=True, slots=True)
class Sections:
    """The words by which something is found, by how much they weigh."""

    name: str = ""
    labels: str = ""
    description: str = ""
    namespace: str = ""


def version_sections(version: Version) -> Sections:
    return Sections(
        name=words(version.model.rsplit("/", 1)[1]),
        labels=section(version.framework, version.model_type, version.task, *label_texts(version.tags)),
        description=section(version.description),
        namespace=words(namespace_of(version.name)),
    )


def model_sections(model: Model) -> Sections:
    return Sections(labels=section(*label_texts(model.tags)), description=section(model.description))


def section(*texts: str) -> str:
    return words(" ".join(texts)[:LONGEST_TEXT])


def label_texts(values: Mapping[str, Value]) -> Iterable[str]:
    for key, value in values.items():
        yield key
        yield from (str(scalar) for scalar in scalars(value) if not isinstance(scalar, bool))


@dataclass(frozen=True, slots=True)
class Effects:
    """What changes of the sources do to the index. The last word on each thing; None takes it away."""

    models: dict[str, Model] = field(default_factory=dict)
    versions: dict[str, Version | None] = field(default_factory=dict)
    first_stages: dict[str, str] = field(default_factory=dict)
    """By namespace id."""
    stages: dict[str, str] = field(default_factory=dict)
    """By version."""
    aliases: dict[str, str | None] = field(default_factory=dict)
    """The version, by the alias's resource name."""
    deployments: dict[str, Deployment] = field(default_factory=dict)

    def add(self, later: Effects) -> None:
        """Let `later` have the last word."""
        self.models.update(later.models)
        self.versions.update(later.versions)
        self.first_stages.update(later.first_stages)
        self.stages.update(later.stages)
        self.aliases.update(later.aliases)
        self.deployments.update(later.deployments)


@dataclass(frozen=True, slots=True)
class SourceChange:
    """One change of a source's log."""

    revision: int
    effects: Effects
    rename: Rename | None = None
    """What happens before the effects."""


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """One message of a source's watch: the changes of whole transactions, or none in a bookmark."""

    changes: Sequence[SourceChange]
    through_revision: int
    resume_token: str


@dataclass(frozen=True, slots=True)
class Position:
    """How far the index has followed a source's log."""

    revision: int = 0
    resume_token: str = ""
    """Empty before the first message."""


@dataclass(frozen=True, slots=True)
class IndexState:
    generation: int
    rebuild_time: datetime | None


@dataclass(frozen=True, slots=True)
class Index:
    """The index as callers see it."""

    state: IndexState
    positions: Mapping[str, int]
    """Revision by source."""
    version_count: int


@dataclass(frozen=True, slots=True)
class Query:
    """What the store is asked for: everything checked, nothing left to refuse."""

    parent: str
    """Resource name of a namespace or a model; empty for everything."""
    text: TextQuery | None
    filter: Expression
    order: tuple[SortKey, ...]
    """The last key is the name, which makes the order total."""
    after: tuple[SortValue, ...]
    """Sort values of the last hit of the page before; empty for the first page."""
    limit: int


@dataclass(frozen=True, slots=True)
class Hit:
    version: bytes
    stage: str
    aliases: Sequence[str]
    deployments: Sequence[bytes]
    score: float
    sort_values: tuple[SortValue, ...]

    @property
    def size(self) -> int:
        """About how many bytes it takes in an answer."""
        return len(self.version) + sum(len(message) for message in self.deployments)


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, and the positions that the index had when it was asked for them."""

    hits: Sequence[Hit]
    positions: Mapping[str, int]

"""A version as rows of the narrow tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from greenroomd.platform.values import Value
from greenroomd.search.domain import Version, final_metrics, model_of, namespace_of, scalars, version_sections
from greenroomd.search.stores.conditions import exact

Row = dict[str, Any]


def version_key(name: str) -> Row:
    """Return what the name of a version says, also of one that the catalog has not announced."""
    model = model_of(name)
    return {
        "name": name,
        "namespace": namespace_of(name),
        "model": model,
        "model_id": model.rsplit("/", 1)[1],
        "number": int(name.rsplit("/", 1)[1]),
    }


def version_row(version: Version) -> Row:
    found_by = version_sections(version)
    return {
        **version_key(version.name),
        "create_time": version.create_time,
        "creator": storable(version.creator),
        "framework": storable(version.framework),
        "task": storable(version.task),
        "semver": storable(version.semver),
        "artifact": storable(version.artifact),
        "description": storable(version.description),
        "message": version.message,
        "words_a": found_by.name,
        "words_b": found_by.labels,
        "words_c": found_by.description,
        "words_d": found_by.namespace,
    }


def metric_rows(version: Version) -> Iterable[Row]:
    for metric in final_metrics(version.metrics):
        yield {
            "version": version.name,
            "key": storable(metric.name),
            "dataset": storable(metric.dataset),
            "slice": storable(metric.slice),
            "value": metric.value,
        }


def value_rows(version: str, values: Mapping[str, Value]) -> Iterable[Row]:
    for key, value in values.items():
        for scalar in scalars(value):
            text: str | None = None
            number: Decimal | None = None
            flag: bool | None = None
            match scalar:
                case bool():
                    flag = scalar
                case str():
                    text = storable(scalar)
                case _:
                    number = exact(scalar)
            yield {"version": version, "key": storable(key), "text": text, "number": number, "flag": flag}


def dataset_rows(version: Version) -> Iterable[Row]:
    for dataset in version.datasets:
        yield {"version": version.name, "name": storable(dataset.name), "digest": storable(dataset.digest)}


def storable(text: str) -> str:
    """Return a text as PostgreSQL can hold it: NUL, which it cannot, is left out."""
    return text.replace("\0", "")

"""Resource names: the one place that knows how they are written.

    namespaces/{namespace}
    namespaces/{namespace}/models/{model}
    namespaces/{namespace}/models/{model}/versions/{version}
    namespaces/{namespace}/models/{model}/versions/{version}/checks/{check}
    namespaces/{namespace}/models/{model}/aliases/{alias}
    namespaces/{namespace}/models/{model}/deployments/{deployment}
    namespaces/{namespace}/artifacts/{digest}
    namespaces/{namespace}/uploads/{upload}
    namespaces/{namespace}/transitions/{transition}
    namespaces/{namespace}/policies/{stage}
    namespaces/{namespace}/stageGraph

`parse` reads the text and raises `InvalidName`; `str()` writes it back. A name built from its parts is not checked:
the server refuses a wrong one with the field's path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, Self

SEGMENTS: dict[str, str] = {
    "namespace": r"[a-z0-9][a-z0-9-]{0,61}[a-z0-9]",
    "model": r"[a-z0-9]([a-z0-9._-]{0,125}[a-z0-9])?",
    "version": r"[1-9][0-9]{0,17}",
    "digest": r"sha256:[0-9a-f]{64}",
    "alias": r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?",
    "check": r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?",
    "deployment": r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?",
    "stage": r"[a-z][a-z0-9-]{0,62}",
    "transition": r"[a-z0-9-]{1,63}",
    "upload": r"[a-z0-9-]{1,63}",
}
"""What may stand for each variable of a template, as a regular expression for the whole segment."""

HINTS: dict[str, str] = {
    "namespace": "2 to 63 lower-case letters, digits and hyphens",
    "model": "1 to 127 lower-case letters, digits, . _ -",
    "version": "a number from 1",
    "digest": "sha256: followed by 64 lower-case hex digits",
    "alias": "1 to 63 lower-case letters, digits, . _ -",
    "check": "1 to 63 lower-case letters, digits, . _ -",
    "deployment": "1 to 63 lower-case letters, digits, . _ -",
    "stage": "a lower-case letter, then letters, digits and hyphens",
    "transition": "lower-case letters, digits and hyphens",
    "upload": "lower-case letters, digits and hyphens",
}
"""The same in words, for people."""

_SHOWN = 64


class InvalidName(ValueError):
    """A text that is not the resource name it should be. The message says what was expected."""

    def __init__(self, text: str, template: str) -> None:
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
        super().__init__(f"{shown!r} is not {describe(template, text)}")
        self.text = text
        self.template = template


def describe(template: str, text: str = "") -> str:
    """Return what a template accepts, in words: the template itself and what its variables may be.

    Args:
        template: the template; alternatives are separated by `|`.
        text: what was given instead. When it has the template's shape, only the variables that it gets wrong are
            explained.
    """
    forms = " or ".join(template.split("|"))
    variables = _wrong_variables(template, text) or re.findall(r"\{(\w+)\}", template)
    if not variables:
        return forms
    return f"{forms} ({'; '.join(f'{name}: {HINTS[name]}' for name in dict.fromkeys(variables))})"


def _wrong_variables(template: str, text: str) -> list[str]:
    wrong = []
    expected, given = template.split("/"), text.split("/")
    if len(expected) != len(given):
        return []
    for segment, value in zip(expected, given, strict=True):
        variable = re.fullmatch(r"\{(\w+)\}", segment)
        if variable is None and segment != value:
            return []
        if variable is not None and not re.fullmatch(SEGMENTS[variable[1]], value):
            wrong.append(variable[1])
    return wrong


@cache
def template_pattern(template: str) -> re.Pattern[str]:
    """Return the regular expression of a template, for `fullmatch`; alternatives are separated by `|`.

    Raises KeyError for a variable that has no entry in `SEGMENTS`.
    """
    return re.compile("|".join(_alternative(form, named="|" not in template) for form in template.split("|")))


def _alternative(form: str, *, named: bool) -> str:
    parts = []
    for segment in form.split("/"):
        variable = re.fullmatch(r"\{(\w+)\}", segment)
        if variable is None:
            parts.append(re.escape(segment))
        elif named:
            parts.append(f"(?P<{variable[1]}>{SEGMENTS[variable[1]]})")
        else:
            parts.append(f"(?:{SEGMENTS[variable[1]]})")
    return "/".join(parts)


def _values(text: str, template: str) -> list[Any]:
    """Return what stands for each variable of a template, in its order; a version as a number. Raises InvalidName."""
    found = template_pattern(template).fullmatch(text)
    if found is None:
        raise InvalidName(text, template)
    return [int(value) if variable == "version" else value for variable, value in found.groupdict().items()]


@dataclass(frozen=True, slots=True, order=True)
class ResourceName:
    """A resource name in its parts; the fields are the template's variables, in their order."""

    TEMPLATE: ClassVar[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        return cls(*_values(text, cls.TEMPLATE))

    def __str__(self) -> str:
        return re.sub(r"\{\w+\}", "{}", self.TEMPLATE).format(*(getattr(self, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True, order=True)
class NamespaceName(ResourceName):
    """`namespaces/{namespace}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}"

    namespace: str


@dataclass(frozen=True, slots=True, order=True)
class _InNamespace(ResourceName):
    namespace: str

    @property
    def parent(self) -> NamespaceName:
        """The namespace that it is in."""
        return NamespaceName(self.namespace)


@dataclass(frozen=True, slots=True, order=True)
class ModelName(_InNamespace):
    """`namespaces/{namespace}/models/{model}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/models/{model}"

    model: str

    @classmethod
    def parse_short(cls, text: str) -> Self:
        """Read `demo/digits`, or the full resource name. Raises InvalidName."""
        if text.startswith("namespaces/") and text.count("/") > 1:
            return cls.parse(text)
        return cls(*_values(text, "{namespace}/{model}"))

    @property
    def short(self) -> str:
        """The form that people type: `demo/digits`."""
        return f"{self.namespace}/{self.model}"

    def version(self, number: int) -> VersionName:
        """Return the name of one of the model's versions."""
        return VersionName(self.namespace, self.model, number)


@dataclass(frozen=True, slots=True, order=True)
class _OfModel(ResourceName):
    namespace: str
    model: str

    @property
    def parent(self) -> ModelName:
        """The model that it belongs to."""
        return ModelName(self.namespace, self.model)


@dataclass(frozen=True, slots=True, order=True)
class VersionName(_OfModel):
    """`namespaces/{namespace}/models/{model}/versions/{version}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/models/{model}/versions/{version}"

    number: int

    @classmethod
    def parse_short(cls, text: str) -> Self:
        """Read `demo/digits/3`, or the full resource name. Raises InvalidName."""
        if text.startswith("namespaces/") and text.count("/") > 2:
            return cls.parse(text)
        return cls(*_values(text, "{namespace}/{model}/{version}"))

    @property
    def short(self) -> str:
        """The form that people type: `demo/digits/3`."""
        return f"{self.namespace}/{self.model}/{self.number}"


@dataclass(frozen=True, slots=True, order=True)
class CheckName(ResourceName):
    """`namespaces/{namespace}/models/{model}/versions/{version}/checks/{check}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/models/{model}/versions/{version}/checks/{check}"

    namespace: str
    model: str
    number: int
    check: str

    @property
    def parent(self) -> VersionName:
        """The version that the check is about."""
        return VersionName(self.namespace, self.model, self.number)


@dataclass(frozen=True, slots=True, order=True)
class AliasName(_OfModel):
    """`namespaces/{namespace}/models/{model}/aliases/{alias}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/models/{model}/aliases/{alias}"

    alias: str


@dataclass(frozen=True, slots=True, order=True)
class DeploymentName(_OfModel):
    """`namespaces/{namespace}/models/{model}/deployments/{deployment}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/models/{model}/deployments/{deployment}"

    deployment: str


@dataclass(frozen=True, slots=True, order=True)
class ArtifactName(_InNamespace):
    """`namespaces/{namespace}/artifacts/{digest}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/artifacts/{digest}"

    digest: str
    """`sha256:` and 64 hex digits."""


@dataclass(frozen=True, slots=True, order=True)
class UploadName(_InNamespace):
    """`namespaces/{namespace}/uploads/{upload}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/uploads/{upload}"

    upload: str


@dataclass(frozen=True, slots=True, order=True)
class TransitionName(_InNamespace):
    """`namespaces/{namespace}/transitions/{transition}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/transitions/{transition}"

    transition: str


@dataclass(frozen=True, slots=True, order=True)
class PolicyName(_InNamespace):
    """`namespaces/{namespace}/policies/{stage}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/policies/{stage}"

    stage: str


@dataclass(frozen=True, slots=True, order=True)
class StageGraphName(_InNamespace):
    """`namespaces/{namespace}/stageGraph`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/stageGraph"

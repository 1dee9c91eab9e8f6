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
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Self

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
        super().__init__(f"{shown!r} is not {describe(template)}")
        self.text = text
        self.template = template


def describe(template: str) -> str:
    """Return what a template accepts, in words: the template itself and what its last variable may be."""
    forms = " or ".join(template.split("|"))
    variables = re.findall(r"\{(\w+)\}", template)
    if not variables:
        return forms
    return f"{forms} ({', '.join(f'{name}: {HINTS[name]}' for name in dict.fromkeys(variables))})"


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


def _groups(text: str, template: str) -> dict[str, str]:
    found = template_pattern(template).fullmatch(text)
    if found is None:
        raise InvalidName(text, template)
    return found.groupdict()


@dataclass(frozen=True, slots=True, order=True)
class NamespaceName:
    """`namespaces/{namespace}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}"

    namespace: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        return cls(**_groups(text, cls.TEMPLATE))

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}"


@dataclass(frozen=True, slots=True, order=True)
class ModelName:
    """`namespaces/{namespace}/models/{model}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/models/{model}"

    namespace: str
    model: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        return cls(**_groups(text, cls.TEMPLATE))

    @classmethod
    def parse_short(cls, text: str) -> Self:
        """Read `demo/digits`, or the full resource name. Raises InvalidName."""
        if text.startswith("namespaces/") and text.count("/") > 1:
            return cls.parse(text)
        return cls(**_groups(text, "{namespace}/{model}"))

    @property
    def parent(self) -> NamespaceName:
        """The namespace that the model is in."""
        return NamespaceName(self.namespace)

    @property
    def short(self) -> str:
        """The form that people type: `demo/digits`."""
        return f"{self.namespace}/{self.model}"

    def version(self, number: int) -> VersionName:
        """Return the name of one of the model's versions."""
        return VersionName(self.namespace, self.model, number)

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/models/{self.model}"


@dataclass(frozen=True, slots=True, order=True)
class VersionName:
    """`namespaces/{namespace}/models/{model}/versions/{version}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/models/{model}/versions/{version}"

    namespace: str
    model: str
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        groups = _groups(text, cls.TEMPLATE)
        return cls(groups["namespace"], groups["model"], int(groups["version"]))

    @classmethod
    def parse_short(cls, text: str) -> Self:
        """Read `demo/digits/3`, or the full resource name. Raises InvalidName."""
        if text.startswith("namespaces/") and text.count("/") > 2:
            return cls.parse(text)
        groups = _groups(text, "{namespace}/{model}/{version}")
        return cls(groups["namespace"], groups["model"], int(groups["version"]))

    @property
    def parent(self) -> ModelName:
        """The model that the version belongs to."""
        return ModelName(self.namespace, self.model)

    @property
    def short(self) -> str:
        """The form that people type: `demo/digits/3`."""
        return f"{self.namespace}/{self.model}/{self.number}"

    def __str__(self) -> str:
        return f"namespaces/{self.namespace}/models/{self.model}/versions/{self.number}"


@dataclass(frozen=True, slots=True, order=True)
class CheckName:
    """`namespaces/{namespace}/models/{model}/versions/{version}/checks/{check}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/models/{model}/versions/{version}/checks/{check}"

    namespace: str
    model: str
    number: int
    check: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        groups = _groups(text, cls.TEMPLATE)
        return cls(groups["namespace"], groups["model"], int(groups["version"]), groups["check"])

    @property
    def parent(self) -> VersionName:
        """The version that the check is about."""
        return VersionName(self.namespace, self.model, self.number)

    def __str__(self) -> str:
        return f"{self.parent}/checks/{self.check}"


@dataclass(frozen=True, slots=True, order=True)
class AliasName:
    """`namespaces/{namespace}/models/{model}/aliases/{alias}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/models/{model}/aliases/{alias}"

    namespace: str
    model: str
    alias: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        return cls(**_groups(text, cls.TEMPLATE))

    @property
    def parent(self) -> ModelName:
        """The model that the alias belongs to."""
        return ModelName(self.namespace, self.model)

    def __str__(self) -> str:
        return f"{self.parent}/aliases/{self.alias}"


@dataclass(frozen=True, slots=True, order=True)
class DeploymentName:
    """`namespaces/{namespace}/models/{model}/deployments/{deployment}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/models/{model}/deployments/{deployment}"

    namespace: str
    model: str
    deployment: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        return cls(**_groups(text, cls.TEMPLATE))

    @property
    def parent(self) -> ModelName:
        """The model that is deployed."""
        return ModelName(self.namespace, self.model)

    def __str__(self) -> str:
        return f"{self.parent}/deployments/{self.deployment}"


@dataclass(frozen=True, slots=True, order=True)
class ArtifactName:
    """`namespaces/{namespace}/artifacts/{digest}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/artifacts/{digest}"

    namespace: str
    digest: str
    """`sha256:` and 64 hex digits."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        return cls(**_groups(text, cls.TEMPLATE))

    @property
    def parent(self) -> NamespaceName:
        """The namespace that holds the artifact."""
        return NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"{self.parent}/artifacts/{self.digest}"


@dataclass(frozen=True, slots=True, order=True)
class UploadName:
    """`namespaces/{namespace}/uploads/{upload}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/uploads/{upload}"

    namespace: str
    upload: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        return cls(**_groups(text, cls.TEMPLATE))

    @property
    def parent(self) -> NamespaceName:
        """The namespace that the bytes are uploaded to."""
        return NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"{self.parent}/uploads/{self.upload}"


@dataclass(frozen=True, slots=True, order=True)
class TransitionName:
    """`namespaces/{namespace}/transitions/{transition}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/transitions/{transition}"

    namespace: str
    transition: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        return cls(**_groups(text, cls.TEMPLATE))

    @property
    def parent(self) -> NamespaceName:
        """The namespace of the versions that it moves."""
        return NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"{self.parent}/transitions/{self.transition}"


@dataclass(frozen=True, slots=True, order=True)
class PolicyName:
    """`namespaces/{namespace}/policies/{stage}`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/policies/{stage}"

    namespace: str
    stage: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        return cls(**_groups(text, cls.TEMPLATE))

    @property
    def parent(self) -> NamespaceName:
        """The namespace whose stage the policy guards."""
        return NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"{self.parent}/policies/{self.stage}"


@dataclass(frozen=True, slots=True, order=True)
class StageGraphName:
    """`namespaces/{namespace}/stageGraph`."""

    TEMPLATE: ClassVar[str] = "namespaces/{namespace}/stageGraph"

    namespace: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resource name. Raises InvalidName."""
        return cls(**_groups(text, cls.TEMPLATE))

    @property
    def parent(self) -> NamespaceName:
        """The namespace whose stages it describes."""
        return NamespaceName(self.namespace)

    def __str__(self) -> str:
        return f"{self.parent}/stageGraph"


parse_namespace = NamespaceName.parse
parse_model = ModelName.parse
parse_version = VersionName.parse
parse_check = CheckName.parse
parse_alias = AliasName.parse
parse_deployment = DeploymentName.parse
parse_artifact = ArtifactName.parse
parse_upload = UploadName.parse
parse_transition = TransitionName.parse
parse_policy = PolicyName.parse
parse_stage_graph = StageGraphName.parse

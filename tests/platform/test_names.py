"""Resource names are read and written back, and nothing else passes for one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import names
from greenroom.names import InvalidName, ModelName, VersionName

NAMES: dict[str, tuple[type[Any], str | None]] = {
    "namespaces/demo": (names.NamespaceName, None),
    "namespaces/demo/stageGraph": (names.StageGraphName, "namespaces/demo"),
    "namespaces/demo/policies/production": (names.PolicyName, "namespaces/demo"),
    "namespaces/demo/uploads/u-1": (names.UploadName, "namespaces/demo"),
    "namespaces/demo/transitions/t-1": (names.TransitionName, "namespaces/demo"),
    f"namespaces/demo/artifacts/sha256:{'0' * 64}": (names.ArtifactName, "namespaces/demo"),
    "namespaces/demo/models/digits": (ModelName, "namespaces/demo"),
    "namespaces/demo/models/digits/aliases/champion": (names.AliasName, "namespaces/demo/models/digits"),
    "namespaces/demo/models/digits/deployments/eu.1": (names.DeploymentName, "namespaces/demo/models/digits"),
    "namespaces/demo/models/digits/versions/3": (VersionName, "namespaces/demo/models/digits"),
    "namespaces/demo/models/digits/versions/3/checks/bias": (
        names.CheckName,
        "namespaces/demo/models/digits/versions/3",
    ),
}


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_read_by_its_own_type_alone(text: str) -> None:
    owner, parent = NAMES[text]
    parsed = owner.parse(text)
    assert str(parsed) == text
    assert parent is None or str(parsed.parent) == parent
    for other, _ in NAMES.values():
        if other is not owner:
            with pytest.raises(InvalidName):
                other.parse(text)
    for spoiled in (text + "\n", text + "/", "/" + text, text.upper(), text + "/..", ""):
        with pytest.raises(InvalidName):
            owner.parse(spoiled)


def test_short_forms() -> None:
    assert ModelName.parse_short("demo/digits") == ModelName("demo", "digits")
    assert VersionName.parse_short("demo/digits/3") == VersionName("demo", "digits", 3)
    assert ModelName.parse_short("namespaces/demo/models/digits").short == "demo/digits"
    assert VersionName.parse_short("namespaces/demo/models/digits/versions/3").short == "demo/digits/3"
    # A namespace may be called `namespaces`.
    assert ModelName.parse_short("namespaces/digits") == ModelName("namespaces", "digits")
    assert VersionName.parse_short("namespaces/digits/3") == VersionName("namespaces", "digits", 3)
    for text in ("demo", "demo/", "/digits", "demo/digits/3/4", "demo/..", "../digits", "Demo/digits"):
        with pytest.raises(InvalidName):
            ModelName.parse_short(text)
    for text in ("demo/digits", "demo/digits/0", "demo/digits/03", "demo/digits/latest", "demo/digits@production"):
        with pytest.raises(InvalidName):
            VersionName.parse_short(text)


@given(
    st.from_regex(names.SEGMENTS["namespace"], fullmatch=True),
    st.from_regex(names.SEGMENTS["model"], fullmatch=True),
    st.integers(1, 10**18 - 1),
)
def test_every_name_comes_back(namespace: str, model: str, number: int) -> None:
    name = VersionName(namespace, model, number)
    assert VersionName.parse(str(name)) == VersionName.parse_short(name.short) == name
    assert name.parent.version(number) == name

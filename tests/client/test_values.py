"""Plain Python and command-line text as facts; names as people write them; what is captured by itself."""

from __future__ import annotations

import math
import subprocess
import typing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import Client, Metric, Version
from greenroom._facts import from_value, to_metrics, to_value, to_values
from greenroom._naming import model_name, namespace_name, resource_name, transition_name, version_name
from greenroom._provenance import capture_code, capture_environment, without_credentials
from greenroom.cli.inputs import parse_dataset, parse_metric, parse_pair, parse_role, parse_value
from greenroom.errors import FieldInvalid

scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
)


@given(scalars | st.lists(scalars))
def test_a_value_comes_back_with_its_type(value: object) -> None:
    returned = from_value(to_value(value, "x"))
    assert returned == value
    assert type(returned) is type(value)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, 2**63, {}, [[1]], [None], object(), b"x"])
def test_other_values_are_refused_by_field(value: object) -> None:
    with pytest.raises(FieldInvalid) as caught:
        to_values({"lr": value}, "params")  # type: ignore[dict-item]
    assert caught.value.violations[0].path == "params['lr']"


def test_numpy_scalars_are_the_numbers_they_hold() -> None:
    assert to_value(np.float64(0.5), "x").double_value == 0.5
    assert to_value(np.int64(5), "x").WhichOneof("kind") == "int_value"
    assert to_value(np.bool_(True), "x").WhichOneof("kind") == "bool_value"
    assert to_metrics({"accuracy": np.float32(0.5)})[0].value == 0.5  # type: ignore[arg-type]


def test_metrics_by_name_and_dataset() -> None:
    assert to_metrics({"accuracy": 0.97, "f1@holdout": 1}) == [
        Metric(name="accuracy", value=0.97),
        Metric(name="f1", dataset="holdout", value=1.0),
    ]
    given_metrics = [Metric(name="latency", value=3, unit="ms")]
    assert to_metrics(given_metrics) == given_metrics


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "high", None, 10**400])
def test_a_metric_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(FieldInvalid, match="accuracy"):
        to_metrics({"accuracy": value})


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("accuracy=0.97", Metric(name="accuracy", value=0.97)),
        ("accuracy@holdout=1", Metric(name="accuracy", dataset="holdout", value=1.0)),
        ("loss@2026=03=-1e-3", Metric(name="loss", dataset="2026=03", value=-0.001)),
    ],
)
def test_metrics_on_the_command_line(text: str, metric: Metric) -> None:
    assert parse_metric(text) == metric


@pytest.mark.parametrize("text", ["", "accuracy", "=1", "accuracy=", "accuracy=high", "a=nan", "a=inf", "a@=1", "@d=1"])
def test_metrics_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="name=number"):
        parse_metric(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5), ("-3", -3), ("5.0", 5.0), ("1e3", 1000.0), ("true", True), ("false", False), ("adam", "adam"),
        ("", ""), ('"5"', "5"), ("007", "007"), ("NaN", "NaN"), ("null", "null"), ("[1, 2]", [1, 2]),
        ("[[1]]", "[[1]]"), ('{"a": 1}', '{"a": 1}'), ("a=b", "a=b"), ("True", "True"),
    ],
)  # fmt: skip
def test_parameters_keep_their_type_on_the_command_line(text: str, value: object) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)
    assert parse_pair(f"lr={text}") == ("lr", value)


def test_other_options_of_two_parts() -> None:
    assert parse_dataset("digits=sha256:ab").digest == "sha256:ab"
    assert parse_dataset("digits").digest == ""
    assert parse_role("notes/*=doc") == ("notes/*", "doc")
    for parse, text in ((parse_pair, "lr"), (parse_pair, "=1"), (parse_dataset, "=sha256:ab"), (parse_role, "a=b")):
        with pytest.raises(ValueError, match=r"is not"):
            parse(text)
    with pytest.raises(ValueError, match=r"is not"):
        parse_dataset("digits=abc")


def test_short_and_full_names_are_the_same() -> None:
    assert str(namespace_name("demo")) == str(namespace_name("namespaces/demo")) == "namespaces/demo"
    assert model_name("demo/digits") == model_name("namespaces/demo/models/digits")
    assert version_name("demo/digits/3") == version_name("namespaces/demo/models/digits/versions/3")
    assert version_name(Version(name="namespaces/demo/models/digits/versions/3")).number == 3
    assert str(transition_name("demo/t-1")) == "namespaces/demo/transitions/t-1"
    assert resource_name("demo") == namespace_name("demo")
    assert resource_name("demo/digits") == model_name("demo/digits")
    assert resource_name("namespaces/demo/models/digits/versions/3") == version_name("demo/digits/3")


@pytest.mark.parametrize("name", ["", "demo", "demo/", "demo/digits/3/4", "Demo/Digits", "demo/../x", "demo/digits/0"])
def test_names_that_cannot_be_read_fail_before_any_call(name: str) -> None:
    with pytest.raises(FieldInvalid):
        version_name(name)


def test_the_environment_of_this_process() -> None:
    environment = capture_environment(lockfile=Path(__file__))
    assert environment.python_version.startswith("3.")
    assert environment.operating_system
    assert environment.libraries["grpcio"]
    assert environment.libraries["greenroom"]
    assert len(environment.libraries) <= 2000
    assert environment.hardware.cpu_count >= 1
    assert environment.lockfile_digest.startswith("sha256:")


def test_the_code_of_a_work_tree(tmp_path: Path) -> None:
    assert capture_code(tmp_path) is None

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    git("init", "-b", "trunk")
    assert capture_code(tmp_path) is None
    (tmp_path / "train.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "-m", "first")
    git("remote", "add", "origin", "https://user:gr_secret@git.example.org/team/repo.git?token=gr_secret")
    clean = capture_code(tmp_path)
    assert clean is not None
    assert len(clean.commit) == 40
    assert (clean.ref, clean.dirty, clean.HasField("dirty")) == ("trunk", False, True)
    assert clean.repository == "https://git.example.org/team/repo.git"
    (tmp_path / "train.py").write_text("x = 2\n")
    dirty = capture_code(tmp_path)
    assert dirty is not None
    assert dirty.dirty


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://token@host/x.git", "https://host/x.git"),
        ("https://u:p@ss@host:8443/x?k=v#f", "https://host:8443/x"),
        ("ssh://git@host/x", "ssh://host/x"),
        ("git@host:team/x.git", "git@host:team/x.git"),
        ("/srv/git/x", "/srv/git/x"),
        ("https://[bad", ""),
        ("", ""),
    ],
)
def test_credentials_are_stripped_from_remotes(address: str, shown: str) -> None:
    assert without_credentials(address) == shown


def test_the_blocking_client_has_every_method_of_the_asynchronous_one() -> None:
    from greenroom import AsyncClient

    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(AsyncClient) - {"aclose"} == public(Client) - {"close"}
    assert typing.get_type_hints(AsyncClient.get_model)["return"].__name__ == "Model"

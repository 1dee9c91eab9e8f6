"""The grammar of selectors, and which aliases it leaves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import names
from greenroomd.lifecycle.errors import SelectorMalformed
from greenroomd.lifecycle.graph import default_graph
from greenroomd.lifecycle.selectors import ByDigest, ByLatest, ByName, ByNumber, BySemver, is_reserved, parse

MODEL = "namespaces/demo/models/digits"
DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("reference", "by"),
    [
        ("/7", ByNumber(7)),
        ("/999999999999999999", ByNumber(999999999999999999)),
        ("@latest", ByLatest()),
        ("@production", ByName("production")),
        ("@champion", ByName("champion")),
        ("@eu-west.blue_1", ByName("eu-west.blue_1")),
        ("@stage-", ByName("stage-")),
        ("@" + DIGEST, ByDigest(DIGEST)),
    ],
)
def test_what_a_selector_names(reference: str, by: object) -> None:
    short = parse("demo/digits" + reference)
    assert (short.namespace, short.model, short.by) == ("namespaces/demo", MODEL, by)
    long = parse(MODEL + reference.replace("/", "/versions/"))
    assert (long.namespace, long.model, long.by) == ("namespaces/demo", MODEL, by)


@pytest.mark.parametrize("text", ["1", "1.2", "1.2.3", "^1.2", "~1", "<2", ">=1.2, <2", "=1.0.0-rc.1"])
def test_what_begins_like_a_version_is_a_range(text: str) -> None:
    assert parse(f"demo/digits@{text}").by == BySemver(text, 12)


def test_names_that_look_like_the_long_form() -> None:
    assert parse("namespaces/models/7").model == "namespaces/namespaces/models/models"
    assert parse("namespaces/digits@latest").model == "namespaces/namespaces/models/digits"
    assert parse("namespaces/namespaces/models/models/versions/7").by == ByNumber(7)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 0),
        ("demo", 4),
        ("demo/", 5),
        ("/digits@latest", 0),
        ("demo/digits", 11),
        ("demo/digits/", 12),
        ("demo/digits@", 12),
        ("demo/digits/0", 12),
        ("demo/digits/7x", 13),
        ("demo/digits/-1", 12),
        ("demo/digits/7/8", 13),
        ("demo/digits/" + "9" * 19, 30),
        ("Demo/digits@latest", 0),
        ("deMo/digits@latest", 2),
        ("demo/dig its@latest", 8),
        ("demo@digits", 4),
        ("demo/digits@Production", 12),
        ("demo/digits@prod uction", 16),
        ("demo/digits@champion ", 20),
        ("demo/digits@sha256:", 19),
        ("demo/digits@sha256:12g4", 21),
        ("demo/digits@sha256:" + "a" * 63, 82),
        ("demo/digits@sha256:" + "a" * 65, 83),
        ("demo/digits@" + DIGEST.upper().replace("SHA", "sha"), 29),
        ("namespaces/demo/model/digits@latest", 21),
        ("namespaces/demo/models/digits/7", 30),
        ("namespaces/demo/models/digits/versions/x", 39),
        ("d\u00e9mo/digits@latest", 1),
        ("demo/digits@\u0661", 12),
        ("demo/digits/\u0661", 12),
    ],
)
def test_where_a_selector_cannot_be_read(text: str, position: int) -> None:
    with pytest.raises(SelectorMalformed) as caught:
        parse(text)
    assert caught.value.metadata["position"] == str(position)
    assert caught.value.metadata["selector"] == text
    assert caught.value.metadata["problem"].startswith("expected ")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_position_inside_it(text: str) -> None:
    for attempt in (text, f"demo/digits@{text}", f"demo/digits/{text}", f"namespaces/demo/models/digits{text}"):
        try:
            parse(attempt)
        except SelectorMalformed as refused:
            assert 0 <= int(refused.metadata["position"]) <= len(attempt)


@given(
    st.from_regex(names.SEGMENTS["namespace"], fullmatch=True),
    st.from_regex(names.SEGMENTS["model"], fullmatch=True),
    st.from_regex(names.SEGMENTS["alias"], fullmatch=True),
)
def test_every_alias_that_may_be_set_can_be_resolved(namespace: str, model: str, alias: str) -> None:
    namespace, model, alias = namespace.strip(), model.strip(), alias.strip()
    if not is_reserved(alias, default_graph(f"namespaces/{namespace}")):
        selector = parse(f"{namespace}/{model}@{alias}")
        assert selector.model == f"namespaces/{namespace}/models/{model}"
        assert selector.by == ByName(alias)


RESERVED = (
    "latest",
    "development",
    "production",
    "archived",
    "7",
    "2024-best",
    "1.2",
    "1.2.3-rc.1",
    "v1.2",
    "v1.2.3",
    "sha256",
    "sha256-abc",
    "deadbeef" * 4,
    "deadbeef" * 7,
)


@pytest.mark.parametrize("alias", RESERVED)
def test_an_alias_that_reads_like_something_else_is_reserved(alias: str) -> None:
    assert is_reserved(alias, default_graph("namespaces/demo"))


@pytest.mark.parametrize("alias", ["champion", "v2", "best-2024", "prod", "sharp", "deadbeef", "latest-good"])
def test_other_words_are_free(alias: str) -> None:
    assert not is_reserved(alias, default_graph("namespaces/demo"))

"""How words are cut, on the side of the query and on the side of what is found."""

from __future__ import annotations

import pytest

from greenroomd.search.domain import Metric, final_metrics
from greenroomd.search.text_query import TextQuery, parse_text, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fraud_detector-2.final", "fraud detector 2 final"),
        ("  <b>Größe</b>\0 ", "b Größe b"),
        ("…", ""),
    ],
)
def test_everything_but_letters_and_digits_separates_words(text: str, expected: str) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", None),
        ("  ", None),
        ("digits", TextQuery('"digits"', prefix=True)),
        ("image dig", TextQuery('"image" "dig"', prefix=True)),
        ("scikit-le", TextQuery('"scikit le"', prefix=True)),
        ('"image digits"', TextQuery('"image digits"', prefix=False)),
        ('digits "image cl', TextQuery('"digits" "image cl"', prefix=True)),
        ("digits -old", TextQuery('"digits" -"old"', prefix=False)),
        ("fraud OR risk", TextQuery('"fraud" or "risk"', prefix=True)),
        ("!!!", TextQuery("", prefix=False)),
        ("a' & b:* | !c", TextQuery('"a" "b" "c"', prefix=True)),
    ],
)
def test_a_query_is_read(query: str, expected: TextQuery | None) -> None:
    assert parse_text(query) == expected


def test_of_a_metric_at_several_steps_the_final_value_counts() -> None:
    at = [Metric("loss", "", "", step, float(step)) for step in (3, 1, 2)]
    assert final_metrics(at) == [at[0]]
    final = Metric("loss", "", "", 0, 0.5)
    assert final_metrics([at[1], final, at[0]]) == [final]
    assert len(final_metrics([final, Metric("loss", "holdout", "", 0, 1.0), Metric("loss", "", "fr", 0, 1.0)])) == 3

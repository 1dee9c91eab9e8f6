"""Words to search for, and words to be found by: cut the same way on both sides.

PostgreSQL's parser sees hosts, signed numbers and file names in model names. Here every character that is neither
letter nor digit separates words, before PostgreSQL sees the text: `fraud_detector-2` is fraud, detector, 2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SEPARATORS = re.compile(r"[\W_]+")
TERM = re.compile(r'(-?)(?:"([^"]*)("?)|([^\s"]+))')


@dataclass(frozen=True, slots=True)
class TextQuery:
    """A text query in the language of PostgreSQL's websearch_to_tsquery."""

    websearch: str
    """Words, "phrases", -exclusions and `or`; nothing else. Empty when the query holds no word: it matches nothing."""
    prefix: bool
    """Whether the last word may go on: it was typed last, without a closing quote or a space after it."""


def words(text: str) -> str:
    """Return the words of a text, separated by single spaces."""
    return SEPARATORS.sub(" ", text).strip()


def parse_text(query: str) -> TextQuery | None:
    """Return what a query asks for; None when it is empty, which asks for nothing in particular."""
    if not query.strip():
        return None
    parts: list[str] = []
    prefix = False
    for minus, phrase, closed, word in TERM.findall(query):
        if not minus and word.lower() == "or":
            parts.append("or")
            prefix = False
            continue
        term = words(phrase or word)
        if term:
            parts.append(f'{minus}"{term}"')
            prefix = not minus and not closed
    return TextQuery(" ".join(parts), prefix)

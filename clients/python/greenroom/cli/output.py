"""How results are printed: tables on a terminal, tab-separated lines in a pipe, one document with `--json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table
from rich.text import Text

from greenroom.cli.session import visible

MISSING = "MISSING"
"""Printed for what should be known and is not; never a blank."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def print_json(document: Message | dict[str, Any], *, indent: int | None = 2) -> None:
    """Print one document with the contract's JSON names; 64-bit integers are texts, as proto JSON has them."""
    content = MessageToDict(document) if isinstance(document, Message) else document
    print(json.dumps(content, ensure_ascii=False, indent=indent), flush=True)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print rows: a table with headers on a terminal, else tab-separated lines without headers."""
    cells = [[visible(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            print("\t".join(row))
        sys.stdout.flush()
        return
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, header in enumerate(headers):
        table.add_column(header, overflow="fold", no_wrap=index == 0)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names with their values, one a line."""
    print_table(("", ""), fields)


def print_line(text: str) -> None:
    """Print one line, at once."""
    print(visible(text), flush=True)


def tell(text: str) -> None:
    """Print a line for a person, on stderr."""
    print(visible(text), file=sys.stderr, flush=True)


def short_name(name: str) -> str:
    """Return the form that people type: `demo/digits/3` for a version; what lies below keeps its kind."""
    parts = name.split("/")
    if parts[0] != "namespaces":
        return name
    shown = parts[1:2]
    for kind, value in zip(parts[2::2], parts[3::2], strict=False):
        shown += [value] if kind in {"models", "versions", "transitions"} else [kind, value]
    return "/".join(shown if len(parts) % 2 == 0 else [*shown, parts[-1]])


def short_digest(digest: str) -> str:
    """Return enough of a digest to recognise it."""
    return digest[:19]


def when(time: Timestamp) -> str:
    """Return a time in UTC to the second; empty when it is unset."""
    return f"{time.ToDatetime(UTC):%Y-%m-%d %H:%M:%S}Z" if time.seconds else ""


def size(count: int) -> str:
    """Return a number of bytes for a person."""
    amount = float(count)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            break
        amount /= 1024
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def enum_word(name: str) -> str:
    """Return `pending` for `STATE_PENDING`."""
    return name.partition("_")[2].lower().replace("_", " ")

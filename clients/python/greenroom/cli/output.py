"""How results are printed: tables on a terminal, tab-separated lines in a pipe, one document with `--json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from greenroom.cli.wording import visible

MISSING = "MISSING"
"""Printed for what should be known and is not; never a blank."""

_PROSE = 16
"""Width of the narrowest column of text."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def print_json(document: Message | dict[str, Any], *, indent: int | None = 2) -> None:
    """Print one document with the contract's JSON names; 64-bit integers are texts, as proto JSON has them."""
    content = MessageToDict(document) if isinstance(document, Message) else document
    print(json.dumps(content, ensure_ascii=False, indent=indent), flush=True)


def print_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    prose: Sequence[str] = (),
    optional: Sequence[str] = (),
    empty: str = "",
) -> None:
    """Print rows: for people on a terminal, else as tab-separated lines without headers.

    On a terminal it is a table as long as only prose has to be wrapped to make it fit; on a narrower one each row
    becomes a block of lines.

    Args:
        headers: names of the columns.
        rows: the cells.
        prose: columns that may be wrapped between words.
        optional: columns to leave out on a narrow terminal, the first one first.
        empty: what to say, on stderr, when there are no rows.
    """
    cells = [[visible(str(cell)) for cell in row] for row in rows]
    if not cells and empty:
        tell(empty)
    elif not sys.stdout.isatty():
        for row in cells:
            print("\t".join(row))
        sys.stdout.flush()
    else:
        _print_for_people(list(headers), cells, prose, optional)


def _print_for_people(
    headers: list[str], cells: list[list[str]], prose: Sequence[str], optional: Sequence[str]
) -> None:
    console = Console(highlight=False)
    columns = dict(zip(headers, zip(*cells, strict=True), strict=True))
    for number in range(len(optional) + 1):
        kept = {header: column for header, column in columns.items() if header not in optional[:number]}
        if _least_width(kept, prose) <= console.width:
            table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
            for header in kept:
                table.add_column(header, overflow="fold", no_wrap=header not in prose)
            for row in zip(*kept.values(), strict=True):
                table.add_row(*map(Text, row))
            console.print(table)
            return
    for index, cell_row in enumerate(cells):
        if index:
            print()
        _print_block(list(zip(headers, cell_row, strict=True)))
    sys.stdout.flush()


def _least_width(columns: Mapping[str, Sequence[str]], prose: Sequence[str]) -> int:
    """Return the width of a table in which prose is wrapped as much as is still comfortable to read."""
    widths = []
    for header, column in columns.items():
        whole = max(map(cell_len, (header, *column)))
        words = (cell_len(word) for cell in (header, *column) for word in cell.split())
        widths.append(min(whole, max(_PROSE, *words)) if header in prose else whole)
    return sum(widths) + 2 * (len(widths) - 1)


def _print_block(fields: list[tuple[str, str]]) -> None:
    widest = max((cell_len(name) for name, _ in fields), default=0)
    for name, value in fields:
        # Not wrapped here: the terminal does, and then a digest can still be copied whole.
        print(f"{name}{' ' * (widest - cell_len(name))}  {value}".rstrip())


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names with their values, one a line: aligned on a terminal, else separated by tabs."""
    shown = [(visible(name), visible(str(value))) for name, value in fields]
    if sys.stdout.isatty():
        _print_block(shown)
    else:
        for name, value in shown:
            print(f"{name}\t{value}")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """Print one line, at once."""
    print(visible(text), flush=True)


def tell(text: str) -> None:
    """Print a line for a person, on stderr."""
    print(visible(text), file=sys.stderr, flush=True)


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

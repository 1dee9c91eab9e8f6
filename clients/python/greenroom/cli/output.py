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
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from greenroom.cli.wording import visible

MISSING = "MISSING"
"""Printed for what should be known and is not; never a blank."""

_PROSE = 24
"""Columns of text that are still comfortable to read."""

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
    for name in ("", *optional):
        kept = [index for index, header in enumerate(headers) if header != name]
        headers, cells = [headers[index] for index in kept], [[row[index] for index in kept] for row in cells]
        widths = [max(map(cell_len, column)) for column in zip(headers, *cells, strict=True)]
        least = [
            min(width, _PROSE) if header in prose else width for header, width in zip(headers, widths, strict=True)
        ]
        if sum(least) + 2 * (len(headers) - 1) <= console.width:
            break
    else:
        for number, row in enumerate(cells):
            if number:
                print()
            _print_block(list(zip(headers, row, strict=True)))
        sys.stdout.flush()
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold", no_wrap=header not in prose)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


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

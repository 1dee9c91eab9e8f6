"""Which benchmarks there are, and running them."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bench.events import promotions, replay
from bench.installation import Installation, installation
from bench.measure import Line, elapsed
from bench.reads import get_version, list_versions, resolve
from bench.transfer import large_file, small_files
from bench.writes import create_model, request_transition

BENCHMARKS: dict[str, Callable[[Installation], Awaitable[list[Line]]]] = {
    "resolve": resolve,
    "get-version": get_version,
    "list-versions": list_versions,
    "create-model": create_model,
    "transition": request_transition,
    "promotion": promotions,
    "replay": replay,
    "large-file": large_file,
    "small-files": small_files,
}
"""In this order: the replay reads what the writes wrote."""


async def run(names: Sequence[str], large_file_bytes: int, output: Path) -> None:
    """Run benchmarks, print them as a table, and write them to a JSON file."""
    lines: list[Line] = []
    started = time.perf_counter()
    print("starting databases and servers …", flush=True)
    async with installation(large_file_bytes) as made:
        for number, name in enumerate(names, start=1):
            print(f"[{number}/{len(names)}] {name} …", end=" ", flush=True)
            await made.quiet()
            began = time.perf_counter()
            lines += await BENCHMARKS[name](made)
            print(f"{elapsed(began):.0f} s", flush=True)
    write(lines, output)
    print(f"\n{table(lines)}\n\n{elapsed(started):.0f} s in all; written to {output}")


def write(lines: Sequence[Line], output: Path) -> None:
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps([line.document() for line in lines], indent=2) + "\n")


def table(lines: Sequence[Line]) -> str:
    """Return lines as a Markdown table."""
    head = ("what", "unit", "ours", "reference", "ratio", "the reference is")
    rows = [
        (line.name, line.unit, shown(line.ours), shown(line.reference), f"{line.ratio:.2f}", line.reference_is)
        for line in lines
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    ruler = tuple("-" * width for width in widths)
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (head, ruler, *rows)
    )


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"

"""One measured line, and the way of measuring: ours and the reference in turns, the median of each."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")

Round = Callable[[], Awaitable[Sequence[float]]]
"""Measures once; returns one number for each line that the benchmark has."""


@dataclass(frozen=True)
class Line:
    """A result beside its reference. Only the ratio travels from machine to machine."""

    name: str
    unit: str
    ours: float
    reference: float
    reference_is: str

    @property
    def ratio(self) -> float:
        return self.ours / self.reference

    def document(self) -> dict[str, str | float]:
        """Return the line as build/bench.json has it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": round(self.ours, 3),
            "reference": round(self.reference, 3),
            "reference_is": self.reference_is,
            "ratio": round(self.ratio, 3),
        }


async def in_turns(ours: Round, reference: Round, rounds: int = 4) -> list[tuple[float, float]]:
    """Return the medians of ours and the reference, for each number that a round gives.

    Each begins every other round, so that neither always has the warmer machine.
    """
    samples: dict[Round, list[Sequence[float]]] = {ours: [], reference: []}
    for number in range(rounds):
        order = (ours, reference) if number % 2 == 0 else (reference, ours)
        for side in order:
            samples[side].append(await side())
    medians = [[statistics.median(column) for column in zip(*samples[side], strict=True)] for side in (ours, reference)]
    return list(zip(*medians, strict=True))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def elapsed(started: float) -> float:
    """Return the seconds since a `time.perf_counter()`."""
    return time.perf_counter() - started


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, in the kernel too; Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS

"""How far a transfer is, for whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["hashing", "uploading", "downloading", "verifying"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A transfer at one moment. Numbers are of the phase as a whole and never decrease within it."""

    phase: Phase
    """What is being done: a push hashes, then uploads what the server lacks; a pull downloads;
    a check of what is stored verifies."""
    bytes_done: int
    """Bytes finished."""
    bytes_total: int
    """Bytes that the phase has to do; what need not be transferred is not counted."""
    files_done: int
    """Files finished."""
    files_total: int
    """Files that the phase has to do."""
    path: str
    """File that made the last step; empty at the start of a phase."""


ProgressCallback = Callable[[Progress], None]
"""Called on the event loop's thread after every step: it must be quick, and what it raises ends the transfer."""


class Meter:
    """Adds up the steps of one phase and reports each."""

    def __init__(self, phase: Phase, sizes: list[int], report: ProgressCallback | None) -> None:
        self._phase: Phase = phase
        self._bytes_total = sum(sizes)
        self._files_total = len(sizes)
        self._report = report
        self._bytes_done = 0
        self._files_done = 0
        self._tell("")

    def advance(self, path: str, size: int) -> None:
        """Count `size` more bytes of a file."""
        self._bytes_done += size
        self._tell(path)

    def finish(self, path: str) -> None:
        """Count a file as finished."""
        self._files_done += 1
        self._tell(path)

    def _tell(self, path: str) -> None:
        if self._report is not None:
            done = min(self._bytes_done, self._bytes_total)
            self._report(Progress(self._phase, done, self._bytes_total, self._files_done, self._files_total, path))

"""Shows a transfer: a bar on a terminal, a line a phase elsewhere, nothing with `--json`."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from greenroom.cli.output import size, tell
from greenroom.cli.wording import counted
from greenroom.progress import Progress


class TransferDisplay:
    """A context manager to call with every `Progress`."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._told: set[str] = set()
        if not quiet and sys.stderr.isatty():
            self._bars = Bars(
                TextColumn("{task.description:<11}"),
                BarColumn(),
                DownloadColumn(binary_units=True),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        if self._bars is not None:
            task = self._tasks.get(progress.phase)
            if task is None:
                task = self._tasks[progress.phase] = self._bars.add_task(progress.phase, total=progress.bytes_total)
            self._bars.update(task, completed=progress.bytes_done)
        elif not self._quiet and progress.phase not in self._told:
            self._told.add(progress.phase)
            if progress.files_total:
                # What is uploaded are blobs: files that the server lacks, and the artifact's own description.
                thing = "blob" if progress.phase in ("uploading", "verifying") else "file"
                tell(f"{progress.phase} {counted(progress.files_total, thing)}, {size(progress.bytes_total)}")

"""Reading everything that is stored, to find what is no longer what it was."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from greenroomd.artifact.domain import Blob
from greenroomd.artifact.errors import BlobCorrupt
from greenroomd.artifact.ports import ArtifactStore, BlobStore

PAGE = 500
"""Blobs asked of the store at once."""

REPORT_EVERY = 64 * 1024 * 1024
"""Bytes between two reports."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob that is not what its digest says."""

    blob: Blob
    problem: str


@dataclass(frozen=True, slots=True)
class Report:
    """How far a verification is, and what it has found since the report before."""

    blobs_done: int
    bytes_done: int
    blobs_total: int
    bytes_total: int
    damaged: tuple[Damage, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """Compares stored blobs with their digests."""

    store: ArtifactStore
    blobs: BlobStore

    async def run(self, namespace: str | None) -> AsyncGenerator[Report]:
        """Yield reports until every blob of a namespace, or of all when it is None, has been read."""
        async with self.store.read() as reader:
            report = Report(0, 0, *await reader.blob_totals(namespace))
        reported = 0
        after = ""
        while True:
            async with self.store.read() as reader:
                page = await reader.blobs_after(namespace, after, PAGE)
            if not page:
                break
            for blob in page:
                after = blob.digest
                problem = await self._problem(blob)
                damaged = (*report.damaged, Damage(blob, problem)) if problem else report.damaged
                report = replace(
                    report,
                    blobs_done=report.blobs_done + 1,
                    bytes_done=report.bytes_done + blob.size,
                    damaged=damaged,
                )
                if problem or report.bytes_done - reported >= REPORT_EVERY:
                    yield report
                    reported = report.bytes_done
                    report = replace(report, damaged=())
        yield report

    async def _problem(self, blob: Blob) -> str:
        """Return what is wrong with a blob; nothing when it is what it should be."""
        hasher = hashlib.sha256()
        try:
            async with aclosing(self.blobs.read(blob, 0, blob.size, hasher)) as chunks:
                async for _ in chunks:
                    continue
        except BlobCorrupt as error:
            return error.message
        found = f"sha256:{hasher.hexdigest()}"
        return "" if found == blob.digest else f"the stored bytes have the digest {found}"

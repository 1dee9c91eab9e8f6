"""Fetches the files of an artifact and gives a file its name only when every byte of it has been verified.

The server is not trusted: the manifest must hash to the digest, every path is checked again here, a blob may have
neither more nor fewer bytes than announced, and nothing is written outside the destination or through a link in it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from greenroom._connection import Connection
from greenroom._folder import Arrival, Folder, unsafe
from greenroom._resume import STALL_SECONDS, Patience, for_each, persist
from greenroom.artifact.v1.artifact_service_pb2 import GetArtifactRequest, ReadBlobRequest
from greenroom.errors import DigestMismatch, FailedPrecondition, GreenroomError, ManifestInvalid, Unavailable
from greenroom.manifest import Manifest, ManifestFile, ManifestProblem, digest_of, is_digest, parse
from greenroom.names import ArtifactName, VersionName
from greenroom.progress import Meter, ProgressCallback
from greenroom.safe_path import PathProblem

STREAMS = 4
"""Files that are fetched at the same time."""

_READ_BLOB = "/greenroom.artifact.v1.ArtifactService/ReadBlob"


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought."""

    version: str
    """The version, as a resource name."""
    digest: str
    """Digest of its artifact; `namespace/model@<digest>` names exactly these bytes for ever."""
    stage: str
    """Stage that the version was in when the selector was resolved."""
    path: Path
    """Folder that holds the files now."""
    files: tuple[str, ...]
    """Their paths in the folder, `/`-separated."""
    bytes_fetched: int
    """Bytes that came over the network; files that were there already cost none."""


class ArtifactPull:
    """One pull of one artifact into a folder.

    Args:
        connection: where to fetch it.
        version: version that it belongs to.
        digest: what the manifest must hash to.
        destination: folder to write to; made when missing.
        report: called with the progress.
    """

    def __init__(
        self,
        connection: Connection,
        version: VersionName,
        digest: str,
        destination: Path,
        report: ProgressCallback | None = None,
    ) -> None:
        if not is_digest(digest):
            raise DigestMismatch(f"the server names an artifact {digest!r}, which is not sha256 and 64 hex digits")
        self._connection = connection
        self._namespace = str(version.parent.parent)
        self._artifact = ArtifactName(version.namespace, digest)
        self._destination = destination
        self._report = report
        self._fetched = 0

    async def run(self) -> tuple[tuple[str, ...], int]:
        """Fetch what the folder lacks; returns all paths of the artifact and the bytes that were fetched.

        Files of the folder that the artifact does not name stay as they are; a file of the same path with other
        bytes is replaced.

        Raises:
            DigestMismatch: manifest or file do not have their digest or size.
            UnsafePath: a path is unsafe, or a link or folder stands where a file should go.
            ManifestInvalid: the manifest is not a ModelPack manifest.
            FailedPrecondition: the folder cannot be written.
            GreenroomError: a call failed for good.
        """
        manifest = await self._manifest()
        try:
            self._destination.mkdir(parents=True, exist_ok=True)
            with Folder(self._destination) as folder:
                await self._fetch_missing(folder, manifest)
        except OSError as error:
            where = error.filename or self._destination
            raise FailedPrecondition(f"cannot write {where}: {error.strerror or error}") from error
        return tuple(file.path for file in manifest.files), self._fetched

    async def _manifest(self) -> Manifest:
        request = GetArtifactRequest(name=str(self._artifact))
        response = await persist(self._connection, self._connection.artifact.GetArtifact, request)
        document = response.artifact.manifest
        actual = digest_of(document)
        if actual != self._artifact.digest:
            raise DigestMismatch(
                f"the manifest that the server sent hashes to {actual}, not to {self._artifact.digest}; nothing was"
                " written",
                metadata={"expected": self._artifact.digest, "actual": actual},
            )
        try:
            return parse(document)
        except PathProblem as problem:
            raise unsafe(problem.path, problem.problem + "; the artifact was refused as a whole") from problem
        except ManifestProblem as problem:
            raise ManifestInvalid(f"artifact {actual} has no usable manifest: {problem}") from problem

    async def _fetch_missing(self, folder: Folder, manifest: Manifest) -> None:
        missing: list[ManifestFile] = []

        async def compare(file: ManifestFile) -> None:
            if not await asyncio.to_thread(folder.has, file.path, file.digest, file.size):
                missing.append(file)

        await for_each(manifest.files, compare, STREAMS)
        missing.sort(key=lambda file: file.path)
        meter = Meter("downloading", [file.size for file in missing], self._report)

        async def fetch(file: ManifestFile) -> None:
            await self._fetch(folder, file, meter)

        await for_each(missing, fetch, STREAMS)

    async def _fetch(self, folder: Folder, file: ManifestFile, meter: Meter) -> None:
        """Bring one file over, whatever breaks on the way."""
        arrival = Arrival(folder, file.path)
        try:
            patience = Patience()
            while arrival.size < file.size:
                before = arrival.size
                try:
                    await self._read(arrival, file, meter)
                    if arrival.size < file.size:
                        raise Unavailable(f"the stream of {file.path} ended after {arrival.size} of {file.size} bytes")
                except GreenroomError as error:
                    if arrival.size > before:
                        patience.progressed()
                    await patience.wait_after(error)
            if arrival.digest != file.digest:
                raise DigestMismatch(
                    f"{file.path}: the received bytes hash to {arrival.digest}, not to {file.digest}; nothing was"
                    " written. If this happens again, the stored file is damaged: tell who runs the registry",
                    metadata={"path": file.path, "expected": file.digest, "actual": arrival.digest},
                )
            await asyncio.to_thread(arrival.commit)
            meter.finish(file.path)
        finally:
            arrival.discard()  # not awaited: an interrupt must not leave the file behind

    async def _read(self, arrival: Arrival, file: ManifestFile, meter: Meter) -> None:
        """Stream from where the file is until the stream ends."""
        loop = asyncio.get_running_loop()
        request = ReadBlobRequest(parent=self._namespace, digest=file.digest, offset=arrival.size)
        with self._connection.calling(_READ_BLOB) as metadata:
            call = self._connection.artifact.ReadBlob(request, metadata=metadata)
            try:
                async with asyncio.timeout(STALL_SECONDS) as watchdog:
                    async for message in call:
                        data = message.data  # taken out once, because taking it out copies it
                        size = len(data)
                        if arrival.size + size > file.size:
                            raise DigestMismatch(
                                f"{file.path}: the server sends more than the announced {file.size} bytes; nothing was"
                                " written",
                                metadata={"path": file.path, "expected": file.digest},
                            )
                        if size:
                            await asyncio.to_thread(arrival.write, data)
                            self._fetched += size
                            meter.advance(file.path, size)
                            watchdog.reschedule(loop.time() + STALL_SECONDS)
            except TimeoutError:
                raise Unavailable(f"no byte of {file.path} came for {STALL_SECONDS:.0f} s") from None
            finally:
                call.cancel()

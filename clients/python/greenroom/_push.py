"""Sends files as an artifact: hash, ask what is missing, send only that, commit the manifest.

Nothing is visible to readers before the commit. A broken stream goes on from what the server has made durable.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from greenroom._connection import Connection
from greenroom._folder import CHUNK, Folder, list_files, unsafe
from greenroom._resume import STALL_SECONDS, Patience, for_each, persist
from greenroom.artifact.v1.artifact_pb2 import Artifact
from greenroom.artifact.v1.artifact_service_pb2 import (
    CreateArtifactRequest,
    CreateUploadRequest,
    FindMissingBlobsRequest,
    WriteUploadRequest,
)
from greenroom.artifact.v1.blob_pb2 import Blob
from greenroom.artifact.v1.upload_pb2 import Upload
from greenroom.errors import GreenroomError, InvalidArgument, ManifestInvalid, Unavailable, UploadNotFound
from greenroom.manifest import ManifestFile, ManifestProblem, build
from greenroom.names import NamespaceName
from greenroom.progress import Meter, ProgressCallback
from greenroom.roles import Role, guess_role
from greenroom.safe_path import PathProblem

STREAMS = 4
"""Blobs that are sent at the same time."""

BLOBS_PER_QUESTION = 1000
"""Most blobs that FindMissingBlobs takes at once."""

_WRITE_UPLOAD = "/greenroom.artifact.v1.ArtifactService/WriteUpload"


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the bytes of one blob come from: a file as it was when hashed, or bytes in memory."""

    path: str
    digest: str
    size: int
    modified_ns: int = 0
    content: bytes | None = None

    async def chunks(self, folder: Folder, offset: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `offset` on. Raises InvalidArgument when the file is not as it was hashed."""
        if self.content is not None:
            if self.content[offset:]:
                yield self.content[offset:]
            return
        with folder.reading(self.path) as fd:
            status = os.fstat(fd)
            if (status.st_size, status.st_mtime_ns) != (self.size, self.modified_ns):
                raise _changed(self.path)
            while offset < self.size:
                data = await asyncio.to_thread(os.pread, fd, min(CHUNK, self.size - offset), offset)
                if not data:
                    raise _changed(self.path)
                offset += len(data)
                yield data


class _Position:
    """The furthest byte of a blob that was sent, counted once although a resumed stream sends some again."""

    def __init__(self, meter: Meter, path: str) -> None:
        self._meter = meter
        self._path = path
        self.furthest = 0

    def reach(self, position: int) -> None:
        if position > self.furthest:
            self._meter.advance(self._path, position - self.furthest)
            self.furthest = position


class ArtifactPush:
    """One push of one folder or file into a namespace.

    Args:
        connection: where to send it.
        namespace: namespace that will hold the artifact.
        path: a folder, or a single file.
        roles: role by glob pattern on the relative path; the first match counts, the name decides otherwise.
        report: called with the progress.
    """

    def __init__(
        self,
        connection: Connection,
        namespace: NamespaceName,
        path: Path,
        roles: Mapping[str, Role | str] | None = None,
        report: ProgressCallback | None = None,
    ) -> None:
        self._connection = connection
        self._parent = str(namespace)
        self._path = path
        self._roles = {pattern: Role(role) for pattern, role in (roles or {}).items()}
        self._report = report
        self._paths: list[str] = []

    async def look(self) -> None:
        """Find out what is to be sent, before anything is.

        Raises:
            UnsafePath: a link, a device, a version-control folder or an unsafe name is among the files.
            InvalidArgument: the path does not exist, or holds no file.
        """
        with self._reading() as folder:
            if self._path.is_dir():
                self._paths = await asyncio.to_thread(list_files, folder)
            else:
                self._paths = [self._path.name]
                _size(folder, self._path.name)
        if not self._paths:
            raise InvalidArgument(f"{self._path} has no file to push; name the folder that holds the model")

    async def run(self) -> Artifact:
        """Send what is missing and commit. `look` comes first.

        Raises:
            UnsafePath: a file was replaced by a link or a device meanwhile.
            InvalidArgument: a file changed meanwhile.
            GreenroomError: a call failed for good.
        """
        with self._reading() as folder:
            return await self._send(folder, self._paths)

    @contextmanager
    def _reading(self) -> Iterator[Folder]:
        """Open the folder; what fails while it is open becomes an error that names the file."""
        try:
            with Folder(self._path if self._path.is_dir() else self._path.parent) as folder:
                yield folder
        except OSError as error:
            raise InvalidArgument(f"cannot read {error.filename or self._path}: {error.strerror}") from error
        except PathProblem as problem:
            raise unsafe(problem.path, problem.problem) from problem
        except ManifestProblem as problem:
            raise ManifestInvalid(f"cannot push {self._path}: {problem}") from problem

    async def _send(self, folder: Folder, paths: list[str]) -> Artifact:
        sources = await self._hash(folder, paths)
        manifest, config = build(
            ManifestFile(source.path, source.digest, source.size, self._role(source.path)) for source in sources
        )
        sources.append(_Source("(config)", manifest.config_digest, manifest.config_size, content=config))
        missing = await self._missing({source.digest: source for source in sources})
        meter = Meter("uploading", [source.size for source in missing], self._report)

        async def upload(source: _Source) -> None:
            await self._upload(folder, source, meter)

        await for_each(missing, upload, STREAMS)
        request = CreateArtifactRequest(parent=self._parent, manifest=manifest.document)
        response = await persist(self._connection, self._connection.artifact.CreateArtifact, request)
        if response.artifact.digest != manifest.digest:
            raise ManifestInvalid(
                f"the server calls the artifact {response.artifact.digest}, its manifest hashes to {manifest.digest}"
            )
        return response.artifact

    async def _hash(self, folder: Folder, paths: list[str]) -> list[_Source]:
        meter = Meter("hashing", [_size(folder, path) for path in paths], self._report)
        sources: list[_Source] = []

        async def hash_one(path: str) -> None:
            digest, status = await asyncio.to_thread(folder.digest, path)
            sources.append(_Source(path, digest, status.st_size, status.st_mtime_ns))
            meter.advance(path, status.st_size)
            meter.finish(path)

        await for_each(paths, hash_one, os.cpu_count() or 1)
        return sources

    def _role(self, path: str) -> Role:
        for pattern, role in self._roles.items():
            if fnmatchcase(path, pattern):
                return role
        return guess_role(path)

    async def _missing(self, sources: Mapping[str, _Source]) -> list[_Source]:
        blobs = [Blob(digest=source.digest, size_bytes=source.size) for source in sources.values()]
        missing: list[_Source] = []
        for start in range(0, len(blobs), BLOBS_PER_QUESTION):
            request = FindMissingBlobsRequest(parent=self._parent, blobs=blobs[start : start + BLOBS_PER_QUESTION])
            response = await persist(self._connection, self._connection.artifact.FindMissingBlobs, request)
            missing += [sources[blob.digest] for blob in response.missing if blob.digest in sources]
        return missing

    async def _upload(self, folder: Folder, source: _Source, meter: Meter) -> None:
        """Bring one blob over, whatever breaks on the way."""
        patience = Patience()
        sent = _Position(meter, source.path)
        while True:
            before = sent.furthest
            try:
                # The same blob gets the session that is open for it, with what is durable already.
                upload = await self._open(source)
                sent.reach(upload.committed_size)
                if not upload.complete:
                    await self._write(folder, source, upload, sent)
                sent.reach(source.size)
                meter.finish(source.path)
                return
            except UploadNotFound as error:
                # The session ended between two calls: finished by an earlier attempt, or expired.
                await patience.wait_after(Unavailable(error.message))
            except GreenroomError as error:
                if sent.furthest > before:
                    patience.progressed()
                await patience.wait_after(error)

    async def _open(self, source: _Source) -> Upload:
        request = CreateUploadRequest(parent=self._parent, blob=Blob(digest=source.digest, size_bytes=source.size))
        return (await self._connection.unary(self._connection.artifact.CreateUpload, request)).upload

    async def _write(self, folder: Folder, source: _Source, upload: Upload, sent: _Position) -> None:
        loop = asyncio.get_running_loop()
        with self._connection.calling(_WRITE_UPLOAD) as metadata:
            call = self._connection.artifact.WriteUpload(metadata=metadata)
            try:
                async with asyncio.timeout(STALL_SECONDS) as watchdog:
                    try:
                        message = WriteUploadRequest(name=upload.name, offset=upload.committed_size)
                        position = upload.committed_size
                        async with aclosing(source.chunks(folder, position)) as chunks:
                            async for data in chunks:
                                message.data = data
                                await call.write(message)
                                message = WriteUploadRequest()
                                position += len(data)
                                sent.reach(position)
                                watchdog.reschedule(loop.time() + STALL_SECONDS)
                        if message.name:  # an empty blob: the first message alone
                            await call.write(message)
                        await call.done_writing()
                    except asyncio.InvalidStateError:
                        pass  # the server has ended the call; its answer says why
                    answer = await call
            except TimeoutError:
                raise Unavailable(f"no byte of {source.path} was taken for {STALL_SECONDS:.0f} s") from None
            finally:
                call.cancel()
        if not answer.upload.complete:
            raise Unavailable(f"the server has {answer.upload.committed_size} of {source.size} bytes of {source.path}")


def _size(folder: Folder, path: str) -> int:
    with folder.reading(path) as fd:
        return os.fstat(fd).st_size


def _changed(path: str) -> InvalidArgument:
    return InvalidArgument(f"{path} changed while it was pushed; push again when nothing writes to it")

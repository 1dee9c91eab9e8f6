"""What the artifact service does with what was uploaded: finding, committing, listing, reading."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from greenroomd.artifact.domain import Artifact, ArtifactPage, Blob
from greenroomd.artifact.errors import ArtifactNotFound, BlobCorrupt, BlobMissing, BlobNotFound, ReadOutOfRange
from greenroomd.artifact.manifest import Manifest, read_manifest
from greenroomd.artifact.ports import ArtifactStore, BlobStore
from greenroomd.platform.changelog.log import Recorded, Written
from greenroomd.platform.clock import Clock
from greenroomd.platform.context import caller

SLICE = 1024 * 1024
"""Bytes of a manifest that are read at a time."""


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The use cases. Raises the errors of `artifact/errors.py`, which carry what the proto comments promise."""

    store: ArtifactStore
    blobs: BlobStore
    clock: Clock

    async def find_missing(self, namespace: str, blobs: Sequence[Blob]) -> Sequence[Blob]:
        """Return those that the namespace does not hold, each once, in the order asked."""
        async with self.store.read() as reader:
            held = await reader.held(namespace, {blob.digest for blob in blobs})
        return [blob for blob in dict.fromkeys(blobs) if held.get(blob.digest) != blob.size]

    async def create(self, namespace: str, document: bytes) -> Written[Artifact]:
        """Commit a manifest; one that the namespace has already is returned with the revision of its first commit."""
        # In a thread: thousands of paths take longer to check than other calls should wait.
        manifest = await asyncio.to_thread(read_manifest, document)
        name = f"{namespace}/artifacts/{manifest.digest}"
        async with self.store.write() as transaction:
            artifact = await transaction.artifact(name)
            if artifact is not None:
                return Written(artifact, await transaction.commit_revision(name))
            held = await transaction.lock_held(namespace, {blob.digest for blob in manifest.blobs})
            missing = [blob.digest for blob in manifest.blobs if held.get(blob.digest) != blob.size]
            if missing:
                raise BlobMissing(namespace, missing)
            artifact = self._artifact(name, namespace, manifest, document)
            inserted = await transaction.insert_artifact(artifact, held)
            if inserted:
                transaction.record(Recorded("artifact.created", name, namespace.removeprefix("namespaces/"), artifact))
        if not inserted:  # by another client at this moment
            async with self.store.read() as reader:
                return Written(await _existing(reader.artifact(name), name), await reader.commit_revision(name))
        return Written(artifact, transaction.revision)

    async def get(self, name: str) -> Artifact:
        async with self.store.read() as reader:
            return await _existing(reader.artifact(name), name)

    async def list(self, namespace: str, before: tuple[datetime, str] | None, limit: int) -> ArtifactPage:
        async with self.store.read() as reader:
            return await reader.artifacts(namespace, before, limit)

    async def read_blob(self, namespace: str, digest: str, offset: int, limit: int) -> AsyncGenerator[bytes]:
        """Yield a range of a blob; a limit of 0 means up to the end.

        A whole blob is hashed on its way, and its last chunk is given out only when the digest is right. Parts cannot
        be: whoever puts them together verifies the whole.
        """
        async with self.store.read() as reader:
            found = await reader.readable(namespace, digest)
        if found is None:
            raise BlobNotFound(namespace, digest)
        size = found.blob.size
        if offset > size:
            raise ReadOutOfRange(offset, size)
        length = min(limit or size, size - offset)
        if found.manifest is not None:
            _verify(digest, hashlib.sha256(found.manifest).hexdigest())
            for start in range(offset, offset + length, SLICE):
                yield found.manifest[start : min(start + SLICE, offset + length)]
            return
        hasher = hashlib.sha256() if length == size else None
        last: bytes | None = None
        async with aclosing(self.blobs.read(found.blob, offset, length, hasher)) as chunks:
            async for chunk in chunks:
                if last is not None:
                    yield last
                last = chunk
        if hasher is not None:
            _verify(digest, hasher.hexdigest())
        if last is not None:
            yield last

    def _artifact(self, name: str, namespace: str, manifest: Manifest, document: bytes) -> Artifact:
        return Artifact(
            name=name,
            namespace=namespace,
            digest=manifest.digest,
            files=manifest.files,
            size=manifest.size,
            creator=caller(),
            create_time=self.clock.now(),
            manifest=document,
        )


async def _existing(asked: Awaitable[Artifact | None], name: str) -> Artifact:
    artifact = await asked
    if artifact is None:
        raise ArtifactNotFound(name)
    return artifact


def _verify(expected: str, hexdigest: str) -> None:
    actual = f"sha256:{hexdigest}"
    if actual != expected:
        raise BlobCorrupt(expected, actual)

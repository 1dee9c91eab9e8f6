"""What can go wrong with artifacts, each with its reason, its metadata and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.safe_path import shown
from greenroomd.platform.errors import (
    Aborted,
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    ResourceExhausted,
    Unavailable,
)

LISTED = 6
"""Missing blobs that an error names: what fits into the trailers of a call."""


class ArtifactNotFound(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(
            "ARTIFACT_NOT_FOUND",
            f"there is no {name}; ListArtifacts shows what the namespace has",
            artifact=name,
        )


class BlobNotFound(NotFound):
    """Says the same of a blob that only other namespaces hold and of one that nobody has."""

    def __init__(self, namespace: str, digest: str) -> None:
        super().__init__(
            "BLOB_NOT_FOUND",
            f"no artifact of {namespace} names {digest}; read a digest that one of its manifests lists",
            digest=digest,
        )


class BlobMissing(FailedPrecondition):
    def __init__(self, namespace: str, digests: Sequence[str]) -> None:
        listed = list(digests[:LISTED])
        more = f" and {len(digests) - LISTED} more" if len(digests) > LISTED else ""
        super().__init__(
            "BLOB_MISSING",
            f"{namespace} does not hold {len(digests)} of the blobs that the manifest names, with the size that it"
            f" states: {', '.join(listed)}{more}; upload what FindMissingBlobs answers, then commit again",
            digests=",".join(listed),
        )


class UploadNotFound(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(
            "UPLOAD_NOT_FOUND",
            f"there is no {name}: it is unknown, was deleted or expired; open one with CreateUpload",
            upload=name,
        )


class UploadOffsetMismatch(OutOfRange):
    def __init__(self, name: str, offset: int, committed_size: int) -> None:
        super().__init__(
            "UPLOAD_OFFSET_MISMATCH",
            f"bytes were sent for offset {offset}, but {name} continues at {committed_size}; send from there",
            offset=str(offset),
            committed_size=str(committed_size),
        )


class UploadBusy(Aborted):
    """Two clients write one session: the other one, or the other server process, goes on."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "CONFLICT",
            f"{name} is being written by another client; ask GetUpload how far it came, and continue there",
        )


class DigestMismatch(InvalidArgument):
    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(
            "DIGEST_MISMATCH",
            f"the bytes sent are {actual}, but {expected} was announced; the session starts over at offset 0:"
            " send the right bytes",
            expected=expected,
            actual=actual,
        )


class ManifestInvalid(InvalidArgument):
    def __init__(self, problem: str) -> None:
        super().__init__(
            "MANIFEST_INVALID",
            f"the manifest cannot be committed: {problem}; send an OCI image manifest as CNCF ModelPack describes it",
            problem=problem,
        )


class FilePathUnsafe(InvalidArgument):
    def __init__(self, path: str, problem: str) -> None:
        super().__init__(
            "FILE_PATH_UNSAFE",
            f"the file path {shown(path)} {problem}; rename the file",
            # Escaped where it holds what no header and no terminal should see.
            path=path if path.isascii() and path.isprintable() else shown(path)[1:-1],
            problem=problem,
        )


class BlobCorrupt(DataLoss):
    def __init__(self, digest: str, found: str) -> None:
        super().__init__(
            "BLOB_CORRUPT",
            f"what is stored as {digest} is {found}; use another version, and ask the operator to restore this one",
            digest=digest,
        )


class ReadOutOfRange(OutOfRange):
    def __init__(self, offset: int, size: int) -> None:
        super().__init__(
            "READ_OUT_OF_RANGE",
            f"offset {offset} is beyond the end of the blob, which has {size} bytes; read from a smaller one",
            offset=str(offset),
            size=str(size),
        )


class StorageFull(ResourceExhausted):
    def __init__(self) -> None:
        super().__init__(
            "STORAGE_FULL",
            "the blob store has no space left; nothing more was written, and the session can be continued when the"
            " operator has made room",
        )


class BlobStoreUnavailable(Unavailable):
    """The blob store failed; the cause is the exception that this one was raised from."""

    def __init__(self) -> None:
        super().__init__(
            "DEPENDENCY_UNAVAILABLE",
            "the blob store failed; nothing that was not acknowledged is kept, try again",
            dependency="blobs",
        )

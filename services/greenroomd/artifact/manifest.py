"""Reads the manifest that a client commits. Pure: bytes in, domain values out.

The grammar is the one that clients build with, `greenroom.manifest`; what is added here is what only a server must
insist on, because what it accepts it has to serve to everybody for ever.
"""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from typing import Any

from greenroom import manifest as modelpack
from greenroom.safe_path import PathProblem, shown
from greenroomd.artifact.domain import Blob, File, Role
from greenroomd.artifact.errors import FilePathUnsafe, ManifestInvalid

MAX_DESCRIPTION_BYTES = 4 * 1024 * 1024 - 64 * 1024
"""Manifest and list of files together: what GetArtifact can answer in one message of 4 MiB."""

FILE_OVERHEAD = 32
"""Most bytes that a file takes in an answer apart from its texts."""

MAX_SIZE = 2**63 - 1

ROLES = {role.name: role for role in Role}

DELEGATING_KEYS = ("urls", "data")
"""Parts of an OCI descriptor that say where else, or what else, the content is."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest names."""

    digest: str
    """SHA-256 of its bytes: the artifact's identity."""
    files: tuple[File, ...]
    """Ordered by path."""
    size: int
    """Sum of the files' sizes in bytes."""
    blobs: tuple[Blob, ...]
    """Everything that must be held: the files' blobs and the config, each once, ordered by digest."""


def read_manifest(document: bytes) -> Manifest:
    """Return what a manifest names.

    Raises:
        ManifestInvalid: it is not a ModelPack manifest, or one that could not be served.
        FilePathUnsafe: a file path is unsafe, or two collide.
    """
    try:
        parsed = modelpack.parse(document)
    except PathProblem as problem:
        raise FilePathUnsafe(problem.path, problem.problem) from None
    except modelpack.ManifestProblem as problem:
        raise ManifestInvalid(str(problem)) from None
    _check_document(document)
    files = tuple(
        sorted(
            (
                File(file.path, Blob(file.digest, file.size), ROLES[file.role.name], file.role.media_type)
                for file in parsed.files
            ),
            key=lambda file: file.path,
        )
    )
    size = sum(file.blob.size for file in files)
    if size > MAX_SIZE:
        raise ManifestInvalid(f"its files have {size} bytes together, more than can be counted")
    description = len(document) + sum(_described_size(file) for file in files)
    if description > MAX_DESCRIPTION_BYTES:
        raise ManifestInvalid(
            f"with the list of its {len(files)} files it takes {description} bytes; at most {MAX_DESCRIPTION_BYTES}"
            " fit into an answer: push fewer files, or pack small ones into one"
        )
    blobs = _distinct(Blob(parsed.config_digest, parsed.config_size), *(file.blob for file in files))
    return Manifest(parsed.digest, files, size, blobs)


def _check_document(document: bytes) -> None:
    """Refuse what some readers would understand differently: another encoding, or keys that differ by case only."""
    if document.startswith(codecs.BOM_UTF8):
        raise ManifestInvalid("it starts with a byte order mark")
    try:
        text = document.decode()
    except UnicodeDecodeError as error:
        raise ManifestInvalid(f"it is not UTF-8 at byte {error.start}") from None
    if "\0" in text:  # what UTF-16 and UTF-32 look like
        raise ManifestInvalid("it has a NUL byte")
    try:
        top = json.loads(text, object_pairs_hook=_without_lookalikes)
    except RecursionError:
        raise ManifestInvalid("it is nested too deeply") from None
    for where, descriptor in (("config", top["config"]), *((f"layers[{i}]", x) for i, x in enumerate(top["layers"]))):
        for key in DELEGATING_KEYS:
            if key in descriptor:
                raise ManifestInvalid(f"{where}.{key} is set; the content of a layer is its uploaded blob alone")


def _without_lookalikes(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    spellings: dict[str, str] = {}
    for key, _ in pairs:
        other = spellings.setdefault(key.casefold(), key)
        if other != key:
            raise ManifestInvalid(f"an object has the keys {shown(other)} and {shown(key)}, which some readers confuse")
    return dict(pairs)


def _distinct(*blobs: Blob) -> tuple[Blob, ...]:
    sizes: dict[str, int] = {}
    for blob in blobs:
        if sizes.setdefault(blob.digest, blob.size) != blob.size:
            raise ManifestInvalid(f"it states two sizes for {blob.digest}")
    return tuple(Blob(digest, size) for digest, size in sorted(sizes.items()))


def _described_size(file: File) -> int:
    return len(file.path.encode()) + len(file.blob.digest) + len(file.media_type) + FILE_OVERHEAD

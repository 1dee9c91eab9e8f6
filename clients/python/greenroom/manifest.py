"""The manifest of an artifact: an OCI image manifest as CNCF ModelPack describes it, one raw layer a file.

Deterministic: the same files give the same bytes, hence the same digest, on every machine and at any time. Layers are
ordered by path, keys are sorted, nothing carries a time. Key names follow the specification's JSON schema
(`schema/config-schema.json`: `modelfs.diffIds`, camelCase, where OCI image configs say `diff_ids`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from greenroom.roles import Role
from greenroom.safe_path import check_paths, shown

MANIFEST_MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_MEDIA_TYPE = "application/vnd.cncf.model.config.v1+json"
FILEPATH_ANNOTATION = "org.cncf.model.filepath"

MAX_MANIFEST_BYTES = 3 * 1024 * 1024
"""Largest manifest that a server accepts; about 9,000 files."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_SIZE = 2**63 - 1


_ROLES = {role.media_type: role for role in Role}


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of an artifact."""

    path: str
    """Path relative to the artifact's root."""
    digest: str
    """`sha256:<64 hex digits>` of the file's bytes."""
    size: int
    """Number of bytes."""
    role: Role
    """What the file is for."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest with everything that it names."""

    document: bytes
    """The manifest's bytes, exactly as they are stored and hashed."""
    digest: str
    """`sha256:<64 hex digits>` of `document`: the artifact's identity."""
    config_digest: str
    """Digest of the config blob."""
    config_size: int
    """Size of the config blob in bytes."""
    files: tuple[ManifestFile, ...]
    """The files; ordered by path when built here, as listed when parsed."""


class ManifestProblem(ValueError):
    """A document that is not a ModelPack manifest as Greenroom stores them; the text says why."""


def digest_of(data: bytes) -> str:
    """Return `sha256:<64 hex digits>` of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def is_digest(text: object) -> bool:
    """Tell whether `text` is `sha256:` and 64 lower-case hex digits."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def build(files: Iterable[ManifestFile]) -> tuple[Manifest, bytes]:
    """Return the manifest of `files`, and the config blob that must be uploaded with them.

    Raises:
        ManifestProblem: no files, or more than a manifest can name.
        PathProblem: a path is unsafe or two collide.
    """
    ordered = tuple(sorted(files, key=lambda file: file.path))
    if not ordered:
        raise ManifestProblem("an artifact has at least one file")
    check_paths(file.path for file in ordered)
    config = _canonical(
        {
            "config": {},
            "descriptor": {},
            "modelfs": {"type": "layers", "diffIds": [file.digest for file in ordered]},
        }
    )
    document = _canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_MEDIA_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "config": {"mediaType": CONFIG_MEDIA_TYPE, "digest": digest_of(config), "size": len(config)},
            "layers": [
                {
                    "mediaType": file.role.media_type,
                    "digest": file.digest,
                    "size": file.size,
                    "annotations": {FILEPATH_ANNOTATION: file.path},
                }
                for file in ordered
            ],
        }
    )
    if len(document) > MAX_MANIFEST_BYTES:
        raise ManifestProblem(
            f"the manifest of {len(ordered)} files has {len(document)} bytes; at most {MAX_MANIFEST_BYTES} are"
            " accepted: push fewer files, or pack small ones into one"
        )
    return Manifest(document, digest_of(document), digest_of(config), len(config), ordered), config


def parse(document: bytes) -> Manifest:
    """Read a manifest that came from elsewhere, trusting nothing in it.

    Raises:
        ManifestProblem: it is not JSON, not a ModelPack manifest, or has a layer that is not one raw file.
        PathProblem: a path is unsafe or two collide.
    """
    if len(document) > MAX_MANIFEST_BYTES:
        raise ManifestProblem(f"it has {len(document)} bytes; at most {MAX_MANIFEST_BYTES} are accepted")
    try:
        top = json.loads(document, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ManifestProblem(f"it is not JSON: {error}") from error
    _expect(isinstance(top, dict), "it is not a JSON object")
    _expect(top.get("schemaVersion") == 2, "schemaVersion is not 2")
    _expect(top.get("mediaType") == MANIFEST_MEDIA_TYPE, f"mediaType is not {MANIFEST_MEDIA_TYPE}")
    _expect(top.get("artifactType") == ARTIFACT_TYPE, f"artifactType is not {ARTIFACT_TYPE}")
    config_type, config_digest, config_size = _descriptor(top.get("config"), "config")
    _expect(config_type == CONFIG_MEDIA_TYPE, f"config.mediaType is not {CONFIG_MEDIA_TYPE}")
    layers = top.get("layers")
    if not isinstance(layers, list) or not layers:
        raise ManifestProblem("layers is not a list with at least one layer")
    files = tuple(_file(layer, f"layers[{index}]") for index, layer in enumerate(layers))
    check_paths(file.path for file in files)
    return Manifest(document, digest_of(document), config_digest, config_size, files)


def _file(layer: object, where: str) -> ManifestFile:
    media_type, digest, size = _descriptor(layer, where)
    role = _ROLES.get(media_type)
    if role is None:
        raise ManifestProblem(f"{where}.mediaType {shown(media_type)} is not a raw ModelPack layer")
    annotations = layer.get("annotations") if isinstance(layer, dict) else None
    path = annotations.get(FILEPATH_ANNOTATION) if isinstance(annotations, dict) else None
    if not isinstance(path, str):
        raise ManifestProblem(f"{where}.annotations has no {FILEPATH_ANNOTATION}")
    return ManifestFile(path, digest, size, role)


def _descriptor(value: object, where: str) -> tuple[str, str, int]:
    if not isinstance(value, dict):
        raise ManifestProblem(f"{where} is not an object")
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    if not isinstance(media_type, str):
        raise ManifestProblem(f"{where}.mediaType is not text")
    if not isinstance(digest, str) or not is_digest(digest):
        raise ManifestProblem(f"{where}.digest is not sha256: and 64 lower-case hex digits")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_SIZE:
        raise ManifestProblem(f"{where}.size is not a number of bytes")
    return media_type, digest, size


def _expect(condition: bool, problem: str) -> None:
    if not condition:
        raise ManifestProblem(problem)


def _canonical(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has the same key twice")
    return result


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")

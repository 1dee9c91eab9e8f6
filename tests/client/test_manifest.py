"""Manifests: deterministic when built, distrusted when read."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from greenroom.manifest import ManifestFile, ManifestProblem, build, digest_of, parse
from greenroom.roles import Role, guess_role
from greenroom.safe_path import PathProblem

FILES = [
    ManifestFile("model.joblib", "sha256:" + "1" * 64, 1234, Role.WEIGHT),
    ManifestFile("config.json", "sha256:" + "2" * 64, 56, Role.CONFIG),
    ManifestFile("README.md", "sha256:" + "3" * 64, 0, Role.DOC),
    ManifestFile("src/prépare.py", "sha256:" + "4" * 64, 7, Role.CODE),
    ManifestFile("data/sample.csv", "sha256:" + "5" * 64, 8, Role.DATASET),
]

GOLDEN_DIGEST = "sha256:a9c1b91e79177eb114918d99b18a76e1fc3055f53b0f8f4f899f884bdd41fcb9"
GOLDEN_CONFIG_DIGEST = "sha256:7e0a2c03da1edf0dac96dcaae02986e1b1f6535560161fe0db8b0bea337396de"


def changed(**changes: Any) -> bytes:
    document = json.loads(build(FILES)[0].document)
    document.update(changes)
    return json.dumps(document).encode()


def changed_layer(**changes: Any) -> bytes:
    document = json.loads(build(FILES)[0].document)
    document["layers"][0].update(changes)
    return json.dumps(document).encode()


def test_the_digest_of_a_known_set_of_files_never_changes() -> None:
    # Every registered artifact is named by such a digest: a change here orphans them all.
    manifest, config = build(FILES)
    assert manifest.digest == GOLDEN_DIGEST
    assert digest_of(config) == manifest.config_digest == GOLDEN_CONFIG_DIGEST


def test_the_order_in_which_files_are_found_does_not_matter() -> None:
    shuffled = list(FILES)
    for seed in range(10):
        random.Random(seed).shuffle(shuffled)
        assert build(shuffled)[0].document == build(FILES)[0].document


def test_a_manifest_is_an_oci_image_manifest_of_modelpack() -> None:
    manifest, config = build(FILES)
    document = json.loads(manifest.document)
    assert document["schemaVersion"] == 2
    assert document["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert document["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert document["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    assert [layer["annotations"]["org.cncf.model.filepath"] for layer in document["layers"]] == [
        "README.md", "config.json", "data/sample.csv", "model.joblib", "src/prépare.py",
    ]  # fmt: skip
    assert [layer["mediaType"] for layer in document["layers"]] == [
        "application/vnd.cncf.model.doc.v1.raw",
        "application/vnd.cncf.model.weight.config.v1.raw",
        "application/vnd.cncf.model.dataset.v1.raw",
        "application/vnd.cncf.model.weight.v1.raw",
        "application/vnd.cncf.model.code.v1.raw",
    ]
    assert json.loads(config) == {
        "descriptor": {},
        "config": {},
        "modelfs": {"type": "layers", "diffIds": [layer["digest"] for layer in document["layers"]]},
    }


def test_what_was_built_is_read_back() -> None:
    manifest, _ = build(FILES)
    assert parse(manifest.document) == manifest


def test_no_files_are_no_artifact() -> None:
    with pytest.raises(ManifestProblem, match="at least one file"):
        build([])


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"schemaVersion": NaN}',
        b"[" * 100_000,
        b'{"schemaVersion": 2, "schemaVersion": 2}',
        changed(schemaVersion=1),
        changed(mediaType="application/vnd.docker.distribution.manifest.v2+json"),
        changed(artifactType=None),
        changed(config=None),
        changed(config={"mediaType": "text/plain", "digest": "sha256:" + "1" * 64, "size": 1}),
        changed(layers=[]),
        changed(layers="none"),
        changed(layers=[None]),
        changed_layer(digest="sha256:" + "A" * 64),
        changed_layer(digest="sha512:" + "1" * 128),
        changed_layer(size=-1),
        changed_layer(size=1.5),
        changed_layer(size=True),
        changed_layer(size=2**63),
        changed_layer(mediaType="application/vnd.cncf.model.weight.v1.tar"),
        changed_layer(annotations={}),
        changed_layer(annotations={"org.cncf.model.filepath": 1}),
        b" " * (3 * 1024 * 1024 + 1),
    ],
    ids=range(25),
)
def test_other_documents_are_refused(document: bytes) -> None:
    with pytest.raises(ManifestProblem):
        parse(document)


@pytest.mark.parametrize("path", ["../x", "/x", "a/../b", "MODEL.joblib", "model.joblib/x"])
def test_a_manifest_with_an_unsafe_path_is_refused(path: str) -> None:
    with pytest.raises(PathProblem):
        parse(changed_layer(annotations={"org.cncf.model.filepath": path}))


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("model.safetensors", Role.WEIGHT),
        ("pytorch_model.bin", Role.WEIGHT),
        ("model.pkl", Role.WEIGHT),
        ("no_suffix", Role.WEIGHT),
        ("config.json", Role.CONFIG),
        ("sub/tokenizer_config.json", Role.CONFIG),
        ("vocab.txt", Role.CONFIG),
        ("README", Role.DOC),
        ("README.md", Role.DOC),
        ("LICENSE.txt", Role.DOC),
        ("notes.txt", Role.DOC),
        ("preprocess.PY", Role.CODE),
        ("sample.parquet", Role.DATASET),
        ("train.jsonl", Role.DATASET),
    ],
)
def test_roles_are_guessed_by_name(path: str, role: Role) -> None:
    assert guess_role(path) is role

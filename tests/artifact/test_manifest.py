"""What a manifest may say: the grammar, the corpus of unsafe paths, and arbitrary input."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import manifest as modelpack
from greenroom.roles import Role as ClientRole
from greenroomd.artifact.domain import Blob, Role
from greenroomd.artifact.errors import FilePathUnsafe, ManifestInvalid
from greenroomd.artifact.manifest import MAX_DESCRIPTION_BYTES, read_manifest
from greenroomd.platform.errors import InvalidArgument
from support.blobs import blob_of, layer, manifest_of, raw_manifest

UNSAFE_PATHS = [
    "",
    ".",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "a/./b",
    "./a",
    "/etc/passwd",
    "//host/share",
    "a//b",
    "a/",
    "C:\\x",
    "C:x",
    "\\\\h\\s",
    "a\\..\\b",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "%2e%2e%2f",
    "%252e%252e%252f",
    "a;b",
    "a#b",
    "a?b",
    "file://x",
    "x" * 256,
    "/".join(["x" * 200] * 6),
    "\udc80",
    "\uff0e\uff0e/x",
    "a\uff0fb",
    "\u2024\u2024/x",
    "a\u202eb",
    "a\u200bb",
    "name.",
    "name ",
    "a./b",
    "CON",
    "con.txt",
    "COM1",
    "nul/x",
    ".git/config",
    "a/.GIT/config",
    "e\u0301",
]

COLLIDING = [("a", "a"), ("A", "a"), ("dir/x", "DIR/y"), ("a", "a/b"), ("a/b", "a"), ("ß", "ss"), ("É", "é")]


def test_what_a_client_builds_is_read() -> None:
    files = {"weights/b.bin": b"bb", "a.bin": b"a", "same.bin": b"a"}
    document, config = manifest_of(files)
    manifest = read_manifest(document)
    assert manifest.digest == f"sha256:{hashlib.sha256(document).hexdigest()}"
    assert [(file.path, file.blob) for file in manifest.files] == [
        (path, blob_of(files[path])) for path in sorted(files)
    ]
    assert manifest.size == 4
    assert set(manifest.blobs) == {blob_of(b"a"), blob_of(b"bb"), blob_of(config)}
    assert len(manifest.blobs) == 3


@pytest.mark.parametrize("role", ClientRole)
def test_the_role_follows_from_the_media_type(role: ClientRole) -> None:
    document, _ = manifest_of({"file": b"x"}, role)
    file = read_manifest(document).files[0]
    assert file.role is Role[role.name]
    assert file.media_type == role.media_type


def test_what_the_specification_adds_is_kept_out_of_the_way() -> None:
    document = raw_manifest([layer(size=0)], annotations={"org.opencontainers.image.created": "2026"}, subject=None)
    assert read_manifest(document).files[0].blob == Blob("sha256:" + "a" * 64, 0)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"", "JSON"),
        (b"nonsense", "JSON"),
        (b"[]", "object"),
        (b"null", "object"),
        (b"[" * 100_000, "JSON"),
        (b'{"a":' * 100_000, "JSON"),
        (b'{"schemaVersion":2,"schemaVersion":2}', "twice"),
        (b'{"schemaVersion":NaN}', "NaN"),
        (b'{"schemaVersion":' + b"9" * 5000 + b"}", "JSON"),
        (raw_manifest(schemaVersion=1), "schemaVersion"),
        (raw_manifest(schemaVersion=None), "schemaVersion"),
        (raw_manifest(mediaType="application/json"), "mediaType"),
        (raw_manifest(artifactType="application/vnd.unknown"), "artifactType"),
        (raw_manifest(artifactType=None), "artifactType"),
        (raw_manifest(config=None), "config"),
        (raw_manifest(config={"mediaType": "x", "digest": "sha256:" + "c" * 64, "size": 2}), "config"),
        (raw_manifest(layers=None), "layers"),
        (raw_manifest(layers=[]), "layers"),
        (raw_manifest(layers={}), "layers"),
        (raw_manifest([None]), "layers"),
        (raw_manifest(["text"]), "layers"),
        (raw_manifest([layer(digest="sha256:" + "A" * 64)]), "digest"),
        (raw_manifest([layer(digest="sha512:" + "a" * 128)]), "digest"),
        (raw_manifest([layer(digest="sha256:" + "a" * 64 + "\n")]), "digest"),
        (raw_manifest([layer(digest=None)]), "digest"),
        (raw_manifest([layer(size=-1)]), "size"),
        (raw_manifest([layer(size=2**63)]), "size"),
        (raw_manifest([layer(size=1.5)]), "size"),
        (raw_manifest([layer(size=True)]), "size"),
        (raw_manifest([layer(size="3")]), "size"),
        (raw_manifest([layer(mediaType="application/vnd.cncf.model.weight.v1.tar")]), "mediaType"),
        (raw_manifest([layer(annotations=None)]), "annotations"),
        (raw_manifest([layer(annotations={})]), "annotations"),
        (raw_manifest([layer(path=7)]), "annotations"),
        (raw_manifest([layer(path=None)]), "annotations"),
        (raw_manifest([layer(urls=["http://127.0.0.1/x"])]), "urls"),
        (raw_manifest([layer(data="YWJj")]), "data"),
        (raw_manifest([layer("a", size=1), layer("b", size=2)]), "two sizes"),
        (raw_manifest([layer("a", size=2**62), layer("b", size=2**62, digest="sha256:" + "b" * 64)]), "together"),
        (raw_manifest(Layers=[]), "confuse"),
        (raw_manifest([layer(Digest="sha256:" + "b" * 64)]), "confuse"),
        (raw_manifest().decode().encode("utf-16"), "UTF-8"),
        (raw_manifest().decode().encode("utf-16-le"), "NUL"),
        (b"\xef\xbb\xbf" + raw_manifest(), ""),
        (raw_manifest(annotations={"x": "y"}).replace(b'"y"', b'"\xc0\xae"'), ""),
        (b" " * (3 * 1024 * 1024 + 1), "bytes"),
    ],
)
def test_what_is_no_manifest_is_refused(document: bytes, problem: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        read_manifest(document)
    assert problem in caught.value.metadata["problem"]


@pytest.mark.parametrize("path", UNSAFE_PATHS)
def test_unsafe_paths_are_refused(path: str) -> None:
    with pytest.raises(FilePathUnsafe) as caught:
        read_manifest(raw_manifest([layer("fine"), layer(path)]))
    assert caught.value.metadata["problem"]
    for text in (caught.value.message, *caught.value.metadata.values()):
        assert text.isprintable()
        text.encode()


def test_the_refused_path_is_named() -> None:
    with pytest.raises(FilePathUnsafe) as caught:
        read_manifest(raw_manifest([layer("../x")]))
    assert caught.value.metadata["path"] == "../x"
    assert ".." in caught.value.metadata["problem"]


@pytest.mark.parametrize("paths", COLLIDING)
def test_paths_that_are_the_same_file_somewhere_are_refused(paths: tuple[str, str]) -> None:
    with pytest.raises(FilePathUnsafe):
        read_manifest(raw_manifest([layer(path) for path in paths]))


def test_an_overlong_encoding_is_no_path() -> None:
    document = raw_manifest([layer("PATH")]).replace(b"PATH", b"\xc0\xae\xc0\xae/x")
    with pytest.raises(InvalidArgument):
        read_manifest(document)


def test_what_could_not_be_answered_in_one_message_is_refused() -> None:
    paths = [f"{number:05}/" + "x" * 190 + "/" + "y" * 190 for number in range(4500)]
    document = raw_manifest([layer(path) for path in paths])
    assert len(document) < 3 * 1024 * 1024
    with pytest.raises(ManifestInvalid, match=str(MAX_DESCRIPTION_BYTES)):
        read_manifest(document)


def test_thousands_of_files_are_fine() -> None:
    document = raw_manifest([layer(f"shards/{number:05}.bin") for number in range(8000)])
    assert len(read_manifest(document).files) == 8000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_input_is_read_or_refused(document: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        read_manifest(document)


@given(
    key=st.sampled_from(["schemaVersion", "mediaType", "artifactType", "config", "layers", "digest", "size", "path"]),
    value=json_values,
)
def test_a_part_that_is_something_else_is_read_or_refused(key: str, value: Any) -> None:
    inner = {key: value} if key in ("digest", "size", "path") else {}
    outer = {} if inner else {key: value}
    try:
        read_manifest(raw_manifest([layer(**inner)], **outer))
    except (ManifestInvalid, FilePathUnsafe) as error:
        assert error.metadata["problem"]


@given(st.text(max_size=40) | st.lists(st.sampled_from(["..", ".", "a", "B", "", " ", "con"])).map("/".join))
def test_a_path_that_is_accepted_stays_below_its_root(path: str) -> None:
    try:
        manifest = read_manifest(raw_manifest([layer(path)]))
    except FilePathUnsafe:
        return
    accepted = PurePosixPath("/root") / manifest.files[0].path
    assert accepted.is_relative_to("/root")
    assert ".." not in accepted.parts
    assert str(accepted) == f"/root/{path}"


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}(/[a-z]{1,6})?", fullmatch=True), st.binary(max_size=8), min_size=1))
def test_whatever_a_client_can_build_is_accepted(files: dict[str, bytes]) -> None:
    try:
        document, _ = manifest_of(files)
    except (modelpack.ManifestProblem, ValueError):
        return
    assert {file.path: file.blob for file in read_manifest(document).files} == {
        path: blob_of(data) for path, data in files.items()
    }

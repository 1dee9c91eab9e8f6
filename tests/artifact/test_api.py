"""The artifact service through gRPC, behind the real interceptors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest

from greenroom.artifact.v1 import artifact_service_pb2 as pb
from greenroom.artifact.v1.artifact_pb2 import File
from greenroom.artifact.v1.blob_pb2 import Blob
from greenroom.artifact.v1.watch_pb2 import WatchChangesRequest
from greenroomd.application import start
from greenroomd.config import Config
from greenroomd.platform.server import ServerSettings
from support.blobs import (
    MIB,
    blob_message,
    blob_of,
    layer,
    manifest_of,
    noise,
    pieces,
    pull_blob,
    push,
    push_blob,
    raw_manifest,
    write_requests,
)
from support.processes import Identities
from support.server import RunningServer, refusal, refused

TEAM, OTHERS = "namespaces/team", "namespaces/others"
RANDOM = "sha256:" + "0123456789abcdef" * 4
FILES = {"model.bin": noise(2 * MIB + 3), "config.json": b"{}", "empty": b""}


@pytest.fixture
def artifact(served: RunningServer) -> Any:
    return served.as_("admin").artifact


async def opened(artifact: Any, data: bytes, namespace: str = TEAM) -> Any:
    request = pb.CreateUploadRequest(parent=namespace, blob=blob_message(data), request_id=str(uuid4()))
    return (await artifact.CreateUpload(request)).upload


async def read_refused(artifact: Any, namespace: str, digest: str, **range: int) -> Any:
    try:
        await pull_blob(artifact, namespace, digest, **range)
    except grpc.aio.AioRpcError as error:
        return refusal(error)
    raise AssertionError("the read should have been refused")


async def test_find_upload_commit_read(artifact: Any) -> None:
    document, config = manifest_of(FILES)
    blobs = [blob_message(data) for data in (*FILES.values(), config)]
    asked = pb.FindMissingBlobsRequest(parent=TEAM, blobs=blobs)
    assert list((await artifact.FindMissingBlobs(asked)).missing) == blobs
    await push_blob(artifact, TEAM, config)
    assert list((await artifact.FindMissingBlobs(asked)).missing) == blobs[:-1]
    answer = await push(artifact, TEAM, FILES)
    assert list((await artifact.FindMissingBlobs(asked)).missing) == []
    assert answer.revision == 1
    assert answer.artifact.size_bytes == 2 * MIB + 5

    got = (await artifact.GetArtifact(pb.GetArtifactRequest(name=answer.artifact.name, min_revision=1))).artifact
    assert got.manifest == document
    assert got.digest == blob_of(document).digest
    assert [(file.path, file.role) for file in got.files] == [
        ("config.json", File.ROLE_WEIGHT),
        ("empty", File.ROLE_WEIGHT),
        ("model.bin", File.ROLE_WEIGHT),
    ]
    for file in got.files:
        assert await pull_blob(artifact, TEAM, file.blob.digest) == FILES[file.path]
    assert await pull_blob(artifact, TEAM, got.digest) == document
    assert await pull_blob(artifact, TEAM, blob_of(FILES["model.bin"]).digest, MIB, 7) == FILES["model.bin"][MIB:][:7]

    listed = await artifact.ListArtifacts(pb.ListArtifactsRequest(parent=TEAM))
    assert [entry.name for entry in listed.artifacts] == [got.name]
    assert listed.artifacts[0].manifest == b""
    assert listed.next_page_token == ""


async def test_pages(artifact: Any) -> None:
    names = {(await push(artifact, TEAM, {"file": bytes([number])})).artifact.name for number in range(5)}
    token, seen = "", []
    while True:
        request = pb.ListArtifactsRequest(parent=TEAM, page_size=2, page_token=token)
        answer = await artifact.ListArtifacts(request)
        seen += [entry.name for entry in answer.artifacts]
        token = answer.next_page_token
        if not token:
            break
    assert len(seen) == 5
    assert set(seen) == names
    request = pb.ListArtifactsRequest(parent=TEAM, page_token="nonsense")
    assert (await refused(artifact.ListArtifacts(request))).reason == "PAGE_TOKEN_INVALID"


async def test_a_repeated_commit_gets_the_first_answer(artifact: Any) -> None:
    first = await push(artifact, TEAM, FILES)
    request = pb.CreateArtifactRequest(parent=TEAM, manifest=manifest_of(FILES)[0], request_id=str(uuid4()))
    assert await artifact.CreateArtifact(request) == first
    assert await artifact.CreateArtifact(request) == first


async def test_the_watch_tells(artifact: Any) -> None:
    stream = artifact.WatchChanges(WatchChangesRequest(after_revision=0, bookmark_interval_ms=50))
    committed = (await push(artifact, TEAM, FILES)).artifact
    async for message in stream:
        if message.changes:
            (change,) = message.changes
            break
    assert (change.metadata.type, change.metadata.resource) == ("artifact.created", committed.name)
    assert change.after.artifact == committed
    stream.cancel()


async def test_interrupted_and_resumed(artifact: Any) -> None:
    data = noise(3 * MIB)
    upload = await opened(artifact, data)

    async def cut() -> AsyncIterator[pb.WriteUploadRequest]:
        for request in write_requests(upload.name, 0, pieces(data, MIB)[:2]):
            yield request
        await asyncio.Event().wait()

    call = artifact.WriteUpload(cut())
    await asyncio.sleep(0.3)
    call.cancel()
    committed = 0
    for _ in range(100):
        await asyncio.sleep(0.02)
        committed = (await artifact.GetUpload(pb.GetUploadRequest(name=upload.name))).upload.committed_size
        if committed:
            break
    assert committed == 2 * MIB
    answer = await artifact.WriteUpload(iter(write_requests(upload.name, committed, pieces(data[committed:]))))
    assert answer.upload.complete
    assert (await artifact.GetUpload(pb.GetUploadRequest(name=upload.name))).upload.complete


async def test_wrong_offset_digest_and_size(artifact: Any) -> None:
    data = b"right bytes"
    upload = await opened(artifact, data)

    async def attempt(offset: int, sent: bytes) -> Any:
        return await refused(artifact.WriteUpload(iter(write_requests(upload.name, offset, [sent]))))

    answer = await attempt(4, data)
    assert (answer.code, answer.reason) == (grpc.StatusCode.OUT_OF_RANGE, "UPLOAD_OFFSET_MISMATCH")
    assert answer.metadata == {"offset": "4", "committed_size": "0"}
    for wrong in (b"wrong bytes", data + b"!"):
        answer = await attempt(0, wrong)
        assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "DIGEST_MISMATCH")
        assert set(answer.metadata) == {"expected", "actual"}
    answer = await artifact.WriteUpload(iter(write_requests(upload.name, 0, [data])))
    assert answer.upload.complete


async def test_malformed_streams(artifact: Any) -> None:
    upload = await opened(artifact, b"abc")

    async def attempt(*requests: pb.WriteUploadRequest) -> Any:
        return await refused(artifact.WriteUpload(iter(requests)))

    nothing = await attempt()
    nameless = await attempt(pb.WriteUploadRequest(data=b"abc"))
    twice = await attempt(*write_requests(upload.name, 0, [b"a"]), pb.WriteUploadRequest(name=upload.name, data=b"b"))
    too_large = await attempt(*write_requests(upload.name, 1, [bytes(2 * MIB + 1)]))
    misnamed = await attempt(pb.WriteUploadRequest(name="uploads/1"))
    for answer, field in ((nothing, "name"), (nameless, "name"), (twice, "name"), (too_large, "data")):
        assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
        assert list(answer.fields) == [field]
    assert list(misnamed.fields) == ["name"]
    unknown = await attempt(pb.WriteUploadRequest(name=f"{TEAM}/uploads/{uuid4()}"))
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "UPLOAD_NOT_FOUND")
    # What was right in a stream that then went wrong is kept.
    upload = (await artifact.GetUpload(pb.GetUploadRequest(name=upload.name))).upload
    assert upload.committed_size == 1
    answer = await artifact.WriteUpload(iter(write_requests(upload.name, 1, [b"bc"])))
    assert answer.upload.complete


async def test_sessions_can_be_given_up(artifact: Any) -> None:
    upload = await opened(artifact, b"abc")
    await artifact.DeleteUpload(pb.DeleteUploadRequest(name=upload.name))
    await artifact.DeleteUpload(pb.DeleteUploadRequest(name=upload.name))
    answer = await refused(artifact.GetUpload(pb.GetUploadRequest(name=upload.name)))
    assert (answer.code, answer.metadata) == (grpc.StatusCode.NOT_FOUND, {"upload": upload.name})


async def test_one_namespace_tells_another_nothing(artifact: Any) -> None:
    committed = (await push(artifact, TEAM, FILES)).artifact
    model = blob_message(FILES["model.bin"])
    nobodys = Blob(digest=RANDOM, size_bytes=model.size_bytes)

    async def find(blob: Blob) -> Any:
        answer = await artifact.FindMissingBlobs(pb.FindMissingBlobsRequest(parent=OTHERS, blobs=[blob]))
        return [missing == blob for missing in answer.missing]

    async def open_upload(blob: Blob) -> Any:
        upload = (await artifact.CreateUpload(pb.CreateUploadRequest(parent=OTHERS, blob=blob))).upload
        return upload.complete, upload.committed_size

    async def read(blob: Blob) -> Any:
        return masked(await read_refused(artifact, OTHERS, blob.digest), blob)

    async def get(blob: Blob) -> Any:
        name = f"{OTHERS}/artifacts/{blob.digest}"
        return masked(await refused(artifact.GetArtifact(pb.GetArtifactRequest(name=name))), blob)

    async def name_it(blob: Blob) -> Any:
        document = raw_manifest([layer(digest=blob.digest, size=blob.size_bytes)])
        request = pb.CreateArtifactRequest(parent=OTHERS, manifest=document)
        return masked(await refused(artifact.CreateArtifact(request)), blob)

    def masked(answer: Any, blob: Blob) -> str:
        return repr(answer).replace(blob.digest, "DIGEST")

    asks: list[Callable[[Blob], Any]] = [find, open_upload, read, get, name_it]
    for ask in asks:
        assert await ask(model) == await ask(nobodys)
    manifest = Blob(digest=committed.digest, size_bytes=100)
    assert await read(manifest) == await read(nobodys)
    assert await get(manifest) == await get(nobodys)


@pytest.mark.parametrize(
    ("manifest", "code", "reason", "key"),
    [
        (b"{}", grpc.StatusCode.INVALID_ARGUMENT, "MANIFEST_INVALID", "problem"),
        (raw_manifest([layer("../x")]), grpc.StatusCode.INVALID_ARGUMENT, "FILE_PATH_UNSAFE", "path"),
        (raw_manifest([layer("\udc80")]), grpc.StatusCode.INVALID_ARGUMENT, "FILE_PATH_UNSAFE", "path"),
        (raw_manifest([layer("a\u202eb")]), grpc.StatusCode.INVALID_ARGUMENT, "FILE_PATH_UNSAFE", "path"),
        (raw_manifest(), grpc.StatusCode.FAILED_PRECONDITION, "BLOB_MISSING", "digests"),
    ],
)
async def test_refused_manifests(artifact: Any, manifest: bytes, code: Any, reason: str, key: str) -> None:
    answer = await refused(artifact.CreateArtifact(pb.CreateArtifactRequest(parent=TEAM, manifest=manifest)))
    assert (answer.code, answer.reason) == (code, reason)
    assert answer.metadata[key]
    assert list((await artifact.ListArtifacts(pb.ListArtifactsRequest(parent=TEAM))).artifacts) == []


async def test_refused_reads(artifact: Any, served: RunningServer) -> None:
    await push(artifact, TEAM, FILES)
    digest = blob_of(FILES["model.bin"]).digest
    answer = await read_refused(artifact, TEAM, RANDOM)
    assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "BLOB_NOT_FOUND")
    answer = await read_refused(artifact, TEAM, digest, offset=2 * MIB + 4)
    assert (answer.code, answer.reason) == (grpc.StatusCode.OUT_OF_RANGE, "READ_OUT_OF_RANGE")
    hexdigest = digest.removeprefix("sha256:")
    path = served.config.blob_store / "sha256" / hexdigest[:2] / hexdigest
    path.write_bytes(bytes(2 * MIB + 3))
    answer = await read_refused(artifact, TEAM, digest)
    assert (answer.code, answer.reason) == (grpc.StatusCode.DATA_LOSS, "BLOB_CORRUPT")
    assert answer.metadata == {"digest": digest}


async def test_a_large_artifact_fits_into_messages(artifact: Any) -> None:
    await push_blob(artifact, TEAM, b"abc")
    files = {f"shards/{number:05}.safetensors": b"abc" for number in range(8000)}
    committed = (await push(artifact, TEAM, files)).artifact
    got = (await artifact.GetArtifact(pb.GetArtifactRequest(name=committed.name))).artifact
    assert len(got.files) == 8000
    assert len((await artifact.ListArtifacts(pb.ListArtifactsRequest(parent=TEAM))).artifacts) == 1


async def test_who_may_only_look_cannot_write(served: RunningServer) -> None:
    viewer = served.as_("viewer").artifact
    for call in (
        viewer.CreateUpload(pb.CreateUploadRequest(parent=TEAM, blob=blob_message(b"x"))),
        viewer.WriteUpload(iter(write_requests(f"{TEAM}/uploads/{uuid4()}", 0, [b"x"]))),
        viewer.CreateArtifact(pb.CreateArtifactRequest(parent=TEAM, manifest=raw_manifest())),
    ):
        assert (await refused(call)).code == grpc.StatusCode.PERMISSION_DENIED


async def test_abandoned_uploads_disappear_by_themselves(installation: tuple[Identities, dict[str, str]]) -> None:
    identities, environment = installation
    config = Config.from_environment({**environment, "GREENROOM_UPLOAD_EXPIRY_SECONDS": "0.4"})
    application = await start(config, ("artifact",), ServerSettings(port=0, grace_seconds=1))
    running = RunningServer(application, config, identities)
    artifact = running.as_("admin").artifact
    upload = await opened(artifact, b"abc")
    await artifact.WriteUpload(iter(write_requests(upload.name, 0, [b"a"])))
    request = pb.GetUploadRequest(name=upload.name)
    assert (await artifact.GetUpload(request)).upload.committed_size == 1
    await asyncio.sleep(1)
    assert (await refused(artifact.GetUpload(request))).reason == "UPLOAD_NOT_FOUND"
    assert list((config.blob_store / "uploads").iterdir()) == []
    await running.close()

"""Bad input, each with its canonical code, its reason and its field path, and nothing written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest

from greenroom.artifact.v1 import artifact_service_pb2 as artifact
from greenroom.catalog.v1 import catalog_service_pb2 as catalog
from greenroom.catalog.v1.facts_pb2 import Facts, Metric
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as lifecycle
from greenroom.search.v1 import search_service_pb2 as search
from support.artifacts import commit, config_of, digest_of, manifest_of, upload
from support.server import RunningServer, Stubs, open_stubs, refused

DEMO = "namespaces/demo"
DIGITS = f"{DEMO}/models/digits"
ONE, TWO = f"{DIGITS}/versions/1", f"{DIGITS}/versions/2"
DIGEST = "sha256:" + "0" * 64


@pytest.fixture
async def admin(server: RunningServer) -> Stubs:
    """An admin's stubs in an installation with two versions, the first in staging."""
    stubs = server.as_("admin")
    await stubs.catalog.CreateNamespace(catalog.CreateNamespaceRequest(namespace=Namespace(name=DEMO)))
    await stubs.catalog.CreateModel(catalog.CreateModelRequest(model=Model(name=DIGITS)))
    for content in (b"1", b"2"):
        version = Version(artifact_digest=await commit(stubs, DEMO, {"w": content}))
        await stubs.catalog.CreateVersion(catalog.CreateVersionRequest(parent=DIGITS, version=version))
    await stubs.lifecycle.RequestTransition(request_transition(ONE, "staging"))
    return stubs


def request_transition(version: str, stage: str, **more: Any) -> lifecycle.RequestTransitionRequest:
    return lifecycle.RequestTransitionRequest(parent=DEMO, versions=[version], target_stage=stage, **more)


async def heads(stubs: Stubs) -> dict[str, int]:
    """Return the last revision of every log."""
    from greenroom.artifact.v1.watch_pb2 import WatchChangesRequest as A
    from greenroom.catalog.v1.watch_pb2 import WatchChangesRequest as C
    from greenroom.lifecycle.v1.watch_pb2 import WatchChangesRequest as L

    found = {}
    for name, stub, request in (("a", stubs.artifact, A()), ("c", stubs.catalog, C()), ("l", stubs.lifecycle, L())):
        call = stub.WatchChanges(request)
        found[name] = (await call.read()).through_revision
        call.cancel()
    return found


@dataclass(frozen=True)
class Case:
    """A call that must be refused."""

    call: Callable[[Stubs], Any]
    code: grpc.StatusCode
    reason: str
    field: str = ""
    metadata: tuple[str, ...] = ()


INVALID = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION

CASES = {
    "unknown stage": Case(
        lambda s: s.lifecycle.RequestTransition(request_transition(ONE, "prodution")),
        PRECONDITION,
        "STAGE_UNKNOWN",
        metadata=("stage", "known_stages"),
    ),
    "skipped stage": Case(
        lambda s: s.lifecycle.RequestTransition(request_transition(TWO, "production")),
        PRECONDITION,
        "STAGE_EDGE_MISSING",
        metadata=("from_stage", "to_stage", "reachable"),
    ),
    "same stage": Case(
        lambda s: s.lifecycle.RequestTransition(request_transition(ONE, "staging")), PRECONDITION, "STAGE_UNCHANGED"
    ),
    "stale etag": Case(
        lambda s: s.catalog.UpdateModel(
            catalog.UpdateModelRequest(model=Model(name=DIGITS, description="x", etag="old"))
        ),
        grpc.StatusCode.ABORTED,
        "ETAG_STALE",
        metadata=("etag", "current_etag"),
    ),
    "wrong expected version": Case(
        lambda s: s.lifecycle.RequestTransition(request_transition(ONE, "production", expected_current_version=TWO)),
        grpc.StatusCode.ABORTED,
        "EXPECTED_VERSION_MISMATCH",
        metadata=("expected_version", "current_version"),
    ),
    "missing artifact": Case(
        lambda s: s.catalog.CreateVersion(
            catalog.CreateVersionRequest(parent=DIGITS, version=Version(artifact_digest=DIGEST))
        ),
        PRECONDITION,
        "ARTIFACT_MISSING",
        metadata=("namespace", "digest"),
    ),
    "missing blob": Case(
        lambda s: s.artifact.CreateArtifact(
            artifact.CreateArtifactRequest(parent=DEMO, manifest=manifest_of({"w": b"never sent"}))
        ),
        PRECONDITION,
        "BLOB_MISSING",
        metadata=("digests",),
    ),
    "manifest that is no JSON": Case(
        lambda s: s.artifact.CreateArtifact(artifact.CreateArtifactRequest(parent=DEMO, manifest=b"{")),
        INVALID,
        "MANIFEST_INVALID",
        metadata=("problem",),
    ),
    "negative page size": Case(
        lambda s: s.catalog.ListModels(catalog.ListModelsRequest(parent=DEMO, page_size=-1)),
        INVALID,
        "FIELD_INVALID",
        "page_size",
    ),
    "parent with dots": Case(
        lambda s: s.catalog.ListModels(catalog.ListModelsRequest(parent="namespaces/../etc")),
        INVALID,
        "FIELD_INVALID",
        "parent",
    ),
    "namespace without a name": Case(
        lambda s: s.catalog.CreateNamespace(catalog.CreateNamespaceRequest(namespace=Namespace(description="x"))),
        INVALID,
        "FIELD_INVALID",
        "namespace.name",
    ),
    "model without a name": Case(
        lambda s: s.catalog.CreateModel(catalog.CreateModelRequest(model=Model(description="x"))),
        INVALID,
        "FIELD_INVALID",
        "model.name",
    ),
    "changed model without a name": Case(
        lambda s: s.catalog.UpdateModel(catalog.UpdateModelRequest(model=Model(description="x"))),
        INVALID,
        "FIELD_INVALID",
        "model.name",
    ),
    "changed version without a name": Case(
        lambda s: s.catalog.UpdateVersion(catalog.UpdateVersionRequest(version=Version(description="x"))),
        INVALID,
        "FIELD_INVALID",
        "version.name",
    ),
    "upper-case model": Case(
        lambda s: s.catalog.CreateModel(catalog.CreateModelRequest(model=Model(name=f"{DEMO}/models/Fraud"))),
        INVALID,
        "FIELD_INVALID",
        "model.name",
    ),
    "metric that is not a number": Case(
        lambda s: s.catalog.CreateVersion(
            catalog.CreateVersionRequest(
                parent=DIGITS,
                version=Version(
                    artifact_digest=DIGEST,
                    facts=Facts(metrics=[Metric(name="a", value=1), Metric(name="b", value=float("nan"))]),
                ),
            )
        ),
        INVALID,
        "FIELD_INVALID",
        "version.facts.metrics[1].value",
    ),
    "request id that is no UUID": Case(
        lambda s: s.catalog.CreateModel(
            catalog.CreateModelRequest(model=Model(name=f"{DEMO}/models/m"), request_id="1")
        ),
        INVALID,
        "FIELD_INVALID",
        "request_id",
    ),
    "page token of another list": Case(
        lambda s: s.catalog.ListModels(catalog.ListModelsRequest(parent=DEMO, page_token="AAAA")),
        INVALID,
        "PAGE_TOKEN_INVALID",
    ),
    "revision from the future": Case(
        lambda s: s.catalog.GetModel(catalog.GetModelRequest(name=DIGITS, min_revision=10**6)),
        grpc.StatusCode.OUT_OF_RANGE,
        "REVISION_AHEAD",
        metadata=("min_revision", "revision"),
    ),
    "malformed filter": Case(
        lambda s: s.search.SearchVersions(search.SearchVersionsRequest(filter="metric.accuracy >> 1")),
        INVALID,
        "FILTER_MALFORMED",
        metadata=("position", "problem"),
    ),
    "reserved alias": Case(
        lambda s: s.lifecycle.SetAlias(lifecycle.SetAliasRequest(name=f"{DIGITS}/aliases/production", version=ONE)),
        INVALID,
        "ALIAS_RESERVED",
        metadata=("alias",),
    ),
    "read beyond the end": Case(
        lambda s: read_blob(s, digest_of(b"1"), 2),
        grpc.StatusCode.OUT_OF_RANGE,
        "READ_OUT_OF_RANGE",
        metadata=("offset", "size"),
    ),
    "blob of nobody": Case(lambda s: read_blob(s, DIGEST, 0), grpc.StatusCode.NOT_FOUND, "BLOB_NOT_FOUND"),
}

SELECTORS = [
    "",
    "digits",
    "demo/digits@",
    "demo/digits@@x",
    "demo/digits@sha256:xyz",
    "demo/digits/0",
    "a/b/c/d",
    "demo/../x@y",
]
for _selector in SELECTORS:
    CASES[f"selector {_selector!r}"] = Case(
        lambda s, text=_selector: s.lifecycle.Resolve(lifecycle.ResolveRequest(selector=text)),  # type: ignore[misc]
        INVALID,
        "SELECTOR_MALFORMED" if _selector else "FIELD_INVALID",
        "" if _selector else "selector",
        ("selector", "position", "problem") if _selector else (),
    )


async def read_blob(stubs: Stubs, digest: str, offset: int) -> bytes:
    call = stubs.artifact.ReadBlob(artifact.ReadBlobRequest(parent=DEMO, digest=digest, offset=offset))
    return b"".join([response.data async for response in call])


async def test_bad_input_is_refused_with_its_reason_and_writes_nothing(admin: Stubs) -> None:
    before = await heads(admin)
    for name, case in CASES.items():
        answer = await refused(case.call(admin))
        assert (answer.code, answer.reason) == (case.code, case.reason), f"{name}: {answer}"
        assert set(case.metadata) <= set(answer.metadata), f"{name}: {answer}"
        if case.field:
            assert list(answer.fields) == [case.field], f"{name}: {answer}"
        assert len(answer.message) > 20, f"{name}: a person should learn more than {answer.message!r}"
    assert await heads(admin) == before


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "/etc/passwd", "C:\\x", "a\\..\\b", "a\nb", ".", "a//b", "%2e%2e%2fx", "a;b", "CON", "x."],
)
async def test_a_manifest_with_an_unsafe_path_is_refused(admin: Stubs, path: str) -> None:
    files = {path: b"content"}
    for content in (*files.values(), config_of(files)):
        await upload(admin, DEMO, content)
    before = await heads(admin)
    request = artifact.CreateArtifactRequest(parent=DEMO, manifest=manifest_of(files))
    answer = await refused(admin.artifact.CreateArtifact(request))
    assert (answer.code, answer.reason) == (INVALID, "FILE_PATH_UNSAFE")
    # Control characters are shown, not sent: a name must not rewrite somebody's terminal.
    assert answer.metadata["path"] == path.replace("\n", "\\n")
    assert await heads(admin) == before


async def test_a_message_that_is_too_large_is_refused(admin: Stubs) -> None:
    request = artifact.CreateArtifactRequest(parent=DEMO, manifest=b"x" * (5 << 20))
    answer = await refused(admin.artifact.CreateArtifact(request))
    assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_chunk_that_is_too_large_is_refused_and_the_session_stays_usable(admin: Stubs) -> None:
    content = b"z" * (3 << 20)
    blob = artifact.CreateUploadRequest(parent=DEMO)
    blob.blob.digest, blob.blob.size_bytes = digest_of(content), len(content)
    session = (await admin.artifact.CreateUpload(blob)).upload

    async def one_message() -> AsyncIterator[artifact.WriteUploadRequest]:
        yield artifact.WriteUploadRequest(name=session.name, offset=0, data=content)

    answer = await refused(admin.artifact.WriteUpload(one_message()))
    assert (answer.code, answer.reason) == (INVALID, "FIELD_INVALID")
    await upload(admin, DEMO, content)


@pytest.mark.parametrize(
    "token",
    ["", "x", "gr_admin_", "gr_admin_wrong", "gr__", "gr_nobody_" + "a" * 43, "Bearer", "gr_admin_" + "a" * 9000],
)
async def test_a_garbage_token_is_refused_and_says_nothing_of_why(server: RunningServer, token: str) -> None:
    stubs = open_stubs(server.address, token)
    try:
        answer = await refused(stubs.catalog.ListNamespaces(catalog.ListNamespacesRequest()))
    finally:
        await stubs.channel.close()
    if answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        assert len(token) > 8192, "only gRPC's own limit on metadata may answer that"
        return
    assert answer.code is grpc.StatusCode.UNAUTHENTICATED
    assert answer.reason in ("TOKEN_INVALID", "TOKEN_MISSING")
    assert "gr_" not in answer.message
    assert not answer.metadata


async def test_a_viewer_may_read_and_nothing_else(server: RunningServer, admin: Stubs) -> None:
    viewer = server.as_("viewer")
    await viewer.catalog.GetModel(catalog.GetModelRequest(name=DIGITS))
    answer = await refused(viewer.lifecycle.RequestTransition(request_transition(ONE, "production")))
    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert answer.metadata == {"permission": "lifecycle.transitions.request", "principal": "viewer"}


async def test_nobody_approves_a_transition_that_they_requested(server: RunningServer, admin: Stubs) -> None:
    policy = lifecycle.UpdatePolicyRequest()
    policy.policy.name, policy.policy.approvals.count = f"{DEMO}/policies/production", 1
    await admin.lifecycle.UpdatePolicy(policy)
    pending = (await admin.lifecycle.RequestTransition(request_transition(ONE, "production"))).transition
    answer = await refused(admin.lifecycle.ApproveTransition(lifecycle.ApproveTransitionRequest(name=pending.name)))
    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SELF_APPROVAL")
    reviewer = server.as_("reviewer")
    approved = await reviewer.lifecycle.ApproveTransition(lifecycle.ApproveTransitionRequest(name=pending.name))
    assert [(move.version, move.to_stage) for move in approved.transition.moves] == [(ONE, "production")]


def test_the_manifest_corpus_is_real_json() -> None:
    assert json.loads(manifest_of({"../x": b""}))["layers"][0]["annotations"] == {"org.cncf.model.filepath": "../x"}

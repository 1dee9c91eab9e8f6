"""The catalog through a channel: what each RPC promises, on the real database."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from greenroom.catalog.v1 import catalog_service_pb2 as pb
from greenroom.catalog.v1.facts_pb2 import CodeReference, Dataset, Environment, Facts, Hardware, Metric, Port, Producer
from greenroom.catalog.v1.model_pb2 import Model
from greenroom.catalog.v1.namespace_pb2 import Namespace
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.catalog.v1.watch_pb2 import WatchChangesRequest
from greenroom.lifecycle.v1 import lifecycle_service_pb2 as life
from greenroom.type.v1.value_pb2 import Value, ValueList
from support.artifacts import commit
from support.server import RunningServer, Stubs, refused

DEMO = "namespaces/demo"
DIGITS = f"{DEMO}/models/digits"


@pytest.fixture
async def admin(server: RunningServer) -> Stubs:
    """An admin's stubs in an installation with the model demo/digits."""
    stubs = server.as_("admin")
    await stubs.catalog.CreateNamespace(pb.CreateNamespaceRequest(namespace=Namespace(name=DEMO)))
    await stubs.catalog.CreateModel(pb.CreateModelRequest(model=Model(name=DIGITS)))
    return stubs


async def register(stubs: Stubs, content: bytes, **fields: object) -> Version:
    digest = await commit(stubs, DEMO, {"weights.bin": content})
    version = Version(artifact_digest=digest, **fields)  # type: ignore[arg-type]
    answer = await stubs.catalog.CreateVersion(pb.CreateVersionRequest(parent=DIGITS, version=version))
    return answer.version  # type: ignore[no-any-return]


EVERYTHING = Facts(
    framework="scikit-learn",
    framework_version="1.9.1",
    model_type="svc",
    task="image-classification",
    metrics=[
        Metric(name="accuracy", value=0.1 + 0.2, dataset="holdout", slice="age=old", step=3, unit="%", direction=1),  # type: ignore[arg-type]
        Metric(name="accuracy", value=-0.0, dataset="train"),
    ],
    params={
        "layers": Value(int_value=2**62),
        "rate": Value(double_value=1e-300),
        "whole": Value(double_value=3.0),
        "bias": Value(bool_value=False),
        "name": Value(string_value="ä \u200b 漢"),
        "sizes": Value(list_value=ValueList(values=[Value(int_value=1), Value(double_value=2.5)])),
    },
    datasets=[Dataset(name="digits", digest="sha256:" + "ab" * 32, location="s3://x", role=1)],  # type: ignore[arg-type]
    code=CodeReference(repository="git@x", commit="deadbeef", ref="main", dirty=False, entry_point="train.py"),
    environment=Environment(
        python_version="3.11.7",
        libraries={"numpy": "2.3"},
        hardware=Hardware(cpu_count=2, gpu="H200", gpu_count=8),
        seeds={"numpy": 7},
    ),
    producer=Producer(system="airflow", run_id="r-1", link="https://ci"),
    inputs=[Port(name="x", data_type="float32", shape=[-1, 64])],
    outputs=[Port(name="y", data_type="int64", shape=[-1])],
)


async def test_a_version_comes_back_as_it_was_registered(admin: Stubs) -> None:
    tags = {"team": Value(string_value="risk"), "review": Value(bool_value=True)}
    created = await register(admin, b"w1", facts=EVERYTHING, tags=tags, description="first", semver="1.0.0-rc.1")
    got = (await admin.catalog.GetVersion(pb.GetVersionRequest(name=created.name))).version
    assert got == created
    assert got.facts == EVERYTHING
    assert dict(got.tags) == tags
    assert (got.number, got.semver, got.state) == (1, "1.0.0-rc.1", Version.STATE_READY)
    assert (got.creator.id, UUID(got.uid).version) == ("admin", 4)
    assert got.artifact_size_bytes == 2


async def test_a_hundred_concurrent_registrations_get_consecutive_numbers(admin: Stubs) -> None:
    digests = [await commit(admin, DEMO, {"w": bytes([n])}) for n in range(100)]
    answers = await asyncio.gather(
        *(
            admin.catalog.CreateVersion(pb.CreateVersionRequest(parent=DIGITS, version=Version(artifact_digest=digest)))
            for digest in digests
        )
    )
    assert sorted(answer.version.number for answer in answers) == list(range(1, 101))
    by_revision = sorted(answers, key=lambda answer: answer.revision)
    assert [answer.version.number for answer in by_revision] == list(range(1, 101))


async def test_a_refused_registration_uses_up_no_number(admin: Stubs) -> None:
    first = await register(admin, b"a", semver="1.0.0")
    taken = await refused(register(admin, b"b", semver="1.0.0"))
    assert (taken.code, taken.reason) == (grpc.StatusCode.ALREADY_EXISTS, "SEMVER_TAKEN")
    assert taken.metadata["version"] == first.name
    assert (await register(admin, b"c")).number == 2


async def test_the_same_bytes_are_refused_unless_allowed(admin: Stubs) -> None:
    first = await register(admin, b"same")
    request = pb.CreateVersionRequest(parent=DIGITS, version=Version(artifact_digest=first.artifact_digest))
    answer = await refused(admin.catalog.CreateVersion(request))
    assert (answer.code, answer.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ARTIFACT_REGISTERED")
    assert answer.metadata == {"artifact_digest": first.artifact_digest, "version": first.name}
    request.allow_duplicate_artifact = True
    assert (await admin.catalog.CreateVersion(request)).version.number == 2


async def test_a_missing_artifact_registers_nothing(admin: Stubs) -> None:
    request = pb.CreateVersionRequest(parent=DIGITS, version=Version(artifact_digest="sha256:" + "0" * 64))
    answer = await refused(admin.catalog.CreateVersion(request))
    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ARTIFACT_MISSING")
    listed = await admin.catalog.ListVersions(pb.ListVersionsRequest(parent=DIGITS))
    assert list(listed.versions) == []


async def test_a_deleted_number_is_never_given_again_and_leaves_a_tombstone(admin: Stubs) -> None:
    await register(admin, b"1")
    second = await register(admin, b"2")
    deleted = await admin.catalog.DeleteVersion(pb.DeleteVersionRequest(name=second.name, etag=second.etag))
    assert deleted.version.state == Version.STATE_DELETED
    assert (await register(admin, b"3")).number == 3
    request = pb.ListVersionsRequest(parent=DIGITS)
    assert [v.number for v in (await admin.catalog.ListVersions(request)).versions] == [3, 1]
    request.show_deleted = True
    tombstones = (await admin.catalog.ListVersions(request)).versions
    assert [(v.number, v.deleter.id) for v in tombstones] == [(3, ""), (2, "admin"), (1, "")]
    answer = await refused(admin.catalog.LookupVersion(pb.LookupVersionRequest(parent=DIGITS, number=2)))
    assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "VERSION_DELETED")
    again = await admin.catalog.DeleteVersion(pb.DeleteVersionRequest(name=second.name))
    assert again.version == deleted.version


async def test_a_version_in_production_or_behind_an_alias_cannot_be_deleted(admin: Stubs) -> None:
    version = await register(admin, b"1")
    for stage in ("staging", "production"):
        await admin.lifecycle.RequestTransition(
            life.RequestTransitionRequest(parent=DEMO, versions=[version.name], target_stage=stage)
        )
    answer = await refused(admin.catalog.DeleteVersion(pb.DeleteVersionRequest(name=version.name)))
    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "VERSION_IN_USE")
    assert answer.metadata["stage"] == "production"
    other = await register(admin, b"2")
    alias = life.SetAliasRequest(name=f"{DIGITS}/aliases/champion", version=other.name)
    await admin.lifecycle.SetAlias(alias)
    answer = await refused(admin.catalog.DeleteVersion(pb.DeleteVersionRequest(name=other.name)))
    assert answer.metadata["aliases"] == "champion"
    still = (await admin.catalog.GetVersion(pb.GetVersionRequest(name=other.name))).version
    assert still.state == Version.STATE_READY


async def test_an_update_changes_what_the_mask_names_and_a_stale_etag_changes_nothing(admin: Stubs) -> None:
    version = await register(admin, b"1", description="old", tags={"a": Value(int_value=1)})
    change = Version(name=version.name, description="new", etag=version.etag)
    request = pb.UpdateVersionRequest(version=change, update_mask=FieldMask(paths=["description", "tags"]))
    changed = (await admin.catalog.UpdateVersion(request)).version
    assert (changed.description, dict(changed.tags)) == ("new", {})
    assert changed.etag != version.etag
    answer = await refused(admin.catalog.UpdateVersion(request))
    assert (answer.code, answer.reason) == (grpc.StatusCode.ABORTED, "ETAG_STALE")
    assert answer.metadata["current_etag"] == changed.etag
    request.update_mask.paths[:] = ["facts", "number"]
    answer = await refused(admin.catalog.UpdateVersion(request))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert "update_mask" in answer.fields


async def test_a_repeated_request_gives_the_first_answer_again(admin: Stubs) -> None:
    digest = await commit(admin, DEMO, {"w": b"1"})
    request = pb.CreateVersionRequest(parent=DIGITS, version=Version(artifact_digest=digest), request_id=str(uuid4()))
    first = await admin.catalog.CreateVersion(request)
    again = await admin.catalog.CreateVersion(request)
    assert again == first
    assert (await admin.catalog.ListVersions(pb.ListVersionsRequest(parent=DIGITS))).versions[0].number == 1
    request.version.description = "another"
    answer = await refused(admin.catalog.CreateVersion(request))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


async def test_twenty_racing_repeats_have_one_effect(admin: Stubs) -> None:
    digest = await commit(admin, DEMO, {"w": b"1"})
    request = pb.CreateVersionRequest(
        parent=DIGITS, version=Version(artifact_digest=digest), allow_duplicate_artifact=True, request_id=str(uuid4())
    )
    answers = await asyncio.gather(*(admin.catalog.CreateVersion(request) for _ in range(20)))
    assert {answer.SerializeToString(deterministic=True) for answer in answers} == {
        answers[0].SerializeToString(deterministic=True)
    }


async def test_lookup_by_everything_that_names_a_version(admin: Stubs) -> None:
    one = await register(admin, b"1", semver="1.2.0")
    two = await register(admin, b"2", semver="1.10.0")
    three = await register(admin, b"3", semver="2.0.0-rc.1")
    for known, expected in (
        ({"latest": True}, three),
        ({"number": 1}, one),
        ({"semver_range": "^1.2"}, two),
        ({"semver_range": ">=2.0.0-rc.1"}, three),
        ({"artifact_digest": one.artifact_digest}, one),
    ):
        found = await admin.catalog.LookupVersion(pb.LookupVersionRequest(parent=DIGITS, **known))
        assert found.version.name == expected.name, known
    nothing = await refused(admin.catalog.LookupVersion(pb.LookupVersionRequest(parent=DIGITS, semver_range="^3")))
    assert nothing.reason == "VERSION_NOT_FOUND"
    malformed = await refused(admin.catalog.LookupVersion(pb.LookupVersionRequest(parent=DIGITS, semver_range="^x")))
    assert list(malformed.fields) == ["semver_range"]


async def test_full_views_join_what_the_siblings_know(admin: Stubs) -> None:
    version = await register(admin, b"1", facts=EVERYTHING)
    await admin.lifecycle.RequestTransition(
        life.RequestTransitionRequest(parent=DEMO, versions=[version.name], target_stage="staging")
    )
    full = await admin.catalog.GetVersion(pb.GetVersionRequest(name=version.name, view=pb.VIEW_FULL))
    assert [file.path for file in full.artifact.files] == ["weights.bin"]
    assert full.state.stage == "staging"
    model = await admin.catalog.GetModel(pb.GetModelRequest(name=DIGITS, view=pb.VIEW_FULL))
    assert model.latest_version.name == version.name
    assert {stage.stage: list(stage.versions) for stage in model.state.stages}["staging"] == [version.name]
    listed = await admin.catalog.ListVersions(pb.ListVersionsRequest(parent=DIGITS, view=pb.VIEW_FULL))
    assert [state.stage for state in listed.states] == ["staging"]


async def test_pages_lose_and_repeat_nothing_while_versions_are_added(admin: Stubs) -> None:
    digest = await commit(admin, DEMO, {"w": b"1"})
    request = pb.CreateVersionRequest(
        parent=DIGITS, version=Version(artifact_digest=digest), allow_duplicate_artifact=True
    )
    for _ in range(12):
        await admin.catalog.CreateVersion(request)
    seen: list[int] = []
    page = pb.ListVersionsRequest(parent=DIGITS, page_size=5)
    while True:
        answer = await admin.catalog.ListVersions(page)
        seen += [version.number for version in answer.versions]
        await admin.catalog.CreateVersion(request)
        if not answer.next_page_token:
            break
        page.page_token = answer.next_page_token
    assert seen == list(range(12, 0, -1))
    page.page_token = "garbage"
    answer = await refused(admin.catalog.ListVersions(page))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


async def test_models_and_namespaces(admin: Stubs) -> None:
    catalog = admin.catalog
    exists = await refused(catalog.CreateModel(pb.CreateModelRequest(model=Model(name=DIGITS))))
    assert (exists.code, exists.reason) == (grpc.StatusCode.ALREADY_EXISTS, "MODEL_EXISTS")
    nowhere = await refused(catalog.CreateModel(pb.CreateModelRequest(model=Model(name="namespaces/nope/models/m"))))
    assert (nowhere.code, nowhere.reason) == (grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND")
    await catalog.CreateNamespace(pb.CreateNamespaceRequest(namespace=Namespace(name="namespaces/other")))
    await catalog.CreateModel(pb.CreateModelRequest(model=Model(name="namespaces/other/models/m", owner="team")))
    listed = await catalog.ListModels(pb.ListModelsRequest(parent="namespaces/-"))
    assert [model.name for model in listed.models] == [DIGITS, "namespaces/other/models/m"]
    update = pb.UpdateModelRequest(model=Model(name="namespaces/other/models/m", description="new"))
    assert (await catalog.UpdateModel(update)).model.owner == "team"


async def test_every_write_is_one_change_with_before_and_after(admin: Stubs) -> None:
    version = await register(admin, b"1", description="old")
    update = Version(name=version.name, description="new")
    await admin.catalog.UpdateVersion(pb.UpdateVersionRequest(version=update))
    await admin.catalog.DeleteVersion(pb.DeleteVersionRequest(name=version.name))
    stream = admin.catalog.WatchChanges(WatchChangesRequest(after_revision=0))
    changes = []
    async for response in stream:
        changes += response.changes
        if response.through_revision == 5:
            break
    stream.cancel()
    assert [change.metadata.type for change in changes] == [
        "namespace.created",
        "model.created",
        "version.created",
        "version.updated",
        "version.deleted",
    ]
    assert not changes[2].HasField("before")
    assert (changes[3].before.version.description, changes[3].after.version.description) == ("old", "new")
    assert changes[4].before.version == changes[3].after.version
    assert {change.metadata.actor.id for change in changes} == {"admin"}

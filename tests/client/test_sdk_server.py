"""The Python SDK against the real services: the main job, asynchronous and blocking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import greenroom
from greenroom import AsyncClient, Client, errors
from greenroom.catalog.v1.catalog_service_pb2 import GetModelResponse, GetVersionResponse
from greenroom.lifecycle.v1.check_pb2 import Check
from greenroom.lifecycle.v1.transition_pb2 import Transition, UnmetGate
from support.server import RunningServer


@pytest.fixture
async def admin(server: RunningServer) -> AsyncIterator[AsyncClient]:
    async with greenroom.connect_async(server.address, server.token("admin")) as client:
        yield client


@pytest.fixture
async def reviewer(server: RunningServer) -> AsyncIterator[AsyncClient]:
    async with greenroom.connect_async(server.address, server.token("reviewer")) as client:
        yield client


def model_folder(folder: Path, content: bytes) -> Path:
    """Make a folder with a model in it."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(content)
    (folder / "config.json").write_text("{}")
    return folder


async def test_the_main_job(admin: AsyncClient, reviewer: AsyncClient, tmp_path: Path) -> None:
    plain, better = model_folder(tmp_path / "plain", b"plain" * 1000), model_folder(tmp_path / "better", b"better")
    first = await admin.push("demo/digits", plain, metrics={"accuracy": 0.95}, environment=None, code=None)
    second = await admin.push("demo/digits", better, metrics={"accuracy": 0.97}, environment=None, code=None)
    assert [first.number, second.number] == [1, 2]

    async with admin.watch(["lifecycle"], names=["demo/digits"], types=["transition.completed"]) as changes:
        await changes.start()
        await admin.promote(first, "staging")
        moved = await admin.promote(first, "production", reason="first release")
        assert moved.state == Transition.STATE_COMPLETED
        await admin.set_policy("demo", "production", required_checks=["holdout"], approvals=1)
        await admin.promote(second, "staging")

        pending = await admin.promote(second, "production", reason="better")
        assert pending.state == Transition.STATE_PENDING
        kinds = {gate.kind: gate.subject for gate in pending.unmet_gates}
        assert kinds == {UnmetGate.KIND_CHECK: "holdout", UnmetGate.KIND_APPROVAL: ""}
        with pytest.raises(errors.TransitionOpen):
            await admin.promote(second, "production")
        with pytest.raises(errors.SelfApproval):
            await admin.approve(pending)
        check = await admin.report_check(second, "holdout", "passed", summary="0.97")
        assert check.state == Check.STATE_PASSED
        approved = await reviewer.approve("demo/digits/2", comment="looked at the errors")
        assert approved.name == pending.name
        assert approved.state == Transition.STATE_COMPLETED
        assert [(move.version, move.to_stage, move.displaced) for move in approved.moves] == [
            (first.name, "archived", True),
            (second.name, "production", False),
        ]
        seen = [await anext(changes) for _ in range(4)]
    assert [change.revision for change in seen] == sorted(change.revision for change in seen)
    assert [change.actor for change in seen] == ["admin", "admin", "admin", "reviewer"]

    pulled = await admin.pull("demo/digits@production", tmp_path / "serving")
    assert (pulled.version, pulled.digest, pulled.stage) == (second.name, second.artifact_digest, "production")
    assert (tmp_path / "serving" / "model.safetensors").read_bytes() == b"better"

    back = await admin.rollback("demo/digits", reason="to see it", expected_current=second)
    assert back.kind == Transition.KIND_ROLLBACK
    pulled = await admin.pull("demo/digits@production", tmp_path / "serving")
    assert pulled.version == first.name
    assert (tmp_path / "serving" / "model.safetensors").read_bytes() == b"plain" * 1000
    assert [entry.to_stage for entry in await admin.history(first)] == [
        "development", "staging", "production", "archived", "production",
    ]  # fmt: skip


async def test_a_client_reads_what_it_wrote(admin: AsyncClient, tmp_path: Path) -> None:
    version = await admin.push("demo/digits", model_folder(tmp_path / "m", b"1"), metrics={"accuracy": 0.95})
    await admin.set_alias(version, "champion")
    assert set(admin.revisions) == {"catalog", "lifecycle", "artifact"}
    assert (await admin.get_version(version, min_revision=admin.revisions["catalog"])).uid == version.uid
    resolution = await admin.resolve("demo/digits@champion", min_revision=admin.revisions["lifecycle"])
    assert resolution.version == version.name
    found = [hit async for hit in admin.search("digits", min_revisions=admin.revisions)]
    assert [(hit.version.name, list(hit.aliases)) for hit in found] == [(version.name, ["champion"])]
    with pytest.raises(errors.RevisionAhead):
        await admin.get_version(version, min_revision=admin.revisions["catalog"] + 1000)


async def test_facts_come_back_as_they_were_given(admin: AsyncClient, tmp_path: Path) -> None:
    digest = "sha256:" + "a" * 64
    parent = await admin.push("demo/digits", model_folder(tmp_path / "parent", b"0"))
    version = await admin.push(
        "demo/digits",
        model_folder(tmp_path / "m", b"1"),
        metrics={"accuracy@holdout": 0.95, "loss": 0.1},
        params={"depth": 5, "rate": 0.1, "shuffle": True, "kernel": "rbf"},
        datasets=[greenroom.Dataset(name="digits", digest=digest)],
        code=greenroom.CodeReference(commit="0123abc", dirty=True),
        environment=greenroom.Environment(python_version="3.11.7"),
        parents=[parent],
        framework="scikit-learn",
        tags={"team": "risk"},
        semver="1.2.0",
        description="reads digits",
    )
    shown = await admin.show("demo/digits/2")
    assert isinstance(shown, GetVersionResponse)
    facts = shown.version.facts
    assert facts == version.facts
    assert {(one.name, one.dataset): one.value for one in facts.metrics} == {
        ("accuracy", "holdout"): 0.95,
        ("loss", ""): 0.1,
    }
    kinds = {name: value.WhichOneof("kind") for name, value in facts.params.items()}
    assert len(set(kinds.values())) == 4, kinds
    assert [one.digest for one in facts.datasets] == [digest]
    assert facts.code.dirty
    assert facts.environment.python_version == "3.11.7"
    assert list(facts.parents) == [parent.name]
    assert (shown.version.semver, shown.version.description) == ("1.2.0", "reads digits")


async def test_errors_are_classes_with_what_a_program_needs(admin: AsyncClient, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", b"1")
    version = await admin.push("demo/digits", folder)
    with pytest.raises(errors.ArtifactRegistered) as registered:
        await admin.push("demo/digits", folder)
    assert registered.value.metadata["version"] == version.name
    with pytest.raises(errors.StageEdgeMissing) as skipped:
        await admin.promote(version, "production")
    assert skipped.value.metadata["from_stage"] == "development"
    assert skipped.value.metadata["to_stage"] == "production"
    with pytest.raises(errors.StageUnknown):
        await admin.promote(version, "nonsense")
    with pytest.raises(errors.VersionNotFound):
        await admin.promote("demo/digits/9", "staging")
    with pytest.raises(errors.ModelNotFound):
        await admin.pull("demo/nothing@latest", tmp_path / "out")
    with pytest.raises(errors.SelectorMalformed) as malformed:
        await admin.resolve("demo/digits@")
    assert malformed.value.metadata["position"] == "12"
    with pytest.raises(errors.EtagStale):
        await admin.update_version(version, description="late", etag="stale")
    with pytest.raises(errors.NothingToRollBackTo):
        await admin.rollback("demo/digits", reason="nothing was there")
    await admin.promote(version, "staging")
    with pytest.raises(errors.ExpectedVersionMismatch) as mismatch:
        await admin.promote(version, "production", expected_current=version)
    assert mismatch.value.metadata["current_version"] == ""
    assert not (tmp_path / "out").exists()


def use_blocking(admin: Client, reviewer: Client, folder: Path) -> None:
    """Do the main job with the blocking client."""
    first = admin.push("demo/digits", model_folder(folder / "one", b"one"), environment=None, code=None)
    second = admin.push("demo/digits", model_folder(folder / "two", b"two"), environment=None, code=None)
    with admin.watch(["lifecycle"]) as changes:
        changes.start()
        for stage in ("staging", "production"):
            admin.promote(first, stage)
        admin.set_policy("demo", "production", approvals=1)
        admin.promote(second, "staging")
        pending = admin.promote(second, "production")
        reviewer.approve(pending)
        types = [next(changes).type for _ in range(6)]
    assert types == [
        "transition.completed", "transition.completed", "policy.updated", "transition.completed",
        "transition.requested", "transition.completed",
    ]  # fmt: skip
    assert admin.resolve("demo/digits@production").version == second.name
    assert admin.pull("demo/digits@production", folder / "out").version == second.name
    admin.rollback("demo/digits", reason="back")
    assert admin.resolve("demo/digits@production").version == first.name
    assert [one.version.number for one in admin.list_versions_with_state("demo/digits")] == [2, 1]
    assert [one.state.stage for one in admin.list_versions_with_state("demo/digits")] == ["archived", "production"]
    shown = admin.show("demo/digits")
    assert isinstance(shown, GetModelResponse)
    assert shown.latest_version.name == second.name
    assert [entry.to_stage for entry in admin.history(second)][-1] == "archived"
    assert {hit.version.number for hit in admin.search(filter='model = "digits"', min_revisions=admin.revisions)} == {
        1,
        2,
    }
    states = [one.state for one in admin.list_transitions("demo", model="demo/digits", state="completed")]
    assert len(states) == 5
    with pytest.raises(errors.PermissionMissing) as denied:
        reviewer.set_policy("demo", "production", approvals=0)
    assert denied.value.metadata["permission"] == "lifecycle.policies.update"


async def test_the_main_job_with_the_blocking_client(server: RunningServer, tmp_path: Path) -> None:
    def use() -> None:
        with (
            greenroom.connect(server.address, server.token("admin")) as admin,
            greenroom.connect(server.address, server.token("reviewer")) as reviewer,
        ):
            use_blocking(admin, reviewer, tmp_path)

    await asyncio.to_thread(use)

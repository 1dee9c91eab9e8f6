"""What the registry promises, as a user sees it from the command line and the SDK, against the real services."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import greenroom
from greenroom import AsyncClient, errors
from greenroom.catalog.v1.catalog_service_pb2 import GetModelResponse, GetVersionResponse
from greenroom.type.v1.actor_pb2 import Actor
from greenroomd.platform.identity import create_principal
from support.command_line import CommandLine, ended
from support.server import RunningServer

SIZE = 200 << 20
"""Bytes that take long enough to upload for a process to be killed meanwhile."""

DIGEST = "sha256:" + "d" * 64


@pytest.fixture
async def admin(server: RunningServer) -> AsyncIterator[AsyncClient]:
    async with greenroom.connect_async(server.address, server.token("admin")) as client:
        yield client


@pytest.fixture
async def cli(server: RunningServer) -> CommandLine:
    return CommandLine.of(server)


def make_model(folder: Path, content: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "model.bin").write_text(content)


async def push(client: AsyncClient, folder: Path, content: str, **facts: object) -> greenroom.Version:
    """Register a version of demo/digits with nothing but what is given."""
    make_model(folder, content)
    options: dict[str, object] = {"code": None, "environment": None, **facts}
    return await client.push("demo/digits", folder, **options)  # type: ignore[arg-type]


async def test_the_command_line_alone_takes_a_version_from_development_to_retirement(
    cli: CommandLine, tmp_path: Path
) -> None:
    """0.1: the history has four rows in order, each with its time, its actor and its reason."""
    (tmp_path / "model.bin").write_bytes(b"weights")
    await cli.ok("push", "demo/digits", tmp_path / "model.bin")
    reasons = {"staging": "first candidate", "production": "first release", "archived": "no longer used"}
    for stage, reason in reasons.items():
        await cli.ok("promote", "demo/digits/1", stage, "--reason", reason)
    rows = (await cli.ok("history", "demo/digits/1")).rows
    assert [row[1:] for row in rows] == [
        ["-", "development", "admin (user)", "-"],
        ["development", "staging", "admin (user)", "first candidate"],
        ["staging", "production", "admin (user)", "first release"],
        ["production", "archived", "admin (user)", "no longer used"],
    ]
    times = [row[0] for row in rows]
    assert times == sorted(times)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", time) for time in times)


async def test_one_call_returns_artifact_metadata_metrics_lineage_and_deployments(
    admin: AsyncClient, tmp_path: Path
) -> None:
    """0.2: all five sections; and one search joins a metric, a dataset and a deployment status."""
    dataset = greenroom.Dataset(name="digits", digest=DIGEST)
    for number, (accuracy, datasets, state) in enumerate(
        [(0.97, [dataset], "running"), (0.95, [dataset], "running"), (0.99, [], "running"), (0.98, [dataset], "failed")]
    ):
        version = await push(
            admin,
            tmp_path / str(number),
            str(number),
            metrics={"accuracy": accuracy},
            datasets=datasets,
            description="reads digits",
            tags={"team": "risk"},
        )
        await admin.report_deployment(version, f"eu-{number}", state, environment="eu-prod")  # type: ignore[arg-type]

    full = await admin.show("demo/digits/1")
    assert isinstance(full, GetVersionResponse)
    assert [file.path for file in full.artifact.files] == ["model.bin"]
    assert (full.version.description, full.version.tags["team"].string_value) == ("reads digits", "risk")
    assert [metric.value for metric in full.version.facts.metrics] == [0.97]
    assert [one.digest for one in full.version.facts.datasets] == [DIGEST]
    assert [(one.environment, one.version) for one in full.state.deployments] == [("eu-prod", full.version.name)]

    where = f'metric.accuracy > 0.96 AND dataset = "{DIGEST}" AND deployment.state@eu-prod = "running"'
    found = [hit.version.number async for hit in admin.search(filter=where, min_revisions=admin.revisions)]
    assert found == [1]


async def test_a_pushed_folder_has_a_manifest_with_role_type_size_and_digest_of_each_file(
    admin: AsyncClient, tmp_path: Path
) -> None:
    """0.11."""
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    files = {
        "weights.safetensors": ("ROLE_WEIGHT", b"weights" * 100),
        "config.json": ("ROLE_CONFIG", b"{}"),
        "preprocess.py": ("ROLE_CODE", b"print()"),
        "data/sample.csv": ("ROLE_DATASET", b"1,2"),
    }
    for path, (_, content) in files.items():
        (folder / path).write_bytes(content)
    version = await admin.push("demo/digits", folder, roles={"data/*": "dataset"}, environment=None)
    artifact = await admin.get_artifact(version)
    listed = {
        file.path: (file.Role.Name(file.role), file.blob.size_bytes, file.blob.digest, bool(file.media_type))
        for file in artifact.files
    }
    assert listed == {
        path: (role, len(content), "sha256:" + hashlib.sha256(content).hexdigest(), True)
        for path, (role, content) in files.items()
    }
    assert artifact.digest == "sha256:" + hashlib.sha256(artifact.manifest).hexdigest() == version.artifact_digest


async def test_a_person_and_a_pipeline_make_the_same_event_with_another_actor(
    server: RunningServer, admin: AsyncClient, tmp_path: Path
) -> None:
    """0.12."""
    pipeline = create_principal(
        server.identities.folder / "principals.json", "pipeline", kind="service", roles=["deployer"]
    )
    first, second = await push(admin, tmp_path / "a", "a"), await push(admin, tmp_path / "b", "b")
    await asyncio.sleep(1.1)  # the principals file is looked at once a second
    async with (
        greenroom.connect_async(server.address, pipeline) as ci,
        admin.watch(["lifecycle"], types=["transition.*"]) as changes,
    ):
        await changes.start()
        await admin.promote(first, "staging")
        await ci.promote(second, "staging")
        by_person, by_pipeline = [await anext(changes) for _ in range(2)]
    assert by_person.type == by_pipeline.type == "transition.completed"
    assert [(one.metadata.actor.id, one.metadata.actor.kind) for one in (by_person, by_pipeline)] == [
        ("admin", Actor.KIND_USER),
        ("pipeline", Actor.KIND_SERVICE),
    ]


async def test_lineage_says_what_is_missing(admin: AsyncClient, cli: CommandLine, tmp_path: Path) -> None:
    """0.13: an absent part is MISSING, never blank; a known one is itself."""
    await push(admin, tmp_path / "bare", "bare")
    await push(
        admin,
        tmp_path / "known",
        "known",
        datasets=[greenroom.Dataset(name="digits", digest=DIGEST), greenroom.Dataset(name="extra")],
        code=greenroom.CodeReference(commit="0123abc", dirty=True, repository="https://example.org/repo"),
        params={"depth": 5},
        environment=greenroom.Environment(python_version="3.11.7", lockfile_digest=DIGEST, libraries={"numpy": "2.0"}),
    )
    bare = (await cli.ok("lineage", "demo/digits/1")).rows
    assert {row[0] for row in bare} >= {"dataset", "code", "param", "environment"}
    assert {row[2] for row in bare} == {"MISSING"}
    known = {(row[0], row[1]): row[2] for row in (await cli.ok("lineage", "demo/digits/2")).rows}
    assert known["dataset", "digits"] == DIGEST
    assert known["dataset", "extra"] == "MISSING"
    assert known["code", "commit"] == "0123abc"
    assert known["code", "uncommitted changes"] == "yes"
    assert known["param", "depth"] == "5"
    assert known["environment", "python"] == "3.11.7"
    assert known["environment", "operating system"] == "MISSING"
    assert all(known.values())
    document = await cli.json("lineage", "demo/digits/1")
    assert {part["value"] for part in document["lineage"]} == {"MISSING"}


async def test_metrics_params_and_registration_are_one_call_that_happens_whole_or_not(
    server: RunningServer, cli: CommandLine, tmp_path: Path
) -> None:
    """1.10: killed midway, no half version is visible; the next attempt is version 1 with everything."""
    (tmp_path / "weights.bin").write_bytes(bytes(SIZE))
    arguments = ("push", "demo/digits", tmp_path / "weights.bin", "--metric", "accuracy=0.97", "--param", "depth=5")
    uploads = server.identities.folder / "blobs" / "uploads"
    process = await cli.start(*arguments, "--json")
    while not any(path.stat().st_size > 8 << 20 for path in uploads.glob("*")):
        assert process.returncode is None, (await ended(process)).err
        await asyncio.sleep(0.002)
    process.kill()
    assert (await ended(process)).code == -signal.SIGKILL
    assert await cli.json("list", "demo/digits") == {}
    assert await cli.json("search") == {}
    version = await cli.json(*arguments)
    assert version["number"] == "1"
    assert [metric["value"] for metric in version["facts"]["metrics"]] == [0.97]
    assert version["facts"]["params"] == {"depth": {"intValue": "5"}}


async def test_every_kind_of_selector_names_a_version_and_can_be_pinned(admin: AsyncClient, tmp_path: Path) -> None:
    """1.12: the answer has the digest and the revision; `latest` is the newest version that is not deleted."""
    first = await push(admin, tmp_path / "1", "1", semver="1.0.0")
    second = await push(admin, tmp_path / "2", "2", semver="1.2.0")
    third = await push(admin, tmp_path / "3", "3", semver="2.0.0-rc.1")
    newest = await push(admin, tmp_path / "4", "4")
    await admin.set_alias(first, "champion")
    await admin.promote(second, "staging")
    await admin.delete_version(newest)
    expected = {
        "@latest": third,
        "/2": second,
        "@^1.0": second,
        "@1.0.0": first,
        "@champion": first,
        "@staging": second,
        f"@{third.artifact_digest}": third,
    }
    for selector, version in expected.items():
        found = await admin.resolve(f"demo/digits{selector}")
        assert (found.version, found.artifact_digest) == (version.name, version.artifact_digest), selector
        assert found.revision > 0

    before = await admin.resolve("demo/digits@champion")
    await admin.set_alias(second, "champion")
    moved = await admin.resolve("demo/digits@champion", min_revision=before.revision + 1)
    assert (moved.version, moved.revision) == (second.name, before.revision + 1)
    pinned = await admin.resolve(f"demo/digits@{before.artifact_digest}")
    assert (pinned.version, pinned.artifact_digest) == (first.name, before.artifact_digest)
    pulled = await admin.pull(f"demo/digits@{before.artifact_digest}", tmp_path / "out")
    assert (tmp_path / "out" / "model.bin").read_text() == "1"
    assert pulled.digest == before.artifact_digest
    with pytest.raises(errors.VersionNotFound, match=r"no semantic version in 3, and the version with that number is"):
        await admin.resolve("demo/digits@3")
    with pytest.raises(errors.RevisionAhead):
        await admin.resolve("demo/digits@champion", min_revision=moved.revision + 100)


async def test_one_call_shows_a_model_with_the_version_in_each_stage(
    admin: AsyncClient, cli: CommandLine, tmp_path: Path
) -> None:
    """1.19, and 1.20: the list of versions says where each stands."""
    first, second = await push(admin, tmp_path / "1", "1"), await push(admin, tmp_path / "2", "2")
    third = await push(admin, tmp_path / "3", "3", metrics={"accuracy@holdout": 0.97})
    for stage in ("staging", "production"):
        await admin.promote(first, stage)
    await admin.promote(second, "staging")
    await admin.update_model("demo/digits", description="reads digits")

    shown = await admin.show("demo/digits")
    assert isinstance(shown, GetModelResponse)
    assert (shown.model.description, shown.latest_version.name) == ("reads digits", third.name)
    assert {holders.stage: list(holders.versions) for holders in shown.state.stages} == {
        "development": [],
        "staging": [second.name],
        "production": [first.name],
        "archived": [],
    }
    fields = dict((await cli.ok("show", "demo/digits")).rows)
    assert fields["stage production"] == "demo/digits/1"
    assert fields["stage staging"] == "demo/digits/2"
    assert fields["stage development"] == "every version that was never moved"
    assert fields["latest"] == "demo/digits/3"
    assert [row[:4] for row in (await cli.ok("list", "demo/digits")).rows] == [
        ["demo/digits/3", "development", "-", "accuracy@holdout=0.97"],
        ["demo/digits/2", "staging", "-", "-"],
        ["demo/digits/1", "production", "-", "-"],
    ]


async def test_a_uid_is_never_given_again(admin: AsyncClient, tmp_path: Path) -> None:
    """2.16, as far as this release goes: models cannot be renamed or deleted, so a name stays with its uid."""
    with pytest.raises(errors.ModelNotFound):
        await admin.get_model("demo/digits")
    uids = []
    for _ in range(3):
        version = await push(admin, tmp_path / "1", "the same bytes")
        uids.append(version.uid)
        await admin.delete_version(version)
    other = await admin.create_model("demo/letters")
    model = await admin.get_model("demo/digits")
    uids += [model.uid, other.uid]
    assert len(set(uids)) == len(uids)
    assert [(await admin.get_version(f"demo/digits/{number}")).uid for number in (1, 2, 3)] == uids[:3]
    with pytest.raises(errors.ModelExists):
        await admin.create_model("demo/digits")
    with pytest.raises(errors.VersionDeleted) as deleted:
        await admin.resolve("demo/digits/1")
    assert deleted.value.metadata["deleted_by"] == "admin"


async def test_a_skipped_stage_is_refused_and_the_edge_is_named(cli: CommandLine, tmp_path: Path) -> None:
    """0.10; gates and what completes them are in test_cli_server."""
    (tmp_path / "model.bin").write_bytes(b"weights")
    await cli.ok("push", "demo/digits", tmp_path / "model.bin")
    done = await cli.run("promote", "demo/digits/1", "production")
    assert done.code == 4
    assert "there is no edge development -> production; it can move to staging, archived" in done.err
    error = json.loads((await cli.run("promote", "demo/digits/1", "production", "--json")).err)["error"]
    assert (error["code"], error["metadata"]["reachable"]) == ("FAILED_PRECONDITION", "staging,archived")

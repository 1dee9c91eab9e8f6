"""The command line against the real services, in processes of its own: the forms that scripts rely on."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from greenroom.catalog.v1.catalog_service_pb2 import (
    GetModelResponse,
    GetVersionResponse,
    ListModelsResponse,
    ListVersionsResponse,
)
from greenroom.catalog.v1.version_pb2 import Version
from greenroom.lifecycle.v1.alias_pb2 import Alias
from greenroom.lifecycle.v1.lifecycle_service_pb2 import ListStageHistoryResponse, ListTransitionsResponse
from greenroom.lifecycle.v1.resolution_pb2 import Resolution
from greenroom.lifecycle.v1.stage_graph_pb2 import StageGraph
from greenroom.lifecycle.v1.transition_pb2 import Transition
from greenroom.lifecycle.v1.watch_pb2 import LifecycleChange
from greenroom.search.v1.search_service_pb2 import SearchVersionsResponse
from support.command_line import CommandLine, ended
from support.server import RunningServer

VERSION_2 = "namespaces/demo/models/digits/versions/2"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"first" * 1000)
    return folder


@pytest.fixture
async def admin(server: RunningServer) -> CommandLine:
    return CommandLine.of(server)


def as_message(document: Any, kind: type[Message]) -> Any:
    """Read a document as the contract's message; what the contract does not have fails."""
    return json_format.ParseDict(document, kind())


async def test_the_forms_of_scripts_print_the_messages_of_the_contract(
    server: RunningServer, admin: CommandLine, model: Path, tmp_path: Path
) -> None:
    options = ("--metric", "accuracy=0.95", "--metric", "f1@holdout=0.9", "--param", "depth=5", "--no-environment")
    first = as_message(await admin.json("push", "demo/digits", model, *options), Version)
    assert (first.number, first.state) == (1, Version.STATE_READY)
    assert {metric.name: metric.value for metric in first.facts.metrics} == {"accuracy": 0.95, "f1": 0.9}
    (model / "model.safetensors").write_bytes(b"second" * 1000)
    second = as_message(await admin.json("push", "demo/digits", model), Version)

    moved = as_message(await admin.json("promote", "demo/digits/1", "staging"), Transition)
    assert moved.state == Transition.STATE_COMPLETED
    await admin.ok("promote", "demo/digits/1", "production")
    await admin.json("policy", "demo", "production", "--require-check", "holdout", "--approvals", "1")
    await admin.ok("promote", "demo/digits/2", "staging")

    document = await admin.json("promote", "demo/digits/2", "production")
    pending = as_message(document, Transition)
    assert document["state"] == "STATE_PENDING"
    assert [gate["kind"] for gate in document["unmetGates"]] == ["KIND_CHECK", "KIND_APPROVAL"]
    listed = as_message(await admin.json("transitions", "demo", "--state", "pending"), ListTransitionsResponse)
    assert [one.name for one in listed.transitions] == [pending.name]
    await admin.json("check", "demo/digits/2", "holdout", "passed")
    approved = as_message(await CommandLine.of(server, "reviewer").json("approve", "demo/digits/2"), Transition)
    assert (approved.name, approved.state) == (pending.name, Transition.STATE_COMPLETED)

    resolution = as_message(await admin.json("resolve", "demo/digits@production"), Resolution)
    assert (resolution.version, resolution.artifact_digest) == (VERSION_2, second.artifact_digest)
    pulled = await admin.json("pull", "demo/digits@production", tmp_path / "out")
    assert pulled == {
        "version": VERSION_2,
        "artifactDigest": second.artifact_digest,
        "stage": "production",
        "path": str(tmp_path / "out"),
        "files": ["model.safetensors"],
        "bytesFetched": "6000",
    }
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == b"second" * 1000
    back = as_message(await admin.json("rollback", "demo/digits", "production", "--reason", "worse"), Transition)
    assert back.kind == Transition.KIND_ROLLBACK
    rejected = as_message(await admin.json("promote", "demo/digits/2", "development"), Transition)
    assert rejected.state == Transition.STATE_COMPLETED

    shown: list[tuple[type[Message], tuple[str, ...]]] = [
        (GetModelResponse, ("show", "demo/digits")),
        (GetVersionResponse, ("show", "demo/digits/2")),
        (ListModelsResponse, ("list",)),
        (ListVersionsResponse, ("list", "demo/digits")),
        (SearchVersionsResponse, ("search", "--filter", "metric.accuracy > 0.9")),
        (ListStageHistoryResponse, ("history", "demo/digits/1")),
        (StageGraph, ("stages", "demo")),
    ]
    documents = await asyncio.gather(*(admin.json(*arguments) for _, arguments in shown))
    the_model, the_version, models, versions, hits, steps, graph = (
        as_message(document, kind) for document, (kind, _) in zip(documents, shown, strict=True)
    )
    assert the_model.latest_version.name == VERSION_2
    assert the_version.state.stage == "development"
    assert len(models.models) == 1
    assert [one.number for one in versions.versions] == [2, 1]
    assert [one.stage for one in versions.states] == ["development", "production"]
    assert [hit.version.number for hit in hits.hits] == [1]
    assert [one.to_stage for one in steps.entries][-2:] == ["archived", "production"]
    assert [stage.id for stage in graph.stages] == ["development", "staging", "production", "archived"]
    alias = as_message(await admin.json("alias", "demo/digits/1", "champion"), Alias)
    assert alias.name.endswith("/aliases/champion")
    assert (await admin.json("lineage", "demo/digits/1"))["lineage"]


async def test_watch_prints_one_document_a_line_until_it_is_interrupted(admin: CommandLine, model: Path) -> None:
    await admin.ok("push", "demo/digits", model)
    watch = await admin.start("watch", "demo/digits", "--service", "lifecycle", "--from-revision", "0", "--json")
    assert watch.stdout is not None
    for stage in ("staging", "production"):
        await admin.ok("promote", "demo/digits/1", stage)
        document = json.loads(await watch.stdout.readline())
        assert document.pop("service") == "lifecycle"
        assert document.pop("resumeToken")
        change = as_message(document, LifecycleChange)
        assert change.metadata.type == "transition.completed"
        assert change.after.transition.target_stage == stage
    watch.send_signal(signal.SIGINT)
    done = await ended(watch)
    assert (done.code, done.out, done.err) == (130, "", "")


async def test_a_watch_goes_on_where_another_one_stopped(admin: CommandLine, model: Path) -> None:
    """The three changes of a first push come in one message: each is a place to go on from."""
    await admin.ok("push", "demo/digits", model)
    watching = ("watch", "--service", "catalog", "--json", "--limit", "1")
    start = ("--from-revision", "0")
    revisions = []
    for _ in range(2):
        change = (await admin.ok(*watching, *start)).document
        revisions.append(change["metadata"]["revision"])
        start = ("--resume", f"catalog={change['resumeToken']}")
    assert revisions == ["1", "2"]
    assert (await admin.refused(2, *watching, "--resume", "catalog=nonsense~1x"))["reason"] == "WATCH_TOKEN_MALFORMED"


async def test_exit_codes_and_reasons_by_class_of_error(
    server: RunningServer, admin: CommandLine, model: Path, tmp_path: Path
) -> None:
    await admin.ok("push", "demo/digits", model)
    viewer = CommandLine.of(server, "viewer")
    garbage = CommandLine({**admin.variables, "GREENROOM_TOKEN": "garbage"})
    nowhere = CommandLine({**admin.variables, "GREENROOM_SERVER": "127.0.0.1:1"})
    (tmp_path / "empty").mkdir()
    cases: list[tuple[CommandLine, int, str, list[str | Path]]] = [
        (admin, 2, "SELECTOR_MALFORMED", ["resolve", "demo/digits@"]),
        (admin, 2, "FILTER_MALFORMED", ["search", "--filter", "metric.accuracy >"]),
        (admin, 2, "FIELD_INVALID", ["push", "Demo/digits", model]),
        (admin, 2, "ALIAS_RESERVED", ["alias", "demo/digits/1", "production"]),
        (admin, 2, "", ["push", "demo/digits", tmp_path / "missing"]),
        (admin, 2, "", ["push", "demo/digits", tmp_path / "empty"]),
        (admin, 3, "VERSION_NOT_FOUND", ["promote", "demo/digits/9", "staging"]),
        (admin, 3, "SELECTOR_UNRESOLVED", ["pull", "demo/digits@production", tmp_path / "out"]),
        (admin, 3, "TRANSITION_NOT_FOUND", ["approve", "demo/digits/1"]),
        (admin, 4, "STAGE_EDGE_MISSING", ["promote", "demo/digits/1", "production"]),
        (admin, 4, "STAGE_UNKNOWN", ["promote", "demo/digits/1", "nonsense"]),
        (admin, 4, "NOTHING_TO_ROLL_BACK_TO", ["rollback", "demo/digits"]),
        (admin, 5, "EXPECTED_VERSION_MISMATCH", ["rollback", "demo/digits", "--expected-current", "demo/digits/9"]),
        (admin, 5, "ARTIFACT_REGISTERED", ["push", "demo/digits", model]),
        (admin, 5, "NAMESPACE_EXISTS", ["create", "demo"]),
        (viewer, 6, "PERMISSION_MISSING", ["promote", "demo/digits/1", "staging"]),
        (garbage, 6, "TOKEN_INVALID", ["list"]),
        (nowhere, 7, "", ["list"]),
    ]  # fmt: skip
    errors = await asyncio.gather(*(who.refused(code, *arguments) for who, code, _, arguments in cases))
    assert [error["reason"] for error in errors] == [reason for _, _, reason, _ in cases]
    assert all(error["message"] for error in errors)
    assert [one["name"] for one in (await admin.json("list", "demo/digits"))["versions"]] == [
        "namespaces/demo/models/digits/versions/1"
    ]
    assert (await admin.json("history", "demo/digits/1"))["entries"][-1]["toStage"] == "development"


async def test_a_push_of_nothing_leaves_nothing(admin: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in ("empty", "missing"):
        await admin.refused(2, "push", "demo/digits", tmp_path / path)
    assert await admin.json("list", "--namespaces") == {}


async def test_a_transition_that_is_left_pending_says_which_commands_complete_it(
    server: RunningServer, admin: CommandLine, model: Path
) -> None:
    await admin.ok("push", "demo/digits", model)
    await admin.ok("policy", "demo", "staging", "--require-check", "bias", "--approvals", "1")
    dry = await admin.ok("promote", "demo/digits/1", "staging", "--dry-run")
    assert dry.out.startswith("demo/digits/1 to staging: would be pending (dry run: nothing was changed)\n")
    assert not (await admin.json("transitions", "demo")).get("transitions")
    asked = await admin.run("promote", "demo/digits/1", "staging", "--require-complete")
    assert asked.code == 4
    assert "namespaces/" not in asked.out
    first, *gates = asked.out.splitlines()
    assert first.startswith("demo/digits/1 to staging: pending (demo/")
    assert gates[0] == "  check bias on demo/digits/1 has not been reported; run it and report how it ended:"
    assert gates[1] == "    greenroom check demo/digits/1 bias passed"
    assert gates[2].startswith("  the approval is missing; anybody who may approve can say yes, except")
    assert gates[3] == "    greenroom approve demo/digits/1"
    (row,) = (await admin.ok("transitions", "demo")).rows
    assert row[1:5] == ["pending", "demo/digits/1", "staging", "admin"]
    assert row[-1] == "check bias, approval"
    # What was printed works as it stands.
    await admin.ok(*gates[1].split()[1:])
    approved = await CommandLine.of(server, "reviewer").ok(*gates[3].split()[1:])
    assert "demo/digits/1 moved from development to staging" in approved.out


async def test_messages_name_things_as_people_type_them(admin: CommandLine, model: Path) -> None:
    await admin.ok("push", "demo/digits", model)
    said = {
        ("list", "nope"): "there is no namespace nope; check the spelling, or create it with `greenroom create nope`",
        ("show", "demo/nope"): "there is no demo/nope; check the spelling, or create it with `greenroom create",
        ("show", "demo/digits/9"): "there is no demo/digits/9; `greenroom list demo/digits` shows",
        ("resolve", "demo/digits@^9"): "demo/digits has no semantic version in ^9; `greenroom list demo/digits` shows",
        ("push", "demo/digits", model): "use it, or add --allow-duplicate",
        ("promote", "demo/digits/1", "production"): "demo/digits/1 is in development and there is no edge",
        ("alias", "demo/digits", "best", "--delete"): "there is no demo/digits@best; `greenroom alias demo/digits`",
        ("approve", "demo/nope"): "there is no demo/nope; `greenroom transitions demo` shows",
        ("create", "X"): "'X' is not {namespace} (namespace: 2 to 63",
    }  # fmt: skip
    answers = await asyncio.gather(*(admin.run(*arguments) for arguments in said))
    for done, message in zip(answers, said.values(), strict=True):
        assert message in done.err, done.err
        assert "namespaces/" not in done.err


async def test_empty_answers_say_so_without_disturbing_a_pipe(admin: CommandLine) -> None:
    commands = (["list"], ["list", "--namespaces"], ["search", "nothing"])
    for done in await asyncio.gather(*(admin.ok(*arguments) for arguments in commands)):
        assert not done.out
        assert done.err.startswith("no ")
    assert await admin.json("list") == {}


async def test_a_deleted_version_is_listed_as_a_tombstone_and_its_number_is_not_given_again(
    admin: CommandLine, model: Path
) -> None:
    """0.9."""
    await admin.ok("push", "demo/digits", model)
    (model / "model.safetensors").write_bytes(b"second")
    await admin.ok("push", "demo/digits", model)
    deleted = as_message(await admin.json("delete", "demo/digits/2"), Version)
    assert deleted.state == Version.STATE_DELETED
    again = await admin.json("push", "demo/digits", model)
    assert again["number"] == "3"
    living, everything = await asyncio.gather(*(admin.ok("list", "demo/digits", *how) for how in ([], ["--deleted"])))
    assert [row[0] for row in living.rows] == ["demo/digits/3", "demo/digits/1"]
    assert [row[1] for row in everything.rows] == ["development", "deleted", "development"]
    assert (await admin.refused(3, "resolve", "demo/digits/2"))["reason"] == "VERSION_DELETED"
    await admin.ok("alias", "demo/digits/3", "champion")
    assert (await admin.refused(4, "delete", "demo/digits/3"))["reason"] == "VERSION_IN_USE"


async def test_a_namespace_can_have_its_own_stages_and_one_in_use_stays(
    admin: CommandLine, model: Path, tmp_path: Path
) -> None:
    """1.23."""
    await admin.ok("push", "demo/digits", model)
    graph: dict[str, list[dict[str, Any]]] = {
        "stages": [{"id": "trial"}, {"id": "live", "capacity": 1, "displacedTo": "trial"}],
        "edges": [{"fromStage": "trial", "toStage": "live"}],
    }
    file = tmp_path / "stages.json"
    file.write_text(json.dumps(graph))
    changed = await admin.ok("stages", "demo", "--set", file)
    assert [row[0] for row in changed.rows] == ["trial", "live"]
    await admin.ok("promote", "demo/digits/1", "live")
    del graph["stages"][1], graph["edges"][0]
    file.write_text(json.dumps(graph))
    refused = await admin.refused(4, "stages", "demo", "--set", file)
    assert refused["reason"] == "STAGE_GRAPH_INVALID"
    assert [(one["type"], one["subject"]) for one in refused["preconditions"]] == [("STAGE_IN_USE", "live")]
    file.write_text("nonsense")
    assert (await admin.run("stages", "demo", "--set", file)).code == 2
    assert [row[0] for row in (await admin.ok("stages", "demo")).rows] == ["trial", "live"]


async def test_the_reader_of_a_pipe_may_go_away(admin: CommandLine, model: Path) -> None:
    await admin.ok("push", "demo/digits", model)
    watch = await admin.start("watch", "--from-revision", "0", "--service", "catalog")
    assert watch.stdout is not None
    assert await watch.stdout.readline()
    watch.stdout._transport.close()  # type: ignore[attr-defined]
    await admin.ok("create", "other")
    await admin.ok("create", "more")
    done = await ended(watch)
    assert done.code == 141
    assert "Traceback" not in done.err

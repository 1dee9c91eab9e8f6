"""The blocking client, the command line and telemetry, over a real connection."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typer.testing import CliRunner, Result

import greenroom
from client.hostile_server import NOTES, VERSION, WEIGHTS, hostile_server, listening, serving
from greenroom.cli import app
from greenroom.errors import SelectorUnresolved, Unimplemented


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with two files."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.bin").write_bytes(WEIGHTS)
    (folder / "README.md").write_bytes(NOTES)
    return folder


async def cli(address: str, *arguments: str) -> Result:
    environment = {"GREENROOM_SERVER": address, "GREENROOM_TOKEN": "gr_test_token"}
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment)


async def test_the_blocking_client_does_what_the_asynchronous_one_does(tmp_path: Path, model: Path) -> None:
    hostile = hostile_server()

    def use(address: str) -> None:
        phases: set[str] = set()
        with greenroom.connect(address, "gr_test_token") as client:
            version = client.push("demo/digits", model, progress=lambda step: phases.add(step.phase))
            assert version.name == VERSION
            assert client.pull("demo/digits@latest", tmp_path / "dest").version == VERSION
            with client.watch(["catalog"], from_revision=0) as changes:
                changes.start()
                assert [next(changes).revision for _ in range(5)] == [1, 2, 3, 4, 5]
                assert changes.resume_tokens == {"catalog": "5"}
            hostile.version = "nonsense"
            with pytest.raises(SelectorUnresolved):
                client.get_version("demo/digits@latest")
            with pytest.raises(Unimplemented):
                list(client.list_namespaces())
        assert phases == {"hashing", "uploading"}
        client.close()
        with pytest.raises(RuntimeError, match="closed"):
            client.resolve("demo/digits@latest")

    async with listening(hostile) as address:
        await asyncio.to_thread(use, address)
    assert not [thread for thread in threading.enumerate() if thread.name == "greenroom"]


async def test_a_callback_that_uses_the_blocking_client_is_told_why_it_cannot(model: Path) -> None:
    def use(address: str) -> None:
        client = greenroom.connect(address, "gr_test_token")

        def resolve_again(_: greenroom.Progress) -> None:
            client.resolve("demo/digits@latest")

        with client, pytest.raises(RuntimeError, match="callbacks"):
            client.push("demo/digits", model, progress=resolve_again)

    async with listening(hostile_server()) as address:
        await asyncio.to_thread(use, address)


async def test_push_and_pull_on_the_command_line(tmp_path: Path, model: Path) -> None:
    async with listening(hostile_server()) as address:
        pushed = await cli(address, "push", "demo/digits", str(model), "--metric", "accuracy=0.97", "--json")
        assert pushed.exit_code == 0, pushed.output
        assert json.loads(pushed.stdout)["name"] == VERSION
        assert not pushed.stderr
        pulled = await cli(address, "pull", "demo/digits@production", str(tmp_path / "dest"))
        assert pulled.exit_code == 0, pulled.output
        assert pulled.stdout.startswith("demo/digits/1 sha256:")
        assert "all verified" in pulled.stderr
        again = await cli(address, "pull", "demo/digits@production", str(tmp_path / "dest"), "--json")
        assert json.loads(again.stdout)["bytesFetched"] == "0"
        assert json.loads(again.stdout)["files"] == ["model.bin", "notes/readme.md"]


async def test_watch_prints_a_document_a_line(model: Path) -> None:
    async with listening(hostile_server()) as address:
        arguments = ("watch", "demo/digits", "--service", "catalog", "--from-revision", "0", "--limit", "4", "--json")
        watched = await cli(address, *arguments)
    assert watched.exit_code == 0, watched.output
    documents = [json.loads(line) for line in watched.stdout.splitlines()]
    assert [document["metadata"]["revision"] for document in documents] == ["1", "2", "3", "4"]
    assert {document["service"] for document in documents} == {"catalog"}


async def test_a_lying_server_is_exit_code_8(tmp_path: Path) -> None:
    hostile = hostile_server()
    hostile.digest = "sha256:" + "0" * 64
    async with listening(hostile) as address:
        result = await cli(address, "pull", "demo/digits@production", str(tmp_path / "dest"), "--json")
    assert result.exit_code == 8
    assert json.loads(result.stderr)["error"]["code"] == "DATA_LOSS"


async def test_every_call_carries_the_token_and_who_calls() -> None:
    hostile = hostile_server()
    async with serving(hostile) as client:
        await client.resolve("demo/digits@latest")
    assert hostile.metadata["authorization"] == "Bearer gr_test_token"
    assert hostile.metadata["user-agent"].startswith("greenroom-python/")
    assert "traceparent" not in hostile.metadata


async def test_spans_and_trace_context_when_tracing_is_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("greenroom._telemetry.tracer", lambda: provider.get_tracer("greenroom"))
    hostile = hostile_server()
    async with serving(hostile) as client:
        await client.pull("demo/digits@production", tmp_path)
        spans = {span.name: span for span in exporter.get_finished_spans()}
        whole = spans["greenroom.pull"]
        resolving = spans["greenroom.lifecycle.v1.LifecycleService/Resolve"]
        assert resolving.parent is not None
        assert resolving.parent.span_id == whole.context.span_id
        assert {span.context.trace_id for span in spans.values()} == {whole.context.trace_id}
        assert f"{whole.context.trace_id:032x}-{resolving.context.span_id:016x}" in hostile.metadata["traceparent"]
        with pytest.raises(Unimplemented):
            await client.list_policies("demo")
        failed = exporter.get_finished_spans()[-1]
        assert not failed.status.is_ok
        assert dict(failed.attributes or {})["error.type"] == "UNIMPLEMENTED"

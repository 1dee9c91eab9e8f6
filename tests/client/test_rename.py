"""Renaming from the SDK and the command line; what clients know under the former name goes on to work."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import greenroom
from greenroom.cli import app
from greenroom.errors import ModelExists, ModelNotFound
from support.server import RunningServer


async def cli(server: RunningServer, *arguments: str) -> Result:
    environment = {"GREENROOM_SERVER": server.address, "GREENROOM_TOKEN": server.token("admin")}
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"weights")
    return folder


async def test_push_rename_pull_by_either_name(server: RunningServer, folder: Path, tmp_path: Path) -> None:
    async with greenroom.connect_async(server.address, server.token("admin")) as client:
        await client.create_namespace("demo")
        pushed = await client.push("demo/digits", folder)
        await client.promote(pushed.name, "staging")
        model = await client.get_model("demo/digits")
        renamed = await client.rename_model("demo/digits", "mnist", etag=model.etag)
        assert (renamed.name, renamed.uid) == ("namespaces/demo/models/mnist", model.uid)
        for name in ("digits", "mnist"):
            destination = tmp_path / name
            pulled = await client.pull(f"demo/{name}@staging", destination)
            assert pulled.version == "namespaces/demo/models/mnist/versions/1"
            assert (destination / "weights.bin").read_bytes() == b"weights"
        await client.set_policy("demo", "production", approvals=1)
        pending = await client.request_transition("demo/digits/1", "production")
        assert (await client.cancel("demo/digits/1")).name == pending.name
        (folder / "weights.bin").write_bytes(b"better")
        assert (await client.push("demo/digits", folder)).name == "namespaces/demo/models/mnist/versions/2"
        with pytest.raises(ModelExists):
            await client.rename_model("demo/mnist", "mnist")
        with pytest.raises(ModelNotFound):
            await client.rename_model("demo/none", "other")


async def test_the_command_says_both_names_and_how_long_the_former_one_works(
    server: RunningServer, folder: Path
) -> None:
    assert (await cli(server, "create", "demo")).exit_code == 0
    assert (await cli(server, "push", "demo/digits", str(folder))).exit_code == 0
    result = await cli(server, "rename", "demo/digits", "mnist")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("demo/digits is now demo/mnist; the former name works until ")
    result = await cli(server, "rename", "demo/digits", "images", "--json")
    assert json.loads(result.stdout)["name"] == "namespaces/demo/models/images"
    shown = await cli(server, "show", "demo/mnist/1", "--json")
    assert json.loads(shown.stdout)["version"]["name"] == "namespaces/demo/models/images/versions/1"
    taken = await cli(server, "create", "demo/digits")
    assert taken.exit_code != 0
    assert "former name of demo/images" in " ".join(taken.stderr.split())

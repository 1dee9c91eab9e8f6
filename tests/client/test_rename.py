"""Renaming from the SDK and the command line; what clients know under the former name goes on to work."""

from __future__ import annotations

from pathlib import Path

import pytest

import greenroom
from greenroom.errors import ModelExists, ModelNotFound
from support.command_line import CommandLine
from support.server import RunningServer


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
    admin = CommandLine.of(server)
    await admin.ok("push", "demo/digits", folder, "--no-environment")
    said = (await admin.ok("rename", "demo/digits", "mnist")).out
    assert said.startswith("demo/digits is now demo/mnist; the former name works until ")
    assert (await admin.json("rename", "demo/digits", "images"))["name"] == "namespaces/demo/models/images"
    shown = await admin.json("show", "demo/mnist/1")
    assert shown["version"]["name"] == "namespaces/demo/models/images/versions/1"
    taken = await admin.run("create", "demo/digits")
    assert taken.code != 0
    assert "former name of demo/images" in " ".join(taken.err.split())
    unknown = await admin.run("rename", "demo/none", "other")
    assert unknown.code != 0

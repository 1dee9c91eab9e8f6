"""1.14: whoever reads production during many promotions sees one version, never none and never two."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import greenroom
from greenroom import AsyncClient
from greenroom.lifecycle.v1.stage_graph_pb2 import Stage, StageEdge, StageGraph
from greenroom.lifecycle.v1.transition_pb2 import Transition
from support.server import RunningServer

PROMOTIONS = 1000
FEWEST = 300
SECONDS = 20.0
"""It stops at `PROMOTIONS`, or, on a slow machine, after this time once there are `FEWEST`."""

READERS = 50
PAUSE = 0.5
"""Seconds that a reader waits between reads, so that 50 of them leave the server time to write."""


class Reader:
    """Reads who is in production until told to stop."""

    def __init__(self) -> None:
        self.reads = 0
        self.seen: set[str] = set()
        self.wrong: list[str] = []
        self._newest = 0

    async def run(self, client: AsyncClient, stop: asyncio.Event) -> None:
        while not stop.is_set():
            resolution = await client.resolve("demo/digits@production")
            self.seen.add(resolution.version)
            self._check_order(resolution.revision)
            state = await client.get_model_state("demo/digits")
            (production,) = (holders for holders in state.stages if holders.stage == "production")
            if len(production.versions) != 1:
                self.wrong.append(f"revision {state.revision}: {list(production.versions)}")
            self._check_order(state.revision)
            self.reads += 2
            await asyncio.sleep(PAUSE)

    def _check_order(self, revision: int) -> None:
        if revision < self._newest:
            self.wrong.append(f"revision {revision} after {self._newest}")
        self._newest = max(self._newest, revision)


async def promote_in_turns(client: AsyncClient, versions: list[str]) -> list[Transition]:
    """Move one version after the other to production."""
    began = time.monotonic()
    done: list[Transition] = []
    while len(done) < PROMOTIONS and (len(done) < FEWEST or time.monotonic() - began < SECONDS):
        done.append(await client.promote(versions[len(done) % 2], "production"))
    return done


async def test_during_many_promotions_production_is_never_empty_and_never_two(
    server: RunningServer, tmp_path: Path
) -> None:
    async with greenroom.connect_async(server.address, server.token("admin")) as client:
        names = []
        for content in ("one", "two"):
            (tmp_path / "model.bin").write_text(content)
            names.append((await client.push("demo/digits", tmp_path / "model.bin", environment=None, code=None)).name)
        short = ["demo/digits/1", "demo/digits/2"]
        await client.set_stage_graph(
            StageGraph(
                name="namespaces/demo/stageGraph",
                stages=[Stage(id="candidate"), Stage(id="production", capacity=1, displaced_to="candidate")],
                edges=[StageEdge(from_stage="candidate", to_stage="production")],
            )
        )
        await client.promote(short[1], "production")
        stop, readers = asyncio.Event(), [Reader() for _ in range(READERS)]
        reading = [asyncio.create_task(reader.run(client, stop)) for reader in readers]
        done = await promote_in_turns(client, short)
        stop.set()
        await asyncio.gather(*reading)

    assert len(done) >= FEWEST
    for number, transition in enumerate(done):
        entered, left = names[number % 2], names[(number + 1) % 2]
        assert {(move.version, move.to_stage, move.displaced) for move in transition.moves} == {
            (left, "candidate", True),
            (entered, "production", False),
        }
    assert not [wrong for reader in readers for wrong in reader.wrong]
    assert set().union(*(reader.seen for reader in readers)) == set(names)
    assert sum(reader.reads for reader in readers) >= FEWEST

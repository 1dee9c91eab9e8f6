"""Background work that waits for a dependency: soon back at work, and quiet meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from greenroomd.platform import supervision
from greenroomd.platform.status import dependency_unavailable
from greenroomd.platform.supervision import Supervisor


async def test_work_that_waits_is_tried_often_and_spoken_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(supervision, "LONGEST_WAIT", 0.02)
    attempts = 0
    tenth = asyncio.Event()

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 10:
            tenth.set()
        raise dependency_unavailable("postgresql")

    supervisor = Supervisor()
    with capture_logs() as lines:
        supervisor.start("work", work)
        async with asyncio.timeout(2):  # by doubling alone it would take 5 s
            await tenth.wait()
        await supervisor.stop()
    assert [line["event"] for line in lines] == ["background work waits"]

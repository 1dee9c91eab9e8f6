"""A team in an installation of its own."""

from __future__ import annotations

import pytest

from support.lifecycle import Team
from support.server import RunningServer


@pytest.fixture
async def team(server: RunningServer) -> Team:
    return await Team.start(server)

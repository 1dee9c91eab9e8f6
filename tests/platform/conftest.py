"""Fixtures of the platform's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.chained import Running, running


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Running]:
    """The catalog service's RPCs under the chain."""
    async with running(tmp_path) as server:
        yield server

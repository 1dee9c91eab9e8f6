"""An index on a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from greenroomd.platform.migrations import upgrade
from search.builders import IndexUnderTest


@pytest.fixture
async def search_url(database_url: str) -> str:
    """The URL of a database in which search's migrations have run."""
    await upgrade(database_url, "search")
    return database_url


@pytest.fixture
async def index(search_url: str) -> AsyncIterator[IndexUnderTest]:
    """An empty index."""
    index = IndexUnderTest.on(search_url)
    yield index
    await index.database.close()

"""A change log in the catalog's schema, without the catalog."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from greenroomd.platform.changelog.log import ChangeLog
from greenroomd.platform.database import Database
from support.notes import encode


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, "catalog")
    yield database
    await database.close()


@pytest.fixture
def log(database: Database) -> ChangeLog:
    return ChangeLog(database, encode)

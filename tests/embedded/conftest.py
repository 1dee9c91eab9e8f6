"""Folders for the embedded databases."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from greenroomd.embedded import EmbeddedStack


@contextmanager
def _reachable() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="greenroom-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """An empty folder that every user can pass through, as tmp_path, made by root, is not."""
    with _reachable() as folder:
        yield folder


@pytest.fixture
def data(reachable: Path) -> Path:
    """A data folder that does not exist yet."""
    return reachable / "data"


@pytest.fixture
def stack(data: Path) -> Iterator[EmbeddedStack]:
    """A stack on `data` that is not started, and is stopped after the test."""
    stack = EmbeddedStack(data, durable=False)
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def running_data() -> Iterator[Path]:
    """The data folder of `running`."""
    with _reachable() as folder:
        yield folder / "data"


@pytest.fixture(scope="session")
def running(running_data: Path) -> Iterator[EmbeddedStack]:
    """A running stack for tests that leave it as they found it."""
    with EmbeddedStack(running_data, durable=False) as stack:
        yield stack

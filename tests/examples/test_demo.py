"""`make demo` does the whole job, says so in lines that a person understands, and leaves nothing running."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import processes_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demo printed. It gets a temporary folder that the databases' own user can reach."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(ROOT / "examples" / "demo.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def test_it_tells_the_whole_job(told: str) -> None:
    for step in (
        r"\d s  PostgreSQL, Valkey and four services are up",
        r"Trained two models on 1797 handwritten digits",
        r"Pushed demo/digits/1: .* dataset digest, .*commit .*, Python 3",
        r"demo/digits/1 staging → production",
        r"Requested production for demo/digits/2: PENDING, still missing the check holdout-accuracy and an approval",
        r"completed it: demo/digits/1 production → archived, demo/digits/2 staging → production",
        r"ms after commit: demo/digits/1 production → archived, demo/digits/2 staging → production",
        r"Pulled demo/digits@production = version 2: 5 files verified; .* as stated",
        r"Rolled back in one call: demo/digits/2 production → archived, demo/digits/1 archived → production",
        r"Pulled demo/digits@production = version 1",
        r"no process is left",
    ):
        assert re.search(step, told), f"{step}\n{told}"


def test_it_leaves_no_process_behind(told: str) -> None:
    data = re.search(r"greenroom up --data (\S+)", told)
    assert data is not None
    assert processes_of(Path(data[1]).parent) == []

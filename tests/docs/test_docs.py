"""Documents that are written from code are current, links lead somewhere, and named tests exist."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("protos/*.md")])


def test_the_page_of_errors_is_current() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "generate.py"))["render"]()
    assert (ROOT / "docs" / "errors.md").read_text(encoding="utf-8") == written, "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    paths = re.findall(r"`((?:tests|docs|protos|services|clients|examples)/[\w./-]+)`", text)
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert missing == []


def test_the_readme_begins_with_the_two_commands() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:20])
    assert "make demo" in first_screen
    assert "make test" in first_screen


def test_deployment_files_name_only_variables_that_the_server_reads() -> None:
    from greenroomd import config

    named = {
        name for path in (ROOT / "deploy").iterdir() for name in re.findall(r"GREENROOM_[A-Z_]+", path.read_text())
    }
    assert named, "nothing was found to check"
    assert [name for name in named if name not in (config.__doc__ or "")] == []

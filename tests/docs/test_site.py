"""The documentation as a site: no warning, every page, every card."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from extract import DOCS, ROOT

from dynbench.config.compose import choices


@pytest.fixture(scope="module")
def builder():
    spec = importlib.util.spec_from_file_location("script_build_docs", ROOT / "scripts" / "build_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_lead_to_pages_or_are_none(builder):
    pages = {"a.md", "index.md"}
    text = builder.linked(
        "[one](docs/a.md#x) [two](../dynbench/a.py) [three](https://x.org) [four](../README.md)", pages
    )
    assert text == "[one](a.md#x) two [three](https://x.org) [four](index.md)"


def test_every_page_and_card_is_gathered(builder, tmp_path):
    builder.gather(tmp_path / "docs")
    there = {path.name for path in (tmp_path / "docs").glob("*.md")}
    assert {path.name for path in DOCS.glob("*.md")} | {"index.md", "tour.md", "models.md", "reference.md"} <= there
    assert "](nlsm_table2.png)" in (tmp_path / "docs" / "index.md").read_text(encoding="utf-8")
    assert (tmp_path / "docs" / "nlsm_table2.png").is_file()
    cards = (tmp_path / "docs" / "models.md").read_text(encoding="utf-8")
    assert all(f"\n## {name}\n" in cards for name in choices("model"))
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(f" {name}" in listed for name in there), "a page that the menu lacks is found by nobody"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(builder, tmp_path):
    for package in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(package)
    builder.gather(tmp_path / "docs")
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    settings = settings.replace("runs/docs", str(tmp_path / "docs")).replace("runs/site", str(tmp_path / "site"))
    (tmp_path / "mkdocs.yml").write_text(settings.replace("paths: [.]", f"paths: ['{ROOT}']"), encoding="utf-8")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(tmp_path / "mkdocs.yml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING -" not in done.stderr
    page = (tmp_path / "site" / "reference.html").read_text(encoding="utf-8")
    assert "dynbench.api.running.run" in page

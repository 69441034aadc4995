"""What all tests share: quiet, private folders, and the real data where they are at hand."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

import pytest
import torch

from dynbench.config import compose
from dynbench.config.source import read_class
from dynbench.data import Locations, cards
from dynbench.reporting.composer import Composer

torch.set_num_threads(1)


def pytest_configure(config):
    """Name the marker of pytest-xdist, and silence what Lightning says about every fit; a run silences it itself."""
    # Known, whether or not pytest-xdist is there to heed it.
    config.addinivalue_line("markers", "xdist_group(name): tests that run in one process")
    for message in ("Checkpoint directory .* exists", ".*LeafSpec"):
        config.addinivalue_line("filterwarnings", f"ignore:{message}")


@pytest.hookimpl(wrapper=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items):
    """Tests that compose through one composer run in one process, which composes each choice once for all of them."""
    for item in items:
        if "composer" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("composer"))
    return (yield)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("DYNBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def real_graph(tmp_path_factory):
    """Load the snapshots of a dataset of the catalogue from the folders in DYNBENCH_DATA, or skip the test."""
    cache = tmp_path_factory.mktemp("real")
    folders = [Path(part) for part in os.environ.get("DYNBENCH_DATA", "").split(os.pathsep) if part]

    @functools.cache
    def load(name: str):
        found = [folder for folder in folders if (folder / name).is_dir()]
        if not found:
            return None
        where = Locations(found, cache, offline=True)
        return cards.build(cards.read_card(compose.CONF / "data" / f"{name}.yaml"), where).load("snapshots")

    def graph(name: str):
        loaded = load(name)
        if loaded is None:
            pytest.skip(f"DYNBENCH_DATA has no folder '{name}'")
        return loaded

    return graph


@pytest.fixture(scope="session")
def composer() -> Composer:
    """Composes what is the project's own once for all tests that ask for many configurations."""
    return Composer()


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Write a plug-in: ``plugin(module_name, source, model={"name": yaml, …})``."""
    folder = tmp_path / "plugin"
    (folder / "conf" / "model").mkdir(parents=True)
    monkeypatch.setenv("DYNBENCH_PLUGINS", str(folder))
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def write(module: str, text: str, model: dict[str, str] | None = None) -> None:
        (folder / f"{module}.py").write_text(text, encoding="utf-8")
        for name, content in (model or {}).items():
            (folder / "conf" / "model" / f"{name}.yaml").write_text(content, encoding="utf-8")
        compose.enable_plugins()

    write.folder = folder
    yield write
    compose.read_choice.cache_clear()
    read_class.cache_clear()
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]

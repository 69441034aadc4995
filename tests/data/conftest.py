"""Fixtures of the data tests: private folders, a small web server, and the real data where they are at hand."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from pathlib import Path

import pytest

from dynbench.data import Locations, cards

CONF = Path(__file__).resolve().parents[2] / "conf" / "data"
FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def fixtures() -> Path:
    """The folder of hand-made files in upstream formats."""
    return FIXTURES


@pytest.fixture
def where(tmp_path) -> Locations:
    """One user folder and one cache, both empty, offline."""
    return Locations([tmp_path / "mine"], tmp_path / "cache", offline=True)


@pytest.fixture
def online(where) -> Locations:
    """The same folders with the network allowed."""
    return Locations(where.data_dirs, where.cache_dir, offline=False)


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """Build a dataset of the catalogue from the folders in DYNBENCH_DATA, or skip the test."""
    cache = tmp_path_factory.mktemp("cache")

    @functools.cache
    def folder_of(name: str) -> Path:
        folders = [Path(part) for part in os.environ.get("DYNBENCH_DATA", "").split(os.pathsep) if part]
        found = next((folder / name for folder in folders if (folder / name).is_dir()), None)
        if found is None:
            pytest.skip(f"DYNBENCH_DATA has no folder '{name}'")
        return found

    def build(name: str, card: str | None = None, **settings):
        folder = folder_of(name)
        where = Locations([folder.parent], cache, offline=True)
        dataset = cards.build(cards.read_card(CONF / f"{card or name}.yaml"), where, **settings)
        dataset.folder = folder
        return dataset

    return build


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server over ``tmp_path / "www"``; ``server.asked`` lists what was requested."""
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    root = tmp_path / "www"
    root.mkdir()
    handler = functools.partial(_Handler, directory=str(root))
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    running.asked, running.root = [], root
    running.url = f"http://127.0.0.1:{running.server_port}"
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()

"""What the tests of all benchmarks share: the script that they are about."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def bench(request, monkeypatch):
    """The script that a file of tests is named after, as a module: ``bench_size`` in ``test_bench_size.py``."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module(request.path.stem.removeprefix("test_"))

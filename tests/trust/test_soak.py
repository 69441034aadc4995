"""A short campaign: nothing is lost, nothing ends with other numbers, nothing is told as a traceback."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_a_short_campaign_loses_nothing():
    words = ["--kills", "2", "--flips", "8", "--twins", "1", "--settings", "4", "--seed", "5"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "soak.py"), *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=900,
    )
    lines = done.stdout.strip().splitlines()
    assert lines[-1] == "0 lost, 0 wrong, 0 tracebacks", done.stderr[-3000:]
    # A trial may kill a run more than once.
    assert re.search(r"\b([2-9]|\d\d) kills, 4 flips of caches, 4 flips of kept files, 1 twins, 4 settings", lines[-2])
    assert done.returncode == 0

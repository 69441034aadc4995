"""What keeping freed memory changes: blocks that are asked for again cost no page faults."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Blocks of 40 MB, one after the other, in a process of their own: the setting holds for a whole process.
_PROGRAM = """
import resource
import numpy as np
from dynbench.engine.heap import keep_freed_memory
x = np.zeros(5_000_000)
def faults():
    for _ in range(3):
        x + 1.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        x + 1.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
plain = faults()
assert keep_freed_memory()
print(plain, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_blocks_are_not_mapped_anew():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, check=True)
    plain, kept = map(int, done.stdout.split())
    # 10,000 pages a block. A block or two may still be new: where they end up is up to the library.
    assert kept < plain / 4

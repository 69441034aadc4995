"""What keeping freed memory changes: blocks that are asked for again cost no page faults."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Forty blocks of 80 MB, one after the other, in a process of their own: the setting holds for a whole process.
_PROGRAM = """
import resource, torch
from dynbench.engine.heap import keep_freed_memory
torch.set_num_threads(1)
if {keep}:
    assert keep_freed_memory()
x = torch.zeros(20_000_000)
def faults():
    for _ in range(3):
        x.add(1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(40):
        x.add(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_blocks_are_not_mapped_anew():
    kept, plain = (
        int(subprocess.run([sys.executable, "-c", _PROGRAM.format(keep=keep)], capture_output=True, check=True).stdout)
        for keep in (True, False)
    )
    # 20,000 pages a block. A block or two may still be new: where they end up is up to the library.
    assert kept < plain / 4

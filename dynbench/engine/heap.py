"""Memory that a program frees and soon wants again.

By default the C library gives large blocks back to the operating system as soon as they are freed, and the next one of
that size is cleared and mapped page by page. A training step frees and asks for the same blocks over and over: at
batches of some megabytes, half of the time of an element-wise operation goes into that.
"""

from __future__ import annotations

import ctypes

# Names and numbers of glibc's <malloc.h>: blocks from which on memory is mapped, free memory at the end of the heap
# that is given back, and how much more than needed the heap grows by.
_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2
_SETTINGS = {_MMAP_THRESHOLD: 1 << 30, _TRIM_THRESHOLD: (1 << 31) - 1, _TOP_PAD: 1 << 26}


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, for itself; false where the C library has no such setting."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return min(mallopt(name, value) for name, value in _SETTINGS.items()) == 1

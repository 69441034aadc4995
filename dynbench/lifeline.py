"""A process that ends with the one that started it, however that one ends.

The starter holds the other end of the standard input of the started process. When the starter is gone, even if it was
killed, that end is closed; the started process notices, ends as at Ctrl-C, and takes its own children along.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

_VARIABLE = "DYNBENCH_LIFELINE"
# Seconds to end in order before the process is killed.
GRACE = 15.0


def start(command: Sequence[str], environment: dict[str, str], **options: Any) -> subprocess.Popen:
    """Start a process in a group of its own, to which Ctrl-C is not sent and which ends with this process."""
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        env={**environment, _VARIABLE: str(os.getpid())},
        start_new_session=True,
        **options,
    )


def end(process: subprocess.Popen) -> None:
    """Kill a started process with all that it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def hold() -> None:
    """In a started process: end when the starter is gone. Does nothing in any other process."""
    if os.environ.get(_VARIABLE):
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # As a shell's background jobs begin. No terminal reaches this process, so it is deaf to nobody else.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        gone = threading.Event()
        # Registered early, so that it comes after what others do at the end. The interrupt may have come where nobody
        # was prepared to end the processes that this one has started.
        atexit.register(lambda: _kill_group() if gone.is_set() else None)
        threading.Thread(target=_watch, args=(gone,), daemon=True).start()


def _watch(gone: threading.Event) -> None:
    with suppress(OSError):
        while os.read(0, 1):
            pass
    gone.set()
    os.kill(os.getpid(), signal.SIGINT)  # a true signal: it also ends a wait
    time.sleep(GRACE)
    _kill_group()


def _kill_group() -> None:
    with suppress(OSError):
        os.killpg(os.getpgrp(), signal.SIGKILL)

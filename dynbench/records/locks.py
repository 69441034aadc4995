"""One process at a time: who comes second waits, and says for whom."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_log = logging.getLogger(__name__)

NAME = ".lock"
# Seconds between two looks at a lock that another process holds.
_POLL = 0.25


@contextmanager
def alone(folder: Path, doing: str) -> Iterator[bool]:
    """Hold the lock of a folder. It ends with the process that holds it, however that ends.

    It holds across processes, and across machines as far as their shared file system locks files; where it knows no
    locks at all, a line in the log says so.

    Args:
        folder: Is made if it is not there.
        doing: What is done there, for the message of who waits.

    Yields:
        Whether another process had to be waited for.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock, holder, waited = FileLock(folder / NAME), folder / f"{NAME}.holder", False
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waited = True
            _log.warning("waiting: %s %s", _words(holder), doing)
            lock.acquire(poll_interval=_POLL)
    except OSError as error:
        _log.warning("%s cannot be locked (%s); start nothing twice on it", folder, error.strerror or error)
    try:
        with suppress(OSError):
            own = {"host": socket.gethostname(), "process": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
            holder.write_text(json.dumps(own), encoding="utf-8")
        yield waited
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _words(holder: Path) -> str:
    """Who holds a lock, as far as it has said so."""
    try:
        said = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {said['process']} on {said['host']} has since {said['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process has"

"""Files that are there whole or not at all, and that tell when they were damaged.

A sealed file begins with one line: a word, the SHA-256 of all that follows it, and a mark that says whose file it is.
So a flipped bit, a truncated copy, and a file that belongs to something else are told apart from what was written.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

_log = logging.getLogger(__name__)

_WORD = b"dynbench-sealed-1"


class Damaged(ValueError):
    """A file is not what was written under its name."""


def replace(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file through a temporary name, and make sure that it is on the disk before it takes the place of another.

    Args:
        path: Where it shall lie in the end; its folder exists.
        write: Receives the open file.

    Raises:
        OSError: If it cannot be written; nothing is left behind, and what lay at ``path`` is untouched.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(path.parent)


def seal(path: Path, content: bytes | memoryview, owner: str = "") -> None:
    """Write a sealed file; see :func:`seal_as_written`."""
    seal_as_written(path, lambda file: file.write(content), owner)


def seal_as_written(path: Path, write: Callable[[Any], Any], owner: str = "") -> None:
    """Write a sealed file piece by piece, so that its content need not be held twice; see :func:`replace`.

    Args:
        path: Where.
        write: Receives something with ``write``, and writes the content into it from its beginning to its end.
        owner: Whose content it is; only :func:`unseal` with the same word, and under the same names of file and
            folder, reads it again.
    """
    mark = _mark(path, owner)

    def whole(file: IO[bytes]) -> None:
        content = _Summed(file, mark)
        file.write(content.head())  # takes the place of the one that is known in the end
        write(content)
        file.seek(0)
        file.write(content.head())

    replace(path, whole)


def unseal(path: Path, owner: str = "") -> memoryview:
    """The content of a sealed file.

    Raises:
        Damaged: If it is not what :func:`seal` wrote for this owner.
        OSError: If there is no such file, or it cannot be read.
    """
    raw = path.read_bytes()
    end = raw.find(b"\n", 0, 256)
    head, content = raw[: max(end, 0)].split(b" "), memoryview(raw)[end + 1 :]
    if len(head) != 3 or head[0] != _WORD:
        raise Damaged("it is not a file of this version")
    if head[2] != _mark(path, owner):
        raise Damaged("it belongs to other data or to another run")
    if head[1] != _digest(content, head[2]):
        raise Damaged("its checksum differs from what was written")
    return content


def set_aside(path: Path, reason: object) -> None:
    """Move a file that cannot be used out of the way, under its name with ``.damaged``, and say so in one line."""
    with suppress(OSError):
        os.replace(path, path.with_name(f"{path.name}.damaged"))
    said = " ".join(str(reason).split()) or type(reason).__name__
    _log.warning("set aside: %s: %s; going on from what is whole", path, said)


class _Summed:
    """Passes on what is written, and knows its sum."""

    def __init__(self, file: IO[bytes], mark: bytes):
        self._file, self._mark, self._digest = file, mark, hashlib.sha256(mark)

    def write(self, content: Any) -> int:
        self._digest.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()

    def head(self) -> bytes:
        """The first line of a sealed file, as long in the beginning as in the end."""
        return b" ".join((_WORD, self._digest.hexdigest().encode(), self._mark)) + b"\n"


def _mark(path: Path, owner: str) -> bytes:
    return hashlib.sha256("\n".join((owner, path.parent.name, path.name)).encode()).hexdigest().encode()


def _digest(content: bytes | memoryview, mark: bytes) -> bytes:
    digest = hashlib.sha256(mark)
    digest.update(content)
    return digest.hexdigest().encode()


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk when its folder is; not every system lets a folder be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

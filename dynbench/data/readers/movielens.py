"""Tags of MovieLens 10M as a network of users and tags, cut as DySAT did."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from dynbench.data.events import RawEvents, number_by_appearance
from dynbench.data.readers.localtime import DAY, to_local
from dynbench.data.textfiles import read_bytes
from dynbench.errors import DataError

# user::movie::tag::time as GroupLens writes it, and a re-saved copy with commas, a space before each, and a header.
# A tag may itself hold the separator, so it is whatever stands between the second and the last one.
_UPSTREAM = re.compile(rb"^(\d+)::\d+::(.*)::(\d+)[ \r]*$", re.MULTILINE)
_COMMAS = re.compile(rb"^(\d+) ?, ?\d+ ?,(.*?) ?, ?(\d+)[ \r]*$", re.MULTILINE)
_HEADER = re.compile(rb"\s*UserID\b[^\n]*(?:\n|$)")


def read_tags(files: list[Path]) -> RawEvents:
    """Read ``tags.dat`` and ignore the movies.

    Args:
        files: The one file, with ``::`` or with commas.

    Returns:
        One event per line in order of time, user to tag. Users come first in the numbering, by first line, then
        tags, by first line.

    Raises:
        DataError: Naming the first malformed line.
    """
    data = read_bytes(files[0])
    header = _HEADER.match(data)
    body = data[header.end() :] if header else data
    pattern = _UPSTREAM if b"::" in body.split(b"\n", 1)[0] else _COMMAS
    records = pattern.findall(body)
    _check_complete(files[0], body, pattern, len(records), offset=1 if header else 0)
    users, tags, times = zip(*records, strict=True)
    src, user_ids = number_by_appearance(np.array(users).astype(np.int64))
    dst, spellings = number_by_appearance(_one_spelling(list(tags)))
    time = np.array(times).astype(np.int64)
    order = np.argsort(time, kind="stable")
    src, dst, time = src[order], dst[order] + len(user_ids), time[order]
    return RawEvents(src, dst, time, num_nodes=len(user_ids) + len(spellings), snapshot=ninety_day_steps(time))


def ninety_day_steps(time: np.ndarray) -> np.ndarray:
    """DySAT's steps of 90 days of local time, counted from the first tag.

    Args:
        time: ``(E,) int64`` Unix seconds.
    """
    local = to_local(time)
    return (local - local.min()) // DAY // 90


def _one_spelling(tags: list[bytes]) -> np.ndarray:
    """Tags as text, compared byte for byte, except that doubly encoded spellings are undone.

    DySAT's node counts treat a tag and its doubly encoded twin as one.
    """
    repaired = {tag: _repair(tag) for tag in set(tags)}
    return np.array([repaired[tag] for tag in tags])


def _repair(tag: bytes) -> str:
    # Undecodable bytes are kept as escapes, so that two such tags stay different.
    text = tag.decode("utf-8", "surrogateescape")
    while not text.isascii():
        once = _undo(text)
        if once is None or once == text:
            break
        text = once
    return text


def _undo(text: str) -> str | None:
    """Undo one encoding of UTF-8 bytes that were taken for Western European text, if there was one."""
    for charset in ("cp1252", "latin-1"):
        try:
            return text.encode(charset).decode("utf-8")
        except UnicodeError:
            continue
    return None


def _check_complete(path: Path, body: bytes, pattern: re.Pattern, found: int, offset: int) -> None:
    lines = body.split(b"\n")
    if found and found == sum(1 for line in lines if line.strip()):
        return
    for number, line in enumerate(lines, start=1 + offset):
        if line.strip() and not pattern.match(line):
            shown = line[:60].decode("utf-8", "replace").strip()
            raise DataError(f"{path}, line {number}: {shown!r} is not 'user::movie::tag::time'; get the file again")
    raise DataError(f"{path}: no tags found; this is not MovieLens' tags.dat")

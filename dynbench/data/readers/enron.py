"""The Enron e-mails in the form DySAT published: a MongoDB export of ``sender_receiver`` names and ISO dates."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from dynbench.data.events import RawEvents, number_ends
from dynbench.data.readers.localtime import DAY
from dynbench.data.textfiles import read_text
from dynbench.errors import DataError

# One record: "name" : "<sender>_<receiver>", "time" : ISODate("2001-11-27T20:39:55.000+0000"). Addresses end in a
# domain, which has no underscore, so the first underscore after the first @ parts the two.
_RECORD = re.compile(
    r'"name"\s*:\s*"(?P<sender>[^"@]+@[^"_]+)_(?P<receiver>[^"]+)"\s*,\s*'
    r'"time"\s*:\s*ISODate\("(?P<time>[^"]{19})[^"]*"\)'
)


def read_enron(files: list[Path]) -> RawEvents:
    """Read ``vis.digraph.allEdges.json`` and cut it as DySAT did.

    Args:
        files: The one file; concatenated records, not a JSON array.

    Returns:
        Directed e-mails in order of time, self-mails included. Nodes are numbered by first appearance in that
        order, sender before receiver: DySAT's own numbering cannot be told from this file. Snapshots and their
        links do not depend on it.

    Raises:
        DataError: If a record lacks a part.
    """
    text = read_text(files[0])
    records = _RECORD.findall(text)
    _check_complete(files[0], text, len(records))
    senders, receivers, dates = (np.array(column) for column in zip(*records, strict=True))
    time = _unix(files[0], dates)
    order = np.argsort(time, kind="stable")
    src, dst = number_ends(senders[order], receivers[order])
    return RawEvents(src, dst, time[order], snapshot=two_month_steps(time[order]))


def two_month_steps(time: np.ndarray) -> np.ndarray:
    """DySAT's steps of two times 30 days.

    Counting starts 200 days after the first e-mail and ends 200 days before the last; what lies outside goes to
    the first or the last snapshot.

    Args:
        time: ``(E,) int64`` Unix seconds.
    """
    start, stop = time.min() + 200 * DAY, time.max() - 200 * DAY
    months = (np.minimum(time, stop) - start) // DAY // 30
    return np.maximum(0, months // 2)


def _unix(path: Path, dates: np.ndarray) -> np.ndarray:
    try:
        return dates.astype("datetime64[s]").astype(np.int64)
    except ValueError as error:
        raise DataError(f"{path}: a date is malformed ({error})") from error


def _check_complete(path: Path, text: str, found: int) -> None:
    """Every record opens with ``_id``; one without name or time would otherwise be skipped in silence."""
    starts = [match.start() for match in re.finditer(r'"_id"', text)]
    if not starts:
        raise DataError(f"{path}, line 1: no record found; this is not the export vis.digraph.allEdges.json")
    if len(starts) == found:
        return
    bounds = zip(starts, [*starts[1:], len(text)], strict=True)
    bad = next((start for start, stop in bounds if not _RECORD.search(text, start, stop)), starts[-1])
    line = text.count("\n", 0, bad) + 1
    raise DataError(f"{path}, line {line}: a record lacks its name 'sender_receiver' or its time; get the file again")

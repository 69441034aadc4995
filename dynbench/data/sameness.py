"""Whether the data at hand are still those of an earlier run, told by reading as little as that takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dynbench import files
from dynbench.config.source import read_class
from dynbench.data.download import accepted_sums, sha256_of
from dynbench.data.finding import Summed, sums_at_hand
from dynbench.data.locations import Locations

NAME = "sums"


def is_same(
    values: Mapping[str, Any],
    where: Locations,
    view: str,
    kept: Any,
    graph: str | None,
    sum_of: Summed = sha256_of,
) -> bool:
    """Whether the files of today hold the graph of a run. Files that are not at hand contradict nothing.

    Args:
        values: Settings of the dataset.
        where: Folders to look in.
        view: As the protocol sees it.
        kept: SHA-256 of the files of that run, by name.
        graph: Checksum of its graph.
        sum_of: Gives the SHA-256 of a file.

    Raises:
        DataError: If they cannot be read, or are not those of the card.
    """
    if not isinstance(kept, Mapping) or not _has_files(values):
        return True  # generated, or found in a way of its own
    sums = sums_at_hand(values, where, sum_of)
    if sums is None or sums == kept:
        return True
    # Other files may hold the same graph: another format, or the same numbers written otherwise.
    from dynbench.data import cards

    return cards.build_settings(dict(values), where).load(view).checksum() == graph


def is_pinned(values: Mapping[str, Any]) -> bool:
    """Whether a card says what its files hold, in whatever format, so that no run can be made on anything else."""
    if values.get("path") is not None:
        return False
    content = (values.get("expected") or {}).get("content")
    return bool(content) and all(accepted_sums(file) for file in values.get("files") or ())


class KnownSums:
    """SHA-256 of files, kept in the cache with their sizes and times, so that only what was written since is read.

    Args:
        where: Whose cache.
    """

    def __init__(self, where: Locations):
        self._path, self._new = where.cache_dir / NAME, False
        self._known: dict[str, list[Any]] = {}
        with suppress(OSError, ValueError):
            self._known = json.loads(bytes(files.unseal(self._path)))

    def __call__(self, path: Path) -> str:
        """The sum of a file.

        Raises:
            DataError: If it cannot be read.
        """
        place, now = str(path.absolute()), self._stamp(path)
        if now is not None and self._known.get(place, [None])[:-1] == now:
            return self._known[place][-1]
        found = sha256_of(path)
        if now is not None and now == self._stamp(path):
            self._known[place], self._new = [*now, found], True
        return found

    def save(self) -> None:
        """Keep what is new. A cache that cannot be written is none."""
        if self._new:
            with suppress(OSError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                files.seal(self._path, json.dumps(self._known).encode())
            self._new = False

    @staticmethod
    def _stamp(path: Path) -> list[int] | None:
        """Size, and when content and entry were changed: a copy that keeps its old time is seen, too."""
        try:
            found = path.stat()
        except OSError:
            return None
        return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _has_files(values: Mapping[str, Any]) -> bool:
    return {"files", "folder", "where"} <= set(read_class(values["_target_"]).parameters)

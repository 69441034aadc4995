"""``FileDataset``: a graph read from files, wherever they are."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dynbench.data import canonical, cutting
from dynbench.data.base import Dataset, View, check_expected, check_view, plain
from dynbench.data.download import fetch, sha256_of, verify
from dynbench.data.events import RawEvents
from dynbench.data.locations import DataUnavailable, Locations
from dynbench.data.readers import find_reader, renet
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.ranges import Duration, Name, Place, Positive

log = logging.getLogger(__name__)

# Part of every cache key. Raise it when reading or cutting changes its result.
LOADER_VERSION = 1


@dataclass(frozen=True)
class _Source:
    """Files that were found, and how to read them."""

    kind: str
    files: list[Path]
    reader: Callable[[list[Path]], RawEvents]

    @property
    def canonical(self) -> bool:
        return self.reader is canonical.read_canonical


class FileDataset(Dataset):
    """A dataset whose files lie in a folder of the user, in the cache, or behind a URL.

    Looked for in this order: ``<data_dir>/<name>/`` in the project's own format or with the upstream files, the
    cache, the download.

    Args:
        name: Name of the dataset and of its folder.
        reader: Reader of the upstream files: a name known to :mod:`dynbench.data.readers`, or ``module.function``.
        directed: Whether snapshots keep ``(i, j)`` and ``(j, i)`` apart.
        events_directed: The same for events in continuous time; as ``directed`` when ``None``.
        bipartite: Whether sources and destinations are disjoint sets.
        window: Length of a snapshot, e.g. ``10d``; ``None`` for the published cut.
        span: With ``window``: only events within this time from the first one.
        seconds: Seconds per unit of time; ``None`` if time only counts steps.
        path: Folder or CSV file to read instead of looking for one.
        folder: Another name of the folder looked for.
        files: Upstream files, each with ``name``, ``url``, ``sha256`` and, for archives, ``member``.
        expected: Statistics the data must have.
        native: Settings under which the cut-dependent part of ``expected`` holds.
        count_links: How ``expected.links`` counts.
        card: Title, origin, licence and citation; for people.
        unavailable: Why the data cannot be had, if so.
        where: Folders to look in.
    """

    def __init__(
        self,
        name: Name,
        reader: str = "canonical",
        directed: bool = True,
        events_directed: bool | None = None,
        bipartite: bool = False,
        window: Duration | None = None,
        span: Duration | None = None,
        seconds: Positive | None = 1.0,
        path: Place | None = None,
        folder: Name | None = None,
        files: list | None = None,
        expected: dict | None = None,
        native: dict | None = None,
        count_links: Literal["sum_over_steps", "distinct_over_time"] = "sum_over_steps",
        card: dict | None = None,
        unavailable: str | None = None,
        where: Locations | None = None,
    ) -> None:
        self.name, self.reader, self.path = name, reader, path
        self.folders = [name, *([folder] if folder else [])]
        self.directed, self.bipartite, self.seconds = directed, bipartite, seconds
        self.events_directed = directed if events_directed is None else events_directed
        self.window, self.span = window, span
        self.files, self.card = plain(files or []), plain(card or {})
        self.expected, self.native, self.count_links = plain(expected or {}), plain(native or {}), count_links
        self.unavailable = unavailable
        self.where = where if where is not None else Locations.from_settings()

    # ---- loading ------------------------------------------------------------------------------------------

    def load(self, view: View = "snapshots") -> TemporalGraph:
        """Find, read, cut and check the data.

        Args:
            view: ``snapshots``, cut as published or by ``window``, or ``events`` in continuous time.

        Returns:
            The graph.

        Raises:
            DataUnavailable: If the files are nowhere, saying where they were looked for and what to do.
            DataError: If they are damaged, malformed, or not what the card says.
        """
        check_view(view)
        source = self._resolve()
        sums = {file.name: sha256_of(file) for file in source.files}
        stored = self._cache_file(source, sums, view)
        graph = _read_stored(stored)
        if graph is None:
            graph = self._build(source, view)
            _store(graph, stored)
        native = all(getattr(self, key, value) == value for key, value in self.native.items())
        check_expected(graph, self.name, self.expected, view, native, self.count_links)
        self._origin = {"source": source.kind, "files": sums, "arguments": self._arguments(view)}
        return graph

    def _build(self, source: _Source, view: View) -> TemporalGraph:
        if view == "snapshots" and self.window is None:
            return self._published(source)
        try:
            graph = cutting.to_events(source.reader(source.files), self.events_directed, self.bipartite, self.seconds)
            return graph if view == "events" else cutting.cut(graph, self.window, self.span, self.directed)
        except DataError as error:
            raise self._named(error) from error

    def _published(self, source: _Source) -> TemporalGraph:
        """The cut that comes with the data: a column of the events, or a file of its own."""
        readable = not source.canonical or canonical.has_edges(source.files)
        raw = source.reader(source.files) if readable else None
        if source.canonical and (raw is None or raw.snapshot is None):
            raw = canonical.read_snapshots(source.files)
        if raw is None or raw.snapshot is None:
            raise DataError(
                f"dataset '{self.name}' has no snapshots of its own; say how long a snapshot is, e.g. data.window=10d"
            )
        if self.span is not None:
            raise DataError(f"data.span={self.span} needs data.window as well; the published cut takes no span")
        try:
            return cutting.published_cut(raw, self.directed, self.bipartite)
        except DataError as error:
            raise self._named(error) from error

    def _named(self, error: DataError) -> DataError:
        """The same error, with the name of the dataset in front."""
        return error if self.name in str(error) else type(error)(f"dataset '{self.name}': {error}")

    # ---- finding ------------------------------------------------------------------------------------------

    def _resolve(self) -> _Source:
        if self.path is not None:
            return self._at_path(Path(self.path).expanduser())
        for folder in self._user_folders():
            if canonical.is_canonical(folder):
                files = canonical.files_of(folder)
                return _Source("user folder", files, canonical.reader_of(files))
            if found := self._upstream_files(folder):
                for path, file in zip(found, self.files, strict=True):
                    verify(path, file)
                return _Source("user folder", found, find_reader(self.reader))
        if found := self._downloaded():
            return _Source("cache", found, find_reader(self.reader))
        return _Source("download", self._download(), find_reader(self.reader))

    def _user_folders(self) -> list[Path]:
        return [found for name in self.folders for found in self.where.user_folders(name)]

    def _at_path(self, path: Path) -> _Source:
        if not path.exists():
            raise DataUnavailable(f"dataset '{self.name}': data.path={path} does not exist")
        if self.reader != "canonical":
            return _Source("user folder", _files_at(path), find_reader(self.reader))
        if renet.is_renet(path):
            return _Source("user folder", renet.files_of(path), renet.read_renet)
        files = canonical.files_of(path)
        if not files or not (path.is_file() or canonical.is_canonical(path)):
            raise DataUnavailable(
                f"dataset '{self.name}': {path} holds neither edges.csv.gz nor edges.csv, nor the parts of a "
                "knowledge graph, train and test (.csv or .txt)"
            )
        return _Source("user folder", files, canonical.reader_of(files))

    def _upstream_files(self, folder: Path) -> list[Path]:
        """All upstream files in a folder, packed or not; empty unless complete."""
        found = []
        for file in self.files:
            names = (file["name"], f"{file['name']}.gz")
            found.append(next((folder / name for name in names if (folder / name).is_file()), None))
        return found if found and None not in found else []

    def _downloaded(self) -> list[Path]:
        """Upstream files in the cache. Damaged ones are removed, so that they are fetched again."""
        found = self._upstream_files(self.where.downloads(self.name))
        for path, file in zip(found, self.files, strict=False):
            try:
                verify(path, file)
            except DataError as error:
                log.warning("removing a damaged file from the cache: %s", error)
                path.unlink(missing_ok=True)
                return []
        return found

    def _download(self) -> list[Path]:
        if self.unavailable or self.where.offline or not self.files or not all(f.get("url") for f in self.files):
            raise DataUnavailable(self._nowhere())
        folder = self.where.downloads(self.name)
        return [fetch(self.name, file, folder, self.where.progress) for file in self.files]

    def _nowhere(self) -> str:
        folders = [*self._user_folders(), self.where.downloads(self.name)]
        looked = f"dataset '{self.name}' is not available; looked in {', '.join(map(str, folders))}."
        if self.unavailable:
            return f"{looked} It cannot be downloaded: {self.unavailable}"
        urls = [str(file["url"]) for file in self.files if file.get("url")]
        homepage = f" (see {self.card['homepage']})" if self.card.get("homepage") else ""
        names = " and ".join(file["name"] for file in self.files) or "edges.csv.gz"
        by_hand = f"put {names}{homepage} into <data_dir>/{self.name}/, with data_dir set or DYNBENCH_DATA exported"
        if urls and self.where.offline:
            return f"{looked} Set offline=false to download {', '.join(urls)}, or {by_hand}."
        return f"{looked} There is nothing to download it from: {by_hand}."

    # ---- cache --------------------------------------------------------------------------------------------

    def _arguments(self, view: View) -> dict[str, Any]:
        keys = ("reader", "directed", "events_directed", "bipartite", "window", "span", "seconds")
        return {"view": view, **{key: getattr(self, key) for key in keys}}

    def _cache_file(self, source: _Source, sums: dict[str, str], view: View) -> Path:
        # The reader's own source is part of the key: who edits a reader gets a fresh graph without clearing anything.
        code = sha256_of(Path(inspect.getfile(source.reader)))
        key = json.dumps([LOADER_VERSION, code, source.reader.__name__, self._arguments(view), sums], sort_keys=True)
        return self.where.graphs() / f"{self.name}-{view}-{hashlib.sha256(key.encode()).hexdigest()[:20]}.npz"


def _files_at(path: Path) -> list[Path]:
    """The files of a folder, or one file and arrays of the same name beside it."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    arrays = path.with_suffix(".npy")
    return [path, arrays] if arrays.is_file() and arrays != path else [path]


def _read_stored(path: Path) -> TemporalGraph | None:
    """A parsed graph from the cache; a damaged file is removed and counts as absent."""
    if not path.is_file():
        return None
    try:
        return TemporalGraph.load(path)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        log.warning("removing a damaged graph from the cache: %s (%s)", path, error)
        path.unlink(missing_ok=True)
        return None


def _store(graph: TemporalGraph, path: Path) -> None:
    """Keep a parsed graph. The cache is a convenience: a full or read-only disk must not stop a run."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        graph.save(path)
    except OSError as error:
        log.warning("cannot write the cache %s (%s); set cache_dir to a folder that can be written", path.parent, error)

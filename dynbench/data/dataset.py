"""``FileDataset``: a graph read from files, wherever they are."""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path
from typing import Any, Literal

from dynbench.data import cache, canonical, cutting
from dynbench.data.base import OTHER_FILES, Dataset, View, check_expected, check_view, plain
from dynbench.data.content import require_content
from dynbench.data.download import sha256_of
from dynbench.data.events import RawEvents
from dynbench.data.finding import Finder, Source
from dynbench.data.locations import Locations
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.ranges import Duration, Name, Place, Positive

# Part of every cache key. Raise it when reading or cutting changes its result.
LOADER_VERSION = 3


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
        self.name, self.reader = name, reader
        self.directed, self.bipartite, self.seconds = directed, bipartite, seconds
        self.events_directed = directed if events_directed is None else events_directed
        self.window, self.span = window, span
        self.expected, self.native, self.count_links = plain(expected or {}), plain(native or {}), count_links
        self.where = where if where is not None else Locations.from_settings()
        self._finder = Finder(
            name, reader, path, folder, plain(files or []), plain(card or {}), unavailable, self.where
        )

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
        source = self._finder.find()
        sums = source.sums()
        stored = self._cache_file(source, sums, view)
        graph = cache.load(stored)
        if graph is None:
            graph = self._build(source, view)
            cache.store(graph, stored)
        native = all(getattr(self, key, value) == value for key, value in self.native.items())
        check_expected(graph, self.name, self.expected, view, native, self.count_links)
        self._origin = {"source": source.kind, "files": sums, "arguments": self._arguments(view)}
        return graph

    def _build(self, source: Source, view: View) -> TemporalGraph:
        if view == "snapshots" and self.window is None:
            return self._published(source)
        try:
            graph = cutting.to_events(self._read(source), self.events_directed, self.bipartite, self.seconds)
            return graph if view == "events" else cutting.cut(graph, self.window, self.span, self.directed)
        except DataError as error:
            raise self._named(error) from error

    def _read(self, source: Source) -> RawEvents:
        """The events as they were read. Those in the project's own format are compared with what the card knows.

        Upstream files are known by their own checksums, and may hold more columns.
        """
        raw = source.reader(source.files)
        if source.own_format:
            require_content(raw, self.name, self._content, OTHER_FILES)
        return raw

    @property
    def _content(self) -> dict[str, str]:
        return self.expected.get("content") or {}

    def _published(self, source: Source) -> TemporalGraph:
        """The cut that comes with the data: a column of the events, or a file of its own."""
        readable = not source.canonical or canonical.has_edges(source.files)
        raw = self._read(source) if readable else None
        if source.canonical and (raw is None or raw.snapshot is None):
            raw = canonical.read_snapshots(source.files)
            if raw is not None:
                require_content(raw, self.name, self._content, OTHER_FILES, snapshots=True)
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

    # ---- cache --------------------------------------------------------------------------------------------

    def _arguments(self, view: View) -> dict[str, Any]:
        keys = ("reader", "directed", "events_directed", "bipartite", "window", "span", "seconds")
        return {"view": view, **{key: getattr(self, key) for key in keys}}

    def _cache_file(self, source: Source, sums: dict[str, str], view: View) -> Path:
        # The reader's own source is part of the key: who edits a reader gets a fresh graph without clearing anything.
        code = sha256_of(Path(inspect.getfile(source.reader)))
        key = json.dumps([LOADER_VERSION, code, source.reader.__name__, self._arguments(view), sums], sort_keys=True)
        return self.where.graphs() / f"{self.name}-{view}-{hashlib.sha256(key.encode()).hexdigest()[:20]}.npz"

"""``MonthlyDataset``: a graph read from files and cut at the beginnings of calendar months."""

from __future__ import annotations

import dataclasses

import numpy as np

from dynbench.data import cutting
from dynbench.data.base import View
from dynbench.data.dataset import FileDataset
from dynbench.data.events import RawEvents
from dynbench.data.finding import Source
from dynbench.data.locations import Locations
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.ranges import Count, Name, Place


class MonthlyDataset(FileDataset):
    """Events with Unix times, a snapshot per calendar month (UTC), and the nodes that occur in one of them.

    Nodes without an event in these months are left out, and the others are numbered in their old order. Events in
    continuous time are those of the whole file, with its own nodes.

    Args:
        name: Name of the dataset and of its folder.
        first: The first month, e.g. ``2000-01``.
        months: Number of months.
        directed: Whether snapshots keep ``(i, j)`` and ``(j, i)`` apart.
        path: Folder or CSV file to read instead of looking for one.
        folder: Another name of the folder looked for.
        files: Upstream files, as of :class:`~dynbench.data.dataset.FileDataset`.
        expected: Statistics the data must have.
        native: Settings under which the cut-dependent part of ``expected`` holds.
        card: Title, origin, licence and citation; for people.
        unavailable: Why the data cannot be had, if so.
        where: Folders to look in.
    """

    def __init__(
        self,
        name: Name,
        first: str = "2000-01",
        months: Count = 12,
        directed: bool = True,
        path: Place | None = None,
        folder: Name | None = None,
        files: list | None = None,
        expected: dict | None = None,
        native: dict | None = None,
        card: dict | None = None,
        unavailable: str | None = None,
        where: Locations | None = None,
    ) -> None:
        super().__init__(
            name, directed=directed, path=path, folder=folder, files=files, expected=expected, native=native, card=card,
            unavailable=unavailable, where=where,
        )  # fmt: skip
        try:
            self.first_month = np.datetime64(str(first), "M")
        except ValueError as error:
            raise DataError(f"data.first={first} is no month; write e.g. 2000-01") from error
        self.first, self.months = str(first), months

    def _published(self, source: Source) -> TemporalGraph:
        try:
            raw = in_months(self._read(source), self.first_month, self.months)
        except DataError as error:
            raise self._named(error) from error
        return cutting.published_cut(raw, self.directed, self.bipartite)

    def _arguments(self, view: View) -> dict:
        return {**super()._arguments(view), "first": self.first, "months": self.months, "cut": "months"}


def in_months(raw: RawEvents, first: np.datetime64, months: int) -> RawEvents:
    """The events of some months, each with its month's number, and the nodes that occur in them.

    Args:
        raw: Events whose times are seconds since 1970.
        first: The first month.
        months: Number of months.

    Raises:
        DataError: If no event falls into them.

    >>> raw = RawEvents(np.array([3, 3, 9]), np.array([9, 5, 3]), np.array([0, 31 * 86400, 32 * 86400]), 10)
    >>> cut = in_months(raw, np.datetime64("1970-02"), 2)
    >>> cut.src.tolist(), cut.dst.tolist(), cut.snapshot.tolist(), cut.num_nodes
    ([0, 2], [1, 0], [0, 0], 3)
    """
    number = raw.time.astype("datetime64[s]").astype("datetime64[M]").astype(int) - first.astype(int)
    kept = (number >= 0) & (number < months)
    if not kept.any():
        raise DataError(f"no event falls into the {months} months from {first} on")
    nodes, ends = np.unique(np.stack([raw.src[kept], raw.dst[kept]]), return_inverse=True)
    src, dst = ends.reshape(2, -1)
    parts = {
        name: None if getattr(raw, name) is None else getattr(raw, name)[kept]
        for name in ("time", "weight", "relation", "edge_features")
    }
    labels = None if raw.node_labels is None else raw.node_labels[..., nodes]
    features = None if raw.node_features is None else raw.node_features[nodes]
    return dataclasses.replace(
        raw, src=src, dst=dst, **parts, node_labels=labels, node_features=features, num_nodes=len(nodes), part=None,
        snapshot=number[kept], num_steps=months,
    )  # fmt: skip

"""What a stream model knows: the events of every node, their features, and when it all began."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.neighbors import TemporalNeighbors
from dynbench.sampling.hashed import hashed_uniform

Sampling = Literal["recent", "uniform", "time_weighted"]


class Near(NamedTuple):
    """Earlier events of ``Q`` nodes, ``K`` each, in order of time.

    Where there is none, the node is ``num_nodes``, which nobody meets, the row is 0, whose features are zero, and the
    time is that at which everything began.

    Attributes:
        nodes: ``(Q, K) long`` whom they met.
        rows: ``(Q, K) long`` rows of edge features.
        times: ``(Q, K)`` when, in the type of the graph.
        since: ``(Q, K) float`` how long ago.
        mask: ``(Q, K) bool`` whether there is an event.
    """

    nodes: Tensor
    rows: Tensor
    times: Tensor
    since: Tensor
    mask: Tensor


class Known:
    """A growing stream of events.

    Args:
        graph: Events to begin with; may be none.
        device: Where everything lives.
        seed: Of the draws of neighbours; a node at a time has the same ones whenever it is asked about.
        origin: Time at which everything began; that of the first event when omitted.
        rounded: Whether :meth:`near` tells times in single precision, in which those from 2^24 on are rounded.
    """

    def __init__(
        self, graph: TemporalGraph, device: torch.device | str, seed: int = 0, origin: Tensor | None = None,
        rounded: bool = False,
    ):  # fmt: skip
        self.num_nodes, self.device, self.seed = graph.num_nodes, torch.device(device), seed
        self.rounded = rounded
        first = graph.time[:1] if len(graph) else graph.time.new_zeros(1)
        self.origin = (first if origin is None else origin.view(1)).to(self.device)
        # One node more than there are: the one that stands where there is none.
        self.index = TemporalNeighbors(graph, graph.num_nodes + 1, device)
        self.nodes = _padded(_features(graph.node_features, "node"), self.device)
        self._edges = torch.zeros(1, 0, device=self.device)
        self._store(graph)

    def __len__(self) -> int:
        """Number of events."""
        return len(self.index)

    def append(self, events: TemporalGraph) -> None:
        """Add events, none of which may be earlier than those that are known. With the first one, everything begins."""
        if not len(self) and len(events):
            self.origin = events.time[:1].to(self.device)
        self.index.append(events)
        self._store(events)

    def mark(self) -> dict[str, Tensor]:
        """Where the stream stands, for :meth:`rewind`."""
        return self.index.mark()

    def rewind(self, mark: dict[str, Tensor]) -> None:
        """Go back to a mark."""
        self.index.rewind(mark)

    def near(self, nodes: Tensor, times: Tensor, count: int, sampling: Sampling = "recent") -> Near:
        """Events of nodes strictly before times.

        Args:
            nodes: ``(Q,) long``, ``num_nodes`` for none.
            times: ``(Q,)``.
            count: Events per node.
            sampling: The latest ones, padded in front, or draws with replacement, padded only where there are none.
        """
        if sampling == "recent":
            found = self.index.before(nodes, times, count)
        else:
            found = self.index.before(nodes, times, count, sampling, hashed_uniform((nodes, times), count, self.seed))
        met = found.mask
        when = torch.where(met, found.times, self.origin)
        if self.rounded:
            when = when.float().to(when.dtype)
        return Near(
            found.nodes.masked_fill(~met, self.num_nodes), (found.events + 1).masked_fill(~met, 0), when,
            (times[:, None] - when).float(), met,
        )  # fmt: skip

    def features(self, nodes: Tensor) -> Tensor | None:
        """``nodes.shape + (F,)`` features of nodes; ``None`` if all are zero."""
        return None if self.nodes is None else self.nodes[nodes]

    def edges(self, rows: Tensor) -> Tensor | None:
        """``rows.shape + (F,)`` features of events; ``None`` if all are zero."""
        return self._edges[rows] if self._edges.shape[1] else None

    def _store(self, events: TemporalGraph) -> None:
        """Keep the features of events where their ids say."""
        features = _features(events.edge_features, "edge", events.ids)
        width = self._edges.shape[1] if features is None else features.shape[1]
        if not width or not len(events):
            return
        rows = events.ids.to(self.device) + 1
        needed = int(rows.max()) + 1
        if needed > len(self._edges) or not self._edges.shape[1]:
            grown = self._edges.new_zeros(max(needed, 2 * len(self._edges)), width)
            grown[: len(self._edges), : self._edges.shape[1]] = self._edges
            self._edges = grown
        if features is not None:
            self._edges[rows] = features.to(self.device)


def widths(graph: TemporalGraph) -> dict[str, int]:
    """Widths of the node and edge features that are not all zero."""
    parts = {"node_features": graph.node_features, "edge_features": graph.edge_features}
    return {name: part.shape[1] if part is not None and bool(part.any()) else 0 for name, part in parts.items()}


def _features(features: Tensor | None, kind: str, ids: Tensor | None = None) -> Tensor | None:
    if features is None or not bool(features.any()):
        return None
    bad = (~torch.isfinite(features)).any(1).nonzero().squeeze(1)
    if len(bad):
        row = int(bad[0] if ids is None else ids[bad[0]])
        raise DataError(f"the {kind} features of {'node' if kind == 'node' else 'event'} {row} are not all finite")
    return features


def _padded(features: Tensor | None, device: torch.device) -> Tensor | None:
    """A row of zeros more, for the node that is none."""
    if features is None:
        return None
    return torch.cat([features, features.new_zeros(1, features.shape[1])]).to(device)

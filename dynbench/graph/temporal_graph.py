"""``TemporalGraph``: the one data structure that datasets produce and models, protocols and samplers read.

A temporal graph is a list of events ``(src, dst, time)`` sorted by time, with optional relation ids, weights and
features. A *snapshot graph* is the same thing with ``num_steps`` set: its times are the step indices
``0 .. num_steps - 1`` and every pair occurs at most once per step (and relation).

Graphs are immutable. Cutting by time gives views that share memory with the whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from dynbench.errors import DataError

# Fields with one entry per event, and fields that belong to nodes; the rest are plain values.
_EVENT_FIELDS = ("src", "dst", "time", "relation", "weight", "edge_features", "ids")
_NODE_FIELDS = ("node_features", "node_labels")
_TENSORS = (*_EVENT_FIELDS, *_NODE_FIELDS, "unknown")
# Stands above this module, and is imported where it is used.
_CONVERT = "dynbench.graph.convert"
# For people; no part of what is compared, summed or stored.
_NAMES = ("node_names", "relation_names")


@dataclass(frozen=True, eq=False)
class TemporalGraph:
    """Time-sorted events between ``num_nodes`` nodes.

    Build one with :meth:`from_events`, which checks and sorts; the bare constructor trusts its arguments.

    Attributes:
        src, dst: ``(E,) long`` node ids in ``[0, num_nodes)``.
        time: ``(E,) long`` or ``double``, ascending.
        num_nodes: Nodes of the whole dataset, also those silent in this part of it.
        num_relations: Relation types; 1 when ``relation`` is ``None``.
        directed: Whether ``(src, dst)`` and ``(dst, src)`` differ. Undirected snapshot graphs store
            ``src <= dst``.
        bipartite: Whether the two ends come from two disjoint node sets.
        num_steps: Number of snapshots, or ``None`` for a graph in continuous time.
        relation: ``(E,) long`` relation ids, or ``None``.
        weight: ``(E,) float``, for snapshot graphs the number of events behind a pair, or ``None``.
        edge_features: ``(E, F) float`` or ``None``.
        node_features: ``(N, F) float`` or ``None``.
        node_labels: ``(N,)`` or ``(T, N) long`` classes, -1 where unknown, or ``None``.
        seconds: Seconds per unit of ``time`` (1.0 for Unix time), or ``None`` if the unit is not a duration.
        split: Times at which the published validation and test parts begin (equal ones if there is no validation
            part), or ``None`` for data that come without such parts.
        unknown: ``(2, U) long`` pairs of which the graph does not say whether they are linked, or ``None``.
        ids: ``(E,) long`` global numbers of the events, kept by every cut: rows of what is stored per event elsewhere.
            Counted from 0 in the order of time when omitted, and neither stored nor part of the checksum.
        node_names, relation_names: What the numbers stand for, or ``None``; not stored nor part of the checksum either.
    """

    src: Tensor
    dst: Tensor
    time: Tensor
    num_nodes: int
    num_relations: int = 1
    directed: bool = True
    bipartite: bool = False
    num_steps: int | None = None
    relation: Tensor | None = None
    weight: Tensor | None = None
    edge_features: Tensor | None = None
    node_features: Tensor | None = None
    node_labels: Tensor | None = None
    seconds: float | None = None
    split: tuple[float, float] | None = None
    unknown: Tensor | None = None
    ids: Tensor | None = None
    node_names: tuple[str, ...] | None = None
    relation_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.ids is None:
            object.__setattr__(self, "ids", torch.arange(len(self.src), device=self.src.device))
        elif len(self.ids) != len(self.src):
            raise ValueError(f"{len(self.ids)} ids for {len(self.src)} events")

    @classmethod
    def from_events(cls, src, dst, time, num_nodes: int | None = None, **fields) -> TemporalGraph:
        """Check, convert and stably sort events given as arrays or tensors.

        Args:
            src, dst: ``(E,)`` integer node ids.
            time: ``(E,)`` integers or floats.
            num_nodes: Node count; the largest id plus one when omitted.
            **fields: Any other attribute of the class; those per event are sorted along.

        Raises:
            DataError: If lengths differ, an id is negative or too large, or a time is not finite.
        """
        src, dst = (torch.as_tensor(ids, dtype=torch.long) for ids in (src, dst))
        time = torch.as_tensor(time)
        time = time.double() if time.is_floating_point() else time.long()
        for name in (*_EVENT_FIELDS[3:], *_NODE_FIELDS):
            if fields.get(name) is not None:
                dtype = torch.long if name in ("relation", "node_labels", "ids") else torch.float32
                fields[name] = torch.as_tensor(fields[name], dtype=dtype)
        num_nodes = _check_ids(src, dst, num_nodes)
        _check_times(time, fields.get("num_steps"))
        for name in _EVENT_FIELDS[2:]:
            values = time if name == "time" else fields.get(name)
            if values is not None and len(values) != len(src):
                raise DataError(f"'{name}' has {len(values)} entries for {len(src)} events")
        order = torch.argsort(time, stable=True)
        for name in _EVENT_FIELDS[3:]:
            if fields.get(name) is not None:
                fields[name] = fields[name][order]
        if fields.get("relation") is not None:
            highest = int(fields["relation"].max()) + 1 if len(src) else 0
            fields["num_relations"] = max(fields.get("num_relations", 1), highest)
        return cls(src[order], dst[order], time[order], num_nodes, **fields)

    # ---- size ---------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of events."""
        return len(self.src)

    def __repr__(self) -> str:
        steps = "" if self.num_steps is None else f", {self.num_steps} steps"
        kind = "directed" if self.directed else "undirected"
        return f"TemporalGraph({self.num_nodes} nodes, {len(self)} events{steps}, {kind})"

    # ---- views --------------------------------------------------------------------------------------------

    def between(self, start: float, stop: float) -> TemporalGraph:
        """Events with ``start <= time < stop``, as a view."""
        return self._events(slice(self._position(start), self._position(stop)))

    def before(self, time: float) -> TemporalGraph:
        """Events strictly before ``time``, as a view.

        Of a snapshot graph, ``num_steps`` is cut as well: the history before step t has t snapshots, also when the
        last of them is silent.
        """
        earlier = self._events(slice(0, self._position(time)))
        if self.num_steps is None:
            return earlier
        return dataclasses.replace(earlier, num_steps=max(0, min(self.num_steps, _whole(time))))

    def step(self, step: int) -> TemporalGraph:
        """One snapshot of a snapshot graph, as a view."""
        return self.between(step, step + 1)

    def steps(self) -> Iterator[TemporalGraph]:
        """The snapshots in order."""
        return (self.step(step) for step in range(self.require_steps()))

    def events(self, start: int, stop: int) -> TemporalGraph:
        """Events by position, from ``start`` up to before ``stop``, as a view; positions may fall inside ties."""
        return self._events(slice(max(start, 0), max(stop, 0)))

    def subset(self, mask: Tensor) -> TemporalGraph:
        """The events chosen by a ``(E,) bool`` mask; the one cut that copies."""
        return self._events(mask)

    def _position(self, time: float) -> int:
        """Index of the first event at or after ``time``."""
        bound = time if self.time.is_floating_point() else _whole(time)
        return int(torch.searchsorted(self.time, torch.tensor(bound, dtype=self.time.dtype, device=self.time.device)))

    def _events(self, index) -> TemporalGraph:
        parts = {name: getattr(self, name) for name in _EVENT_FIELDS}
        return dataclasses.replace(self, **{k: v[index] for k, v in parts.items() if v is not None})

    # ---- conversions --------------------------------------------------------------------------------------

    def snapshots(self, step: Tensor, num_steps: int, directed: bool | None = None) -> TemporalGraph:
        """Group events into snapshots and merge repeated pairs.

        Args:
            step: ``(E,) long`` snapshot of each event; events with a step outside ``[0, num_steps)`` are dropped.
            num_steps: Number of snapshots, silent ones included.
            directed: Overrides ``self.directed``; ``False`` merges ``(i, j)`` with ``(j, i)``.

        Returns:
            A snapshot graph whose ``weight`` counts (or sums the weights of) the merged events.
        """
        directed = self.directed if directed is None else directed
        kept = (step >= 0) & (step < num_steps)
        src, dst, step = self.src[kept], self.dst[kept], step[kept]
        if not directed:
            src, dst = torch.minimum(src, dst), torch.maximum(src, dst)
        relation = self.relation[kept] if self.relation is not None else torch.zeros_like(src)
        weight = self.weight[kept] if self.weight is not None else torch.ones(len(src))
        # Pairs by rank: the square of a large number of nodes times many steps does not fit in 64 bits.
        pairs, pair = torch.unique(src * self.num_nodes + dst, return_inverse=True)
        key = (step * self.num_relations + relation) * max(len(pairs), 1) + pair
        key, group = torch.unique(key, return_inverse=True)
        weight = torch.zeros(len(key)).index_add_(0, group, weight.float())
        key, pair = key // max(len(pairs), 1), pairs[key % max(len(pairs), 1)]
        src, dst = pair // self.num_nodes, pair % self.num_nodes
        return dataclasses.replace(
            self,
            src=src,
            dst=dst,
            time=key // self.num_relations,
            relation=None if self.relation is None else key % self.num_relations,
            weight=weight,
            edge_features=None,
            ids=None,
            directed=directed,
            num_steps=num_steps,
            seconds=None,
            split=None,
        )

    def require_steps(self) -> int:
        """``num_steps``, or a ``DataError`` for a graph in continuous time."""
        if self.num_steps is None:
            raise DataError("this graph is in continuous time; cut it into snapshots with data.window, e.g. 10d")
        return self.num_steps

    def extended(self, events: TemporalGraph) -> TemporalGraph:
        """This graph followed by ``events``, none of which may be earlier than its last one."""
        parts = {name: (getattr(self, name), getattr(events, name)) for name in _EVENT_FIELDS}
        joined = {name: torch.cat(both) for name, both in parts.items() if both[0] is not None}
        if self.num_steps is None or not len(events):
            return dataclasses.replace(self, **joined)
        return dataclasses.replace(self, **joined, num_steps=max(self.num_steps, int(events.time[-1]) + 1))

    def first_seen(self) -> Tensor:
        """``(N,)`` time of each node's first event; the largest representable value for nodes without one."""
        never = torch.finfo(self.time.dtype).max if self.time.is_floating_point() else torch.iinfo(torch.long).max
        seen = torch.full((self.num_nodes,), never, dtype=self.time.dtype, device=self.time.device)
        for ends in (self.src, self.dst):
            seen.scatter_reduce_(0, ends, self.time, "amin")
        return seen

    def named(self, names: tuple[str, ...]) -> TemporalGraph:
        """The same graph with a name for each node."""
        if len(names) != self.num_nodes:
            raise DataError(f"{len(names)} names for {self.num_nodes} nodes")
        return dataclasses.replace(self, node_names=names)

    def with_nodes(self, features=None, labels=None) -> TemporalGraph:
        """The same graph with features or classes of its nodes, a row or an entry for each."""
        given = {"node_features": (features, torch.float32), "node_labels": (labels, torch.long)}
        fields = {name: torch.as_tensor(v, dtype=kind) for name, (v, kind) in given.items() if v is not None}
        for name, values in fields.items():
            if self.num_nodes not in (len(values), values.shape[-1] if name == "node_labels" else -1):
                raise DataError(f"'{name}' has {len(values)} entries for {self.num_nodes} nodes")
        return dataclasses.replace(self, **fields)

    def to(self, device: torch.device | str) -> TemporalGraph:
        """The same graph with every tensor on ``device``."""
        fields = {name: getattr(self, name) for name in _TENSORS}
        return dataclasses.replace(self, **{k: v.to(device) for k, v in fields.items() if v is not None})

    # ---- other libraries ----------------------------------------------------------------------------------

    @classmethod
    def from_pandas(cls, frame, src="src", dst="dst", time="time", **fields) -> TemporalGraph:
        """A graph from a data frame, see :func:`dynbench.graph.convert.from_pandas`."""
        return importlib.import_module(_CONVERT).from_pandas(frame, src, dst, time, **fields)

    @classmethod
    def from_networkx(cls, graph, **fields) -> TemporalGraph:
        """A graph from NetworkX, see :func:`dynbench.graph.convert.from_networkx`."""
        return importlib.import_module(_CONVERT).from_networkx(graph, **fields)

    @classmethod
    def from_pyg(cls, data, **fields) -> TemporalGraph:
        """A graph from PyTorch Geometric, see :func:`dynbench.graph.convert.from_pyg`."""
        return importlib.import_module(_CONVERT).from_pyg(data, **fields)

    def to_pandas(self, names: bool = True, dates: bool = False):
        """A row per event, see :func:`dynbench.graph.convert.to_pandas`."""
        return importlib.import_module(_CONVERT).to_pandas(self, names, dates)

    def to_networkx(self, names: bool = True):
        """A multigraph with an edge per event."""
        return importlib.import_module(_CONVERT).to_networkx(self, names)

    def to_pyg(self):
        """PyTorch Geometric's ``TemporalData``."""
        return importlib.import_module(_CONVERT).to_pyg(self)

    # ---- storage ------------------------------------------------------------------------------------------

    def checksum(self) -> str:
        """SHA-256 over all arrays and sizes: equal graphs, equal sums."""
        digest = hashlib.sha256(json.dumps(self._values(), sort_keys=True).encode())
        for name, array in sorted(self._arrays().items()):
            digest.update(f"{name}:{array.dtype}:{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def write(self, file: IO[bytes]) -> None:
        """Write plain arrays (``.npz``) into an open file."""
        np.savez_compressed(file, _values=np.array(json.dumps(self._values())), **self._arrays())

    def save(self, path: str | Path) -> None:
        """Write plain arrays (``.npz``), through a temporary name so that no half-written file can be found."""
        path = Path(path)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                self.write(file)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path | IO[bytes]) -> TemporalGraph:
        """Read what :meth:`save` or :meth:`write` wrote. Pickled content is refused."""
        with np.load(path, allow_pickle=False) as stored:
            values = json.loads(str(stored["_values"]))
            arrays = {name: torch.from_numpy(stored[name]) for name in stored.files if name != "_values"}
        if "split" in values:
            values["split"] = tuple(values["split"])
        return cls(**arrays, **values)

    def _arrays(self) -> dict[str, np.ndarray]:
        fields = {name: getattr(self, name) for name in _TENSORS if name != "ids"}
        return {name: value.cpu().numpy() for name, value in fields.items() if value is not None}

    def _values(self) -> dict:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values = {name: value for name, value in values.items() if name not in (*_TENSORS, *_NAMES)}
        if self.split is None:
            del values["split"]  # so that graphs without parts keep the checksum that they have in older records
        return values


def _whole(time: float) -> int:
    """The first whole number that is not before ``time``; a very large one for infinity."""
    return math.ceil(time) if math.isfinite(time) else int(math.copysign(2**62, time))


def _check_ids(src: Tensor, dst: Tensor, num_nodes: int | None) -> int:
    if len(src) != len(dst):
        raise DataError(f"{len(src)} sources for {len(dst)} destinations")
    lowest = min((int(ids.min()) for ids in (src, dst) if len(ids)), default=0)
    highest = max((int(ids.max()) for ids in (src, dst) if len(ids)), default=-1)
    if lowest < 0:
        raise DataError(f"node id {lowest} is negative; ids count from 0")
    if num_nodes is not None and highest >= num_nodes:
        raise DataError(f"node id {highest} does not fit the declared {num_nodes} nodes (ids count from 0)")
    return highest + 1 if num_nodes is None else num_nodes


def _check_times(time: Tensor, num_steps: int | None) -> None:
    if time.is_floating_point() and not bool(torch.isfinite(time).all()):
        row = int((~torch.isfinite(time)).nonzero()[0])
        raise DataError(f"the time of event {row} is {float(time[row])}; times must be finite numbers")
    if num_steps is not None and len(time) and not 0 <= int(time.min()) <= int(time.max()) < num_steps:
        raise DataError(f"snapshot indices run from {int(time.min())} to {int(time.max())}, outside 0..{num_steps - 1}")

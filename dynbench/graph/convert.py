"""Graphs from and to what other libraries hold: columns, pandas, NetworkX, PyTorch Geometric.

None of these libraries is needed before one of its functions is called.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch

from dynbench.errors import DataError
from dynbench.graph.temporal_graph import TemporalGraph
from dynbench.graph.times import as_dates, as_times


def from_columns(
    src: Any, dst: Any, time: Any = None, *, weight: Any = None, relation: Any = None, edge_features: Any = None,
    num_nodes: int | None = None, directed: bool = True, bipartite: bool = False, seconds: float | None = None,
) -> TemporalGraph:  # fmt: skip
    """A graph in continuous time from one column per property; without times a single snapshot.

    Args:
        src, dst: ``(E,)`` ids of any kind. Whole numbers that leave none out from 0 stay what they are, and so do those
            below ``num_nodes``; others are numbered in the order in which they occur, and kept as ``node_names``.
        time: ``(E,)`` numbers or dates, see :func:`dynbench.graph.times.as_times`.
        weight: ``(E,)`` numbers.
        relation: ``(E,)`` kinds of events, as whole numbers or by name.
        edge_features: ``(E, F)`` numbers.
        num_nodes: Nodes, those without an event included; only with ids that are whole numbers.
        directed, bipartite: As for :class:`TemporalGraph`. A bipartite graph numbers its two sides apart.
        seconds: Seconds per unit of time, for times that are plain numbers.

    Raises:
        DataError: If the columns differ in length, an id or a time is missing, or there is no event.
    """
    src, dst = np.asarray(src), np.asarray(dst)
    if not len(src):
        raise DataError("there is no event")
    src, dst, count, names = _numbered(src, dst, num_nodes, bipartite)
    fields: dict[str, Any] = {"directed": directed, "bipartite": bipartite, "node_names": names}
    if time is None:
        time, fields["num_steps"] = np.zeros(len(src), dtype=np.int64), 1
    else:
        time, unit = as_times(time)
        fields["seconds"] = unit if unit is not None else seconds
    if relation is not None:
        kinds, _, _, fields["relation_names"] = _numbered(np.asarray(relation), np.asarray(relation), None, False)
        fields["relation"] = kinds
    for name, values in (("weight", weight), ("edge_features", edge_features)):
        if values is not None:
            fields[name] = np.array(values, dtype=np.float32)  # a copy: a frame's own arrays are read-only
    return TemporalGraph.from_events(src, dst, time, count, **fields)


def _numbered(
    src: np.ndarray, dst: np.ndarray, num_nodes: int | None, bipartite: bool
) -> tuple[np.ndarray, np.ndarray, int, tuple[str, ...] | None]:
    """Ids from 0, their number, and the names that they stand for, if any."""
    if len(src) != len(dst):
        raise DataError(f"{len(src)} sources for {len(dst)} destinations")
    ends = np.concatenate([src, dst])
    if ends.dtype.kind == "f" and bool((ends == np.floor(ends)).all()):
        ends = ends.astype(np.int64)
    if ends.dtype.kind in "iub":
        ends = ends.astype(np.int64)
        sides_apart = not bipartite or not len(np.intersect1d(src, dst))
        dense = ends.min() >= 0 and len(np.unique(ends)) == ends.max() + 1
        if sides_apart and (dense or num_nodes is not None):
            return ends[: len(src)], ends[len(src) :], int(ends.max()) + 1 if num_nodes is None else num_nodes, None
        listed: list[Hashable] = ends.tolist()
    else:
        listed = ends.tolist()
        missing = next((row for row, name in enumerate(listed) if name is None or name != name or name == ""), None)
        if missing is not None:
            end = "source" if missing < len(src) else "destination"
            raise DataError(f"the {end} of event {missing % len(src)} is missing")
    if num_nodes is not None:
        raise DataError("num_nodes goes with ids that are whole numbers from 0")
    count = len(src)
    if bipartite:
        left = {name: number for number, name in enumerate(dict.fromkeys(listed[:count]))}
        right = {name: len(left) + number for number, name in enumerate(dict.fromkeys(listed[count:]))}
        names = [*left, *right]
    else:
        # In the order of events, source before destination.
        order = [name for pair in zip(listed[:count], listed[count:], strict=True) for name in pair]
        left = right = {name: number for number, name in enumerate(dict.fromkeys(order))}
        names = list(left)
    numbers = np.array([left[name] for name in listed[:count]] + [right[name] for name in listed[count:]])
    return numbers[:count], numbers[count:], len(names), tuple(map(str, names))


# ---- pandas -----------------------------------------------------------------------------------------------------


def from_pandas(
    frame: Any, src: str = "src", dst: str = "dst", time: str | None = "time", *, weight: str | None = None,
    relation: str | None = None, edge_features: Sequence[str] = (), **fields: Any,
) -> TemporalGraph:  # fmt: skip
    """A graph from a data frame with a row per event.

    Args:
        frame: A ``pandas.DataFrame``.
        src, dst, time, weight, relation: Names of its columns; ``time=None`` for a graph without times.
        edge_features: Names of its columns that are features of the events.
        **fields: As for :func:`from_columns`.

    Raises:
        DataError: If a column is missing, or as :func:`from_columns`.
    """
    wanted = [name for name in (src, dst, time, weight, relation, *edge_features) if name is not None]
    for name in wanted:
        if name not in frame.columns:
            raise DataError(f"the frame has no column '{name}'; it has {', '.join(map(str, frame.columns))}")

    def column(name: str | None) -> Any:
        if name is None:
            return None
        values = frame[name]
        aware = getattr(values.dt, "tz", None) is not None if str(values.dtype).startswith("datetime64") else False
        return (values.dt.tz_convert("UTC").dt.tz_localize(None) if aware else values).to_numpy()

    features = frame[list(edge_features)].to_numpy() if edge_features else None
    return from_columns(
        column(src), column(dst), column(time), weight=column(weight), relation=column(relation),
        edge_features=features, **fields,
    )  # fmt: skip


def to_pandas(graph: TemporalGraph, names: bool = True, dates: bool = False) -> Any:
    """A ``pandas.DataFrame`` with the columns ``src``, ``dst``, ``time``, and those that the graph has beside them.

    Args:
        graph: What to convert.
        names: Names of nodes and relations, where the graph knows them, in place of numbers.
        dates: Times as dates, where they are seconds since 1970.
    """
    import pandas

    content = {name: _named(getattr(graph, name), graph.node_names if names else None) for name in ("src", "dst")}
    time = graph.time.cpu().numpy()
    content["time"] = as_dates(time, graph.seconds) if dates else time
    if graph.relation is not None:
        content["relation"] = _named(graph.relation, graph.relation_names if names else None)
    if graph.weight is not None:
        content["weight"] = graph.weight.cpu().numpy()
    if graph.edge_features is not None:
        features = graph.edge_features.cpu().numpy()
        content |= {f"feature_{number}": features[:, number] for number in range(features.shape[1])}
    return pandas.DataFrame(content)


def _named(ids: torch.Tensor, names: Sequence[str] | None) -> np.ndarray:
    numbers = ids.cpu().numpy()
    return numbers if names is None else np.array(names, dtype=object)[numbers]


# ---- NetworkX ---------------------------------------------------------------------------------------------------


def from_networkx(graph: Any, time: str | None = "time", weight: str | None = None, **fields: Any) -> TemporalGraph:
    """A graph from a NetworkX graph whose edges carry their time; every node is kept.

    Args:
        graph: A ``networkx`` graph of any kind; parallel edges are events of their own.
        time, weight: Names of edge attributes; ``time=None`` for a graph without times.
        **fields: As for :func:`from_columns`.

    Raises:
        DataError: If an edge lacks an attribute, or there is no edge.
    """
    nodes = list(graph.nodes)
    place = {name: number for number, name in enumerate(nodes)}
    edges = list(graph.edges(data=True))
    for first, second, about in edges:
        for name in (time, weight):
            if name is not None and name not in about:
                raise DataError(f"the edge {first!r} to {second!r} has no attribute '{name}'")
    made = from_columns(
        [place[first] for first, _, _ in edges],
        [place[second] for _, second, _ in edges],
        None if time is None else [about[time] for _, _, about in edges],
        weight=None if weight is None else [about[weight] for _, _, about in edges],
        num_nodes=len(nodes), **{"directed": graph.is_directed(), **fields},
    )  # fmt: skip
    plain = nodes == list(range(len(nodes)))
    return made if plain else made.named(tuple(map(str, nodes)))


def to_networkx(graph: TemporalGraph, names: bool = True) -> Any:
    """A ``networkx`` multigraph: an edge per event with ``time``, and perhaps ``weight`` and ``relation``."""
    import networkx

    made = networkx.MultiDiGraph() if graph.directed else networkx.MultiGraph()
    called = graph.node_names if names and graph.node_names is not None else range(graph.num_nodes)
    made.add_nodes_from(called)
    columns = {"time": graph.time, "weight": graph.weight, "relation": graph.relation}
    values = {name: part.tolist() for name, part in columns.items() if part is not None}
    for row, (src, dst) in enumerate(zip(graph.src.tolist(), graph.dst.tolist(), strict=True)):
        made.add_edge(called[src], called[dst], **{name: part[row] for name, part in values.items()})
    return made


# ---- PyTorch Geometric ------------------------------------------------------------------------------------------


def from_pyg(data: Any, **fields: Any) -> TemporalGraph:
    """A graph from ``torch_geometric.data.TemporalData``, or from a ``Data`` whose ``edge_index`` has times beside it.

    Args:
        data: With ``src``, ``dst``, ``t`` and perhaps ``msg``; or ``edge_index``, perhaps ``time`` (or ``edge_time``),
            ``edge_attr``, ``edge_type``, ``x`` and ``y``.
        **fields: As for :func:`from_columns`.

    Raises:
        DataError: If it is neither.
    """
    read = {name: getattr(data, name, None) for name in ("src", "dst", "t", "msg", "edge_index", "x", "y")}
    if read["src"] is not None and read["t"] is not None:
        fields = {"num_nodes": int(data.num_nodes), **fields}
        return from_columns(*_numpy(read["src"], read["dst"], read["t"]), edge_features=_matrix(read["msg"]), **fields)
    if read["edge_index"] is None:
        raise DataError(f"{type(data).__name__} holds neither src, dst and t nor an edge_index")
    time = next((part for name in ("time", "edge_time") if (part := getattr(data, name, None)) is not None), None)
    src, dst = _numpy(*read["edge_index"])
    kinds = getattr(data, "edge_type", None)
    made = from_columns(
        src, dst, None if time is None else _numpy(time)[0], edge_features=_matrix(getattr(data, "edge_attr", None)),
        relation=None if kinds is None else _numpy(kinds)[0], **{"num_nodes": int(data.num_nodes), **fields},
    )  # fmt: skip
    return made.with_nodes(features=_matrix(read["x"]), labels=None if read["y"] is None else _numpy(read["y"])[0])


def to_pyg(graph: TemporalGraph) -> Any:
    """A ``torch_geometric.data.TemporalData`` with ``src``, ``dst``, ``t`` and ``msg``: features, else weights."""
    from torch_geometric.data import TemporalData

    msg = graph.edge_features
    if msg is None:
        msg = torch.ones(len(graph), 1) if graph.weight is None else graph.weight[:, None]
    return TemporalData(src=graph.src, dst=graph.dst, t=graph.time, msg=msg)


def _numpy(*parts: Any) -> list[np.ndarray]:
    return [torch.as_tensor(part).cpu().numpy() for part in parts]


def _matrix(part: Any) -> np.ndarray | None:
    if part is None:
        return None
    (array,) = _numpy(part)
    return array[:, None] if array.ndim == 1 else array

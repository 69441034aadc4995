"""Graphs from and to other libraries: nothing is lost, and what cannot be understood is named."""

from __future__ import annotations

import datetime
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dynbench.data.canonical import files_of, read_canonical
from dynbench.data.cutting import to_events
from dynbench.data.writing import write_folder
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.convert import from_columns
from dynbench.graph.times import as_times

DAY = 86400


def same(one: TemporalGraph, other: TemporalGraph) -> bool:
    return one.checksum() == other.checksum() and one.node_names == other.node_names


@pytest.mark.parametrize(
    ("values", "expected", "unit"),
    [
        ([3, 1, 2], [3, 1, 2], None),
        ([0.5, 1.0], [0.5, 1.0], None),
        (["3", " 4 "], [3, 4], None),
        (["1970-01-02", "1970-01-01T00:00:01Z"], [DAY, 1], 1.0),
        (["1970-01-01 01:00:00+01:00"], [0], 1.0),
        (["1970-01-01 00:00:00 UTC"], [0], 1.0),
        (["Thu, 01 Jan 1970 00:00:05 +0000"], [5], 1.0),
        (["31/01/1970", "01/02/1970"], [30 * DAY, 31 * DAY], 1.0),
        (["01/31/1970", "02/01/1970 "], [30 * DAY, 31 * DAY], 1.0),
        (["1970/01/01 00:01"], [60], 1.0),
        ([datetime.date(1970, 1, 3)], [2 * DAY], 1.0),
        (np.array(["1970-01-01T00:00:00.5"], dtype="datetime64[ns]"), [0.5], 1.0),
    ],
)
def test_times_are_understood(values, expected, unit):
    found, seconds = as_times(values)
    assert found.tolist() == expected
    assert seconds == unit


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["01/02/1970", "03/04/1970"], "cannot be told apart"),
        (["1970-01-01", "soon"], "'soon' is neither a number nor a date"),
        ([1.0, float("nan")], "event 1 is nan"),
        (np.array(["1970-01-01", "NaT"], dtype="datetime64[s]"), "event 1 is missing"),
    ],
)
def test_times_that_are_none_are_named(values, said):
    with pytest.raises(DataError, match=said):
        as_times(values)


def test_ids_keep_their_numbers_or_their_names():
    plain = from_columns([0, 2], [1, 0], [5, 6])
    assert (plain.node_names, plain.num_nodes, plain.src.tolist()) == (None, 3, [0, 2])
    gaps = from_columns([7, 9], [9, 30], [5, 6])
    assert (gaps.node_names, gaps.src.tolist(), gaps.dst.tolist()) == (("7", "9", "30"), [0, 1], [1, 2])
    kept = from_columns([7, 9], [9, 3], [5, 6], num_nodes=20)
    assert (kept.node_names, kept.num_nodes, kept.src.tolist()) == (None, 20, [7, 9])
    sides = from_columns(["a", "b"], ["a", "c"], [5, 6], bipartite=True)
    assert (sides.node_names, sides.dst.tolist()) == (("a", "b", "a", "c"), [2, 3])
    with pytest.raises(DataError, match="destination of event 1 is missing"):
        from_columns(["a", "b"], ["b", None], [1, 2])
    with pytest.raises(DataError, match="no event"):
        from_columns([], [], [])


def test_pandas_and_back():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "who": ["x", "y", "x"], "whom": ["y", "z", "z"], "kind": ["likes", "knows", "likes"], "w": [1.5, 2.0, 0.5],
            "when": pandas.to_datetime(["2004-01-03 12:00", "2004-01-01 00:00", "2004-01-02 00:00"]).tz_localize(
                "Europe/Berlin"
            ),
        }
    )  # fmt: skip
    graph = TemporalGraph.from_pandas(frame, "who", "whom", "when", weight="w", relation="kind")
    assert graph.node_names == ("x", "y", "z")
    assert graph.relation_names == ("likes", "knows")
    back = graph.to_pandas(dates=True)
    assert back["src"].tolist() == ["y", "x", "x"]
    assert back["relation"].tolist() == ["knows", "likes", "likes"]
    assert back["weight"].tolist() == [2.0, 0.5, 1.5]
    assert back["time"].iloc[-1] == pandas.Timestamp("2004-01-03 11:00")
    again = TemporalGraph.from_pandas(back, weight="weight", relation="relation")
    assert again.num_nodes == 3
    assert again.time.tolist() == graph.time.tolist()
    with pytest.raises(DataError, match="no column 'time'; it has who, whom"):
        TemporalGraph.from_pandas(frame, "who", "whom")


def test_networkx_and_back():
    networkx = pytest.importorskip("networkx")
    graph = TemporalGraph.from_events([0, 1, 0, 0], [1, 2, 1, 3], [1, 2, 2, 4], 6, weight=[1.0, 2.0, 3.0, 4.0])
    made = graph.to_networkx()
    assert made.number_of_nodes() == 6
    assert made.number_of_edges(0, 1) == 2
    back = TemporalGraph.from_networkx(made, weight="weight")
    assert same(TemporalGraph.from_networkx(back.to_networkx(), weight="weight"), back)
    assert sorted(back.weight.tolist()) == [1.0, 2.0, 3.0, 4.0]
    assert (back.num_nodes, back.directed) == (6, True)
    ring = networkx.cycle_graph(["a", "b", "c"])
    named = TemporalGraph.from_networkx(ring, time=None)
    assert (named.node_names, named.num_steps, named.directed, len(named)) == (("a", "b", "c"), 1, False, 3)
    with pytest.raises(DataError, match="'a' to 'b' has no attribute 'time'"):
        TemporalGraph.from_networkx(ring)


def test_pyg_both_kinds():
    events = SimpleNamespace(
        src=torch.tensor([0, 4]), dst=torch.tensor([1, 0]), t=torch.tensor([3, 1]), msg=torch.eye(2), num_nodes=6
    )
    graph = TemporalGraph.from_pyg(events)
    assert (graph.num_nodes, graph.src.tolist(), graph.edge_features[0].tolist()) == (6, [4, 0], [0.0, 1.0])
    static = SimpleNamespace(
        edge_index=torch.tensor([[0, 1], [1, 2]]), x=torch.ones(4, 2), y=torch.tensor([0, 1, 0, 1]), num_nodes=4
    )
    still = TemporalGraph.from_pyg(static, directed=False)
    assert (still.num_steps, still.node_features.shape, still.node_labels.tolist()) == (1, (4, 2), [0, 1, 0, 1])
    with pytest.raises(DataError, match="neither src, dst and t nor an edge_index"):
        TemporalGraph.from_pyg(SimpleNamespace())


def test_pyg_and_back():
    pytest.importorskip("torch_geometric")
    graph = TemporalGraph.from_events([0, 1], [1, 2], [5, 6], edge_features=[[1.0], [2.0]])
    assert same(TemporalGraph.from_pyg(graph.to_pyg()), graph)


@pytest.mark.parametrize("steps", [None, 3])
def test_a_written_folder_is_read_as_it_was(tmp_path, steps):
    graph = TemporalGraph.from_events(
        [0, 1, 3], [1, 2, 0], [0, 1, 2], 5, num_steps=steps, weight=[0.1, 2.0, 3.0], relation=[1, 0, 2],
        node_features=np.eye(5, 2), edge_features=np.eye(3), node_labels=[0, 1, -1, 1, 0],
    ).named(("a, b", 'say "c"', "d", "e\n", "#f"))  # fmt: skip
    write_folder(graph, tmp_path / "one")
    write_folder(graph, tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    raw = read_canonical(files_of(tmp_path / "one"))
    read = to_events(raw, directed=True, bipartite=False, seconds=None)
    assert read.num_nodes == 5
    for name in ("src", "dst", "time", "weight", "relation", "edge_features", "node_features", "node_labels"):
        assert torch.equal(getattr(read, name), getattr(graph, name)), name
    assert (raw.snapshot is None) == (steps is None)

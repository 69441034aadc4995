"""The one data structure: cuts share memory, bounds are exact, files hold plain arrays."""

from __future__ import annotations

import dataclasses
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import graphs_slow as slow

from dynbench.errors import DataError
from dynbench.graph import TemporalGraph


def small(**fields) -> TemporalGraph:
    """Five events, given out of order."""
    return TemporalGraph.from_events([3, 0, 1, 2, 0], [1, 1, 2, 2, 1], [30, 10, 20, 20, 10], **fields)


def full() -> TemporalGraph:
    """Every field set."""
    return small(
        num_nodes=5,
        num_relations=4,
        directed=False,
        bipartite=False,
        relation=[2, 0, 1, 0, 2],
        weight=[1, 2, 3, 4, 5],
        edge_features=np.arange(10).reshape(5, 2),
        node_features=np.ones((5, 3)),
        node_labels=[0, 1, -1, 0, 1],
        seconds=60.0,
    )


def events(graph: TemporalGraph) -> list[tuple]:
    return list(zip(graph.src.tolist(), graph.dst.tolist(), graph.time.tolist(), strict=True))


# ---- building ---------------------------------------------------------------------------------------------


def test_events_are_sorted_stably_with_all_that_belongs_to_them():
    graph = full()
    assert events(graph) == [(0, 1, 10), (0, 1, 10), (1, 2, 20), (2, 2, 20), (3, 1, 30)]
    assert graph.weight.tolist() == [2, 5, 3, 4, 1]
    assert graph.relation.tolist() == [0, 2, 1, 0, 2]
    assert graph.edge_features[:, 0].tolist() == [2, 8, 4, 6, 0]
    assert graph.node_labels.tolist() == [0, 1, -1, 0, 1]
    assert graph.num_nodes == 5
    assert graph.num_relations == 4


def test_types():
    graph = full()
    assert {graph.src.dtype, graph.time.dtype, graph.relation.dtype, graph.node_labels.dtype} == {torch.long}
    assert {graph.weight.dtype, graph.edge_features.dtype, graph.node_features.dtype} == {torch.float32}
    assert TemporalGraph.from_events([0], [1], [0.5]).time.dtype == torch.double
    assert TemporalGraph.from_events([0], [1], np.array([7], dtype=np.int32)).time.dtype == torch.long


def test_sizes_follow_from_the_events():
    assert small().num_nodes == 4
    assert small(relation=[0, 3, 1, 0, 0]).num_relations == 4
    assert len(small()) == 5
    assert repr(small()) == "TemporalGraph(4 nodes, 5 events, directed)"
    snapshots = small(directed=False).snapshots(torch.zeros(5).long(), 2)
    assert repr(snapshots) == "TemporalGraph(4 nodes, 4 events, 2 steps, undirected)"


def test_an_empty_graph():
    graph = TemporalGraph.from_events([], [], [], 3)
    assert len(graph) == 0
    assert len(graph.before(5)) == 0
    assert graph.num_nodes == 3
    assert (graph.first_seen() > 10**18).all()


@pytest.mark.parametrize(
    ("arguments", "fields", "message"),
    [
        (([0, 1], [1], [0, 0]), {}, "2 sources for 1 destinations"),
        (([0, -2], [1, 1], [0, 0]), {}, "node id -2 is negative; ids count from 0"),
        (([0, 5], [1, 1], [0, 0], 5), {}, "node id 5 does not fit the declared 5 nodes"),
        (([0, 1], [1, 1], [0]), {}, "'time' has 1 entries for 2 events"),
        (([0, 1], [1, 1], [0, 0]), {"weight": [1.0]}, "'weight' has 1 entries for 2 events"),
        (([0, 1], [1, 1], [0, 0]), {"relation": [1, 1, 1]}, "'relation' has 3 entries for 2 events"),
        (([0, 1], [1, 1], [0.0, np.nan]), {}, "the time of event 1 is nan; times must be finite numbers"),
        (([0, 1], [1, 1], [np.inf, 0.0]), {}, "the time of event 0 is inf"),
        (([0, 1], [1, 1], [0, 3]), {"num_steps": 3}, r"snapshot indices run from 0 to 3, outside 0\.\.2"),
        (([0, 1], [1, 1], [-1, 2]), {"num_steps": 3}, r"snapshot indices run from -1 to 2, outside 0\.\.2"),
    ],
)
def test_what_is_refused(arguments, fields, message):
    with pytest.raises(DataError, match=message):
        TemporalGraph.from_events(*arguments, **fields)


def test_a_graph_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        small().num_nodes = 9


# ---- views ------------------------------------------------------------------------------------------------


def test_views_share_memory():
    graph = full()
    for view in (graph.before(20), graph.between(10, 25), graph.between(0, 99)):
        for name in ("src", "dst", "time", "relation", "weight", "edge_features"):
            assert getattr(view, name).untyped_storage().data_ptr() == getattr(graph, name).untyped_storage().data_ptr()
        assert view.node_features is graph.node_features
        assert view.num_nodes == graph.num_nodes
        assert (view.directed, view.seconds) == (False, 60.0)


def test_bounds():
    graph = small()
    assert [len(graph.before(t)) for t in (0, 10, 11, 20, 21, 30, 31)] == [0, 0, 2, 2, 4, 4, 5]
    assert events(graph.between(10, 20)) == [(0, 1, 10), (0, 1, 10)]
    assert events(graph.between(20, 31)) == [(1, 2, 20), (2, 2, 20), (3, 1, 30)]
    assert len(graph.between(20, 20)) == 0
    assert len(graph.between(25, 15)) == 0


def test_fractional_bounds_on_whole_times():
    graph = small()
    assert len(graph.before(10.0)) == 0
    assert len(graph.before(10.5)) == 2
    assert len(graph.before(9.999)) == 0
    assert len(graph.between(9.5, 19.5)) == 2
    assert len(graph.between(10.1, 20.1)) == 2
    assert len(graph.before(-0.5)) == 0


def test_whole_bounds_on_fractional_times():
    graph = TemporalGraph.from_events([0, 1, 2], [1, 2, 0], [0.5, 1.0, 1.5])
    assert [len(graph.before(t)) for t in (0.5, 1, 1.0000001, 2)] == [0, 1, 2, 3]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-5, 5)), st.floats(-6, 6), st.floats(-6, 6))
def test_between_is_a_filter(times, start, stop):
    graph = TemporalGraph.from_events([0] * len(times), [1] * len(times), times, 2)
    assert graph.between(start, stop).time.tolist() == [t for t in sorted(times) if start <= t < stop]


def test_steps_of_a_snapshot_graph():
    graph = TemporalGraph.from_events([0, 1, 2], [1, 2, 0], [0, 2, 2], num_steps=4)
    assert events(graph.step(2)) == [(1, 2, 2), (2, 0, 2)]
    assert [len(part) for part in graph.steps()] == [1, 0, 2, 0]
    assert graph.require_steps() == 4


def test_continuous_time_has_no_steps():
    with pytest.raises(DataError, match=r"this graph is in continuous time; cut it into snapshots with data\.window"):
        small().require_steps()


def test_a_subset_keeps_the_order():
    graph = full().subset(torch.tensor([True, False, True, False, True]))
    assert events(graph) == [(0, 1, 10), (1, 2, 20), (3, 1, 30)]
    assert graph.weight.tolist() == [2, 3, 1]


# ---- snapshots --------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(-1, 4), st.integers(1, 3), st.integers(0, 2))),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_merging_beside_a_dictionary(rows, directed, weighted, related):
    src, dst, step, weight, relation = ([row[k] for row in rows] for k in range(5))
    fields = ({"weight": weight} if weighted else {}) | ({"relation": relation} if related else {})
    graph = TemporalGraph.from_events(src, dst, list(range(len(rows))), 5, **fields)
    merged = graph.snapshots(torch.tensor(step, dtype=torch.long), 4, directed)
    expected = slow.merged(
        *(src, dst, step, weight if weighted else [1] * len(rows), relation if related else [0] * len(rows)),
        *(4, directed),
    )
    relations = merged.relation.tolist() if related else [0] * len(merged)
    found = zip(merged.time.tolist(), relations, merged.src.tolist(), merged.dst.tolist(), strict=True)
    assert dict(zip(found, merged.weight.tolist(), strict=True)) == expected
    assert len(merged) == len(expected)
    assert merged.time.tolist() == sorted(merged.time.tolist())
    assert (merged.relation is None) == (not related)
    assert (merged.num_steps, merged.directed, merged.seconds) == (4, directed, None)
    if not directed:
        assert (merged.src <= merged.dst).all()


def test_merging_keeps_what_belongs_to_nodes():
    merged = full().snapshots(torch.tensor([0, 0, 1, 1, 2]), 3)
    assert merged.node_features.shape == (5, 3)
    assert merged.node_labels.tolist() == [0, 1, -1, 0, 1]
    assert merged.edge_features is None
    assert merged.num_relations == 4


def test_first_seen():
    seen = small(num_nodes=6).first_seen()
    assert seen[:4].tolist() == [10, 10, 20, 30]
    assert (seen[4:] == torch.iinfo(torch.long).max).all()
    fractional = TemporalGraph.from_events([0, 1], [1, 2], [0.5, 0.25], 4).first_seen()
    assert fractional.tolist() == [0.5, 0.25, 0.25, torch.finfo(torch.double).max]


# ---- storage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", [small(), full(), TemporalGraph.from_events([], [], [], 2)], ids=["few", "all", "0"])
def test_saving_and_loading(graph, tmp_path):
    graph.save(tmp_path / "graph.npz")
    loaded = TemporalGraph.load(tmp_path / "graph.npz")
    for field in dataclasses.fields(graph):
        mine, other = getattr(graph, field.name), getattr(loaded, field.name)
        if isinstance(mine, torch.Tensor):
            assert torch.equal(mine, other)
            assert mine.dtype == other.dtype
        else:
            assert mine == other
    assert loaded.checksum() == graph.checksum()
    assert [path.name for path in tmp_path.iterdir()] == ["graph.npz"]


def test_files_hold_plain_arrays(tmp_path):
    full().save(tmp_path / "graph.npz")
    with zipfile.ZipFile(tmp_path / "graph.npz") as archive:
        assert not any(b"pickle" in archive.read(name) for name in archive.namelist())
    with np.load(tmp_path / "graph.npz", allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "evil.npz", src=np.array([object()], dtype=object), _values=np.array("{}"))
    with pytest.raises(ValueError, match="allow_pickle"):
        TemporalGraph.load(tmp_path / "evil.npz")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"src": 1}))
    with pytest.raises(ValueError, match="allow_pickle"):
        TemporalGraph.load(tmp_path / "evil.pkl")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    small().save(tmp_path / "graph.npz")

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("dynbench.graph.temporal_graph.np.savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        full().save(tmp_path / "graph.npz")
    assert TemporalGraph.load(tmp_path / "graph.npz").checksum() == small().checksum()
    assert [path.name for path in tmp_path.iterdir()] == ["graph.npz"]


def test_the_checksum_sees_every_field():
    graph = full()
    others = [
        {"src": graph.src.flip(0)},
        {"time": graph.time + 1},
        {"time": graph.time.double()},
        {"weight": None},
        {"weight": graph.weight + 1},
        {"relation": graph.relation.flip(0)},
        {"edge_features": graph.edge_features * 2},
        {"node_features": graph.node_features * 2},
        {"node_labels": graph.node_labels + 1},
        {"num_nodes": 6},
        {"num_relations": 5},
        {"directed": True},
        {"bipartite": True},
        {"num_steps": 40},
        {"seconds": 1.0},
    ]
    sums = {dataclasses.replace(graph, **change).checksum() for change in others}
    assert len(sums) == len(others)
    assert graph.checksum() not in sums
    assert full().checksum() == graph.checksum()


def test_moving_to_a_device_keeps_everything():
    assert full().to("cpu").checksum() == full().checksum()


def test_a_history_has_as_many_snapshots_as_lie_before_its_end():
    graph = TemporalGraph.from_events([0, 1], [1, 2], [0, 3], num_steps=5)
    assert [graph.before(step).num_steps for step in (0, 1, 2, 5, 9)] == [0, 1, 2, 5, 5]
    assert graph.before(float("inf")).num_steps == 5
    assert len(graph.before(float("inf"))) == 2
    assert len(graph.before(float("-inf"))) == 0
    assert graph.before(3).step(2).num_nodes == 3
    assert len(graph.before(3).step(2)) == 0


def test_views_by_position():
    graph = full()
    assert events(graph.events(1, 3)) == [(0, 1, 10), (1, 2, 20)]
    assert graph.events(1, 3).ids.tolist() == [1, 2]
    assert graph.events(1, 3).weight.tolist() == [5, 3]
    assert [len(graph.events(*bounds)) for bounds in ((0, 99), (4, 5), (3, 3), (-2, 2), (5, 9))] == [5, 1, 0, 2, 0]
    assert graph.events(1, 4).edge_features.untyped_storage().data_ptr() == graph.edge_features.data_ptr()


def test_ids_follow_every_cut_and_count_in_no_checksum():
    graph = full()
    assert graph.ids.tolist() == [0, 1, 2, 3, 4]
    assert graph.between(20, 99).ids.tolist() == [2, 3, 4]
    part = graph.subset(graph.src == 0).events(1, 2)
    assert part.ids.tolist() == [1]
    assert graph.before(20).extended(graph.between(20, 99)).ids.tolist() == [0, 1, 2, 3, 4]
    assert part.checksum() == dataclasses.replace(part, ids=torch.tensor([40])).checksum()
    assert small(ids=[9, 8, 7, 6, 5]).ids.tolist() == [8, 5, 7, 6, 9]
    assert graph.snapshots(torch.tensor([0, 0, 1, 1, 2]), 3).ids.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="5 ids for 4 events"):
        dataclasses.replace(graph, src=graph.src[1:])


def test_pairs_of_which_nothing_is_known_travel_with_the_graph(tmp_path):
    graph = TemporalGraph.from_events([0, 1], [1, 2], [0, 0], 4, directed=False, num_steps=1)
    masked = dataclasses.replace(graph, unknown=torch.tensor([[0, 2], [3, 3]]))
    assert graph.checksum() != masked.checksum()
    masked.save(tmp_path / "graph.npz")
    read = TemporalGraph.load(tmp_path / "graph.npz")
    assert read.unknown.tolist() == [[0, 2], [3, 3]]
    assert read.checksum() == masked.checksum()
    assert TemporalGraph.load(tmp_path / "graph.npz").to("cpu").before(1).unknown.tolist() == [[0, 2], [3, 3]]

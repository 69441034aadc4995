"""The project's own folder format, and what is said when a file breaks it."""

from __future__ import annotations

import gzip
import time

import numpy as np
import pytest

from dynbench.data import DataUnavailable, FileDataset
from dynbench.data.canonical import files_of, read_canonical
from dynbench.errors import DataError

EDGES = "src,dst,t\n0,1,10\n1,2,20\n0,2,35\n"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "graph"
    path.mkdir()
    return path


def _custom(folder, where, **settings):
    return FileDataset(name="custom", path=str(folder), where=where, **settings)


def test_plain_and_packed_files_read_alike(folder, where):
    (folder / "edges.csv").write_text(EDGES)
    plain = _custom(folder, where).load("events")
    (folder / "edges.csv").unlink()
    (folder / "edges.csv.gz").write_bytes(gzip.compress(EDGES.replace("\n", "\r\n").encode()))
    assert _custom(folder, where).load("events").checksum() == plain.checksum()
    assert plain.time.tolist() == [10, 20, 35]
    assert plain.seconds == 1.0


def test_a_single_file_of_any_name_is_a_graph(folder, where):
    (folder / "calls.csv").write_text(EDGES)
    graph = _custom(folder / "calls.csv", where, directed=False, window="15s").load()
    assert (graph.num_steps, graph.directed, graph.time.tolist()) == (2, False, [0, 0, 1])


def test_all_columns_and_companions(folder, where):
    (folder / "edges.csv").write_text(
        'note,src,dst,t,weight,snapshot,rel,label\n"a, b",0,1,1.5,2,0,1,7\nc,1,0,2.5,3,0,1,7\nd,1,3,3,1,2,0,7\n'
    )
    (folder / "nodes.csv").write_text("id,name\n" + "".join(f'{n},"N, {n}"\n' for n in range(5)))
    (folder / "labels.csv").write_text("id,label\n0,2\n3,0\n")
    dataset = _custom(folder, where, directed=False)
    events = dataset.load("events")
    assert events.num_nodes == 5
    assert events.time.tolist() == [1.5, 2.5, 3.0]
    assert events.relation.tolist() == [1, 1, 0]
    assert events.num_relations == 2
    assert events.node_labels.tolist() == [2, -1, -1, 0, -1]
    snapshots = dataset.load("snapshots")
    assert snapshots.num_steps == 3
    assert list(zip(snapshots.time.tolist(), snapshots.src.tolist(), snapshots.weight.tolist(), strict=True)) == [
        (0, 0, 5.0),
        (2, 1, 1.0),
    ]


def test_snapshots_file_gives_the_cut_where_edges_have_none(folder, where):
    (folder / "edges.csv").write_text(EDGES + "3,3,40\n")
    (folder / "snapshots.csv").write_text("src,dst,t,weight\n0,1,0,4\n1,2,2,1\n")
    dataset = _custom(folder, where, directed=False)
    snapshots = dataset.load("snapshots")
    assert (snapshots.num_nodes, snapshots.num_steps, snapshots.weight.tolist()) == (4, 3, [4.0, 1.0])
    assert len(dataset.load("events")) == 4
    (folder / "edges.csv").unlink()
    assert _custom(folder, where).load("snapshots").num_steps == 3
    with pytest.raises(DataError, match="only snapshots can be loaded"):
        _custom(folder, where).load("events")


def test_without_a_cut_the_window_is_asked_for(folder, where):
    (folder / "edges.csv").write_text(EDGES)
    with pytest.raises(DataError, match=r"'custom' has no snapshots of its own.*data\.window=10d"):
        _custom(folder, where).load("snapshots")
    assert _custom(folder, where, window=10, seconds=None).load().time.tolist() == [0, 1, 2]


def test_span_without_window(folder, where):
    (folder / "edges.csv").write_text("src,dst,t,snapshot\n0,1,5,0\n")
    with pytest.raises(DataError, match=r"data\.span=3d needs data\.window"):
        _custom(folder, where, span="3d").load()


def test_a_graph_without_times_is_one_snapshot(folder, where):
    (folder / "edges.csv").write_text("dst,src\n1,0\n2,1\n0,1\n")
    (folder / "labels.csv").write_text("id,label\n0,1\n4,0\n")
    np.savez(folder / "features.npz", features=np.eye(5, 2))
    graph = _custom(folder, where, directed=False).load("snapshots")
    assert (graph.num_steps, graph.num_nodes) == (1, 5)
    assert [graph.src.tolist(), graph.dst.tolist(), graph.time.tolist()] == [[0, 1], [1, 2], [0, 0]]
    assert graph.node_labels.tolist() == [1, -1, -1, -1, 0]
    assert graph.node_features.shape == (5, 2)
    (folder / "snapshots.csv").write_text("src,dst\n0,1\n")
    (folder / "edges.csv").unlink()
    with pytest.raises(DataError, match="no column 't'"):
        _custom(folder, where).load("snapshots")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("src,dst,time\n0,1,5\n", r"edges\.csv, line 1: no column 't'; the header must name src, dst, t \(found src, "),
        ("src;dst;t\n0;1;2\n", r"line 1: no column 'src'.*\(found src;dst;t\)"),
        ("src,dst,t\n0,1,5\n0,1.5,6\n", "line 3: 'dst' is 1.5, which is not a whole number"),
        ("src,dst,t\n0,1,5\n\n-2,1,6\n", "line 4: 'src' is -2, which is below 0"),
        ("src,dst,t\n0,1,5\n1,2,nan\n", "line 3: 't' is nan, which is not a finite number"),
        ("src,dst,t\n0,1,5\n1,2,\n", "line 3: 't' is '', which is not a number"),
        ("src,dst,t\n0,1,5\n1,2\n", r"line 3: no field for 't' \(column 3 of 2\)"),
        ("src,dst,t\n0,alice,5\n", "line 2: 'dst' is 'alice', which is not a number"),
        ("src,dst,t\n0,1,1700000000000000000\n", "line 2: 't' is 1700000000000000000, which is too large"),
        ("src,dst,t,snapshot\n0,1,5,-1\n", "line 2: 'snapshot' is -1"),
        ("src,dst,t,rel\n0,1,5,to\n", "line 2: 'rel' is 'to', which is not a number"),
        ("src,dst,t\n", "no data lines"),
        ("\n\n", "the file is empty"),
    ],
)
def test_malformed_edges(folder, where, text, words):
    (folder / "edges.csv").write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        _custom(folder, where).load("events")
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_truncated_and_foreign_gzip(folder, where):
    packed = gzip.compress((EDGES * 1).encode() + b"".join(b"0,1,%d\n" % n for n in range(5000)))
    for content in (packed[: len(packed) // 2], b"not gzip at all"):
        (folder / "edges.csv.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"edges\.csv\.gz: not a complete gzip file .*copy or download it again"):
            _custom(folder, where).load("events")


def test_text_that_is_not_utf8(folder, where):
    (folder / "edges.csv").write_bytes(b"src,dst,t,name\n0,1,2,a\n0,1,2,\xe9\n")
    with pytest.raises(DataError, match=r"edges\.csv, line 3: not UTF-8 text"):
        _custom(folder, where).load("events")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("nodes.csv", "id\n0\n1\n", r"node 2 occurs, but nodes\.csv ends at 1"),
        ("nodes.csv", "id\n0\n1\n1\n2\n", "node 1 is listed more than once"),
        ("nodes.csv", "name\nx\n", "no column 'id'"),
        ("labels.csv", "id,label\n7,1\n", "node 7 has a label but the graph has only 3 nodes"),
        ("labels.csv", "id,label\n1,red\n", "line 2: 'label' is 'red'"),
    ],
)
def test_malformed_companions(folder, where, name, text, words):
    (folder / "edges.csv").write_text(EDGES)
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=words):
        _custom(folder, where).load("events")


def test_path_that_leads_nowhere(folder, where):
    with pytest.raises(DataUnavailable, match=r"'custom': data\.path=.*nope does not exist"):
        _custom(folder / "nope", where).load()
    with pytest.raises(DataUnavailable, match=r"holds neither edges\.csv\.gz nor edges\.csv"):
        _custom(folder, where).load()


def test_a_third_of_a_million_lines_take_less_than_a_second(folder):
    draw = np.random.RandomState(0)
    table = np.stack([draw.randint(0, 986, 330_000), draw.randint(0, 986, 330_000), np.arange(330_000) * 200])
    np.savetxt(folder / "edges.csv", table.T, fmt="%d", delimiter=",", header="src,dst,t", comments="")
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        raw = read_canonical(files_of(folder))
        seconds.append(time.perf_counter() - start)
    assert len(raw.src) == 330_000
    np.testing.assert_array_equal(raw.time, table[2])
    assert min(seconds) < 1

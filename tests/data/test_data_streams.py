"""Event streams: readers of JODIE's, DGB's and TGB's files, features of events, and the generated stream."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dynbench.data import Locations, cards
from dynbench.data.arrays import read_npy, read_npz
from dynbench.data.dataset import FileDataset
from dynbench.data.readers.streams import read_dgb, read_jodie, read_tgb
from dynbench.data.streams import FlipStream
from dynbench.errors import DataError

CONF = Path(__file__).resolve().parents[2] / "conf" / "data"

JODIE = """user_id,item_id,timestamp,state_label,comma_separated_list_of_features
0,0,0.0,0,0.5,-1
1,0,36.0,0,0.25,2
1,1,36.0,1,0,3
"""
DGB = """,u,i,ts,label,idx
0,1,4,0.0,0.0,1
1,2,4,36.0,0.0,2
2,2,5,36.0,1.0,3
"""
COIN = """day,src,dst,weight
2020-01-01,0xab,0xcd,1.5
2020-01-01,0xcd,0xef,2
2020-01-02,0xab,0xef,4
"""


def _rows(raw):
    return list(zip(raw.src.tolist(), raw.dst.tolist(), raw.time.tolist(), strict=True))


def _write(folder: Path, name: str, content) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    if isinstance(content, str):
        (folder / name).write_text(content)
    else:
        np.save(folder / name, content)
    return folder / name


# ---- readers ----------------------------------------------------------------------------------------------


def test_jodie_items_stand_behind_users(tmp_path):
    raw = read_jodie([_write(tmp_path, "wikipedia.csv", JODIE)])
    assert _rows(raw) == [(0, 2, 0), (1, 2, 36), (1, 3, 36)]
    assert raw.time.dtype == np.int64
    assert raw.edge_features.tolist() == [[0.5, -1], [0.25, 2], [0, 3]]


def test_jodie_without_features(tmp_path):
    bare = "\n".join(line.rsplit(",", 2)[0] for line in JODIE.splitlines()[1:])
    raw = read_jodie([_write(tmp_path, "x.csv", f"user_id,item_id,timestamp,state_label\n{bare}\n")])
    assert raw.edge_features is None
    assert len(raw.src) == 3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("36.0,0,0.25", "36.0,0,nan", "line 3: 'feature 0' is nan, which is not a finite number"),
        ("36.0,0,0.25,2", "36.0,0,0.25", r"line 3: no field for 'feature 1' \(column 6 of 5\)"),
        ("1,1,36.0", "1,x,36.0", "line 4: 'item_id' is 'x', which is not a number"),
        ("0,0,0.0,0", "-1,0,0.0,0", "line 2: 'user_id' is -1, which is below 0"),
    ],
)
def test_jodie_errors_name_the_line(tmp_path, old, new, words):
    with pytest.raises(DataError, match=words):
        read_jodie([_write(tmp_path, "x.csv", JODIE.replace(old, new))])


def test_dgb_ids_and_features_count_from_one(tmp_path):
    files = [_write(tmp_path, "ml_x.csv", DGB), _write(tmp_path, "ml_x.npy", np.arange(8.0).reshape(4, 2))]
    raw = read_dgb(files)
    assert _rows(raw) == [(0, 3, 0), (1, 3, 36), (1, 4, 36)]
    assert raw.edge_features.tolist() == [[2, 3], [4, 5], [6, 7]]
    np.save(tmp_path / "ml_x.npy", np.zeros((4, 100)))
    assert read_dgb(files).edge_features is None
    assert read_dgb(files[:1]).edge_features is None


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (np.ones((3, 2)), "3 rows of features for 4 events and an empty first row"),
        (np.array([[0.0], [1], [np.nan], [1]]), "row 2, column 0 is nan; features must be finite numbers"),
        (np.array([[0.0], [1e300], [1], [1]]), "row 1, column 0 is 1e[+]300"),
        (np.array(["a", "b", "c", "d"]), "features must be numbers in rows"),
        (np.zeros((4, 2, 2)), r"shape \(4, 2, 2\)"),
    ],
)
def test_dgb_features_that_do_not_fit(tmp_path, features, words):
    with pytest.raises(DataError, match=words):
        read_dgb([_write(tmp_path, "ml_x.csv", DGB), _write(tmp_path, "ml_x.npy", features)])


def test_pickled_features_are_never_loaded(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path(tmp_path / "touched").touch, ())

    np.save(tmp_path / "evil.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="a file with pickled objects is never loaded"):
        read_npy(tmp_path / "evil.npy")
    np.savez(tmp_path / "evil.npz", features=np.array([Evil()], dtype=object))
    with pytest.raises(DataError, match="a file with pickled objects is never loaded"):
        read_npz(tmp_path / "evil.npz")
    assert not (tmp_path / "touched").exists()
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04torn")
    with pytest.raises(DataError, match="not a plain NumPy array"):
        read_npz(tmp_path / "torn.npz")


def test_tgb_words_dates_and_weights(tmp_path):
    raw = read_tgb([_write(tmp_path, "tgbl-coin_edgelist_v2.csv", COIN)])
    assert _rows(raw) == [(0, 1, 1577836800), (1, 2, 1577836800), (0, 2, 1577923200)]
    assert raw.edge_features.tolist() == [[1.5], [2], [4]]
    plain = read_tgb([_write(tmp_path, "tgbl-uci_edgelist.csv", "source,destination,timestamp\n7,3,10\n3,7,12\n")])
    assert _rows(plain) == [(0, 1, 10), (1, 0, 12)]
    assert plain.edge_features is None
    flight = read_tgb([_write(tmp_path, "f.csv", "timestamp,src,dst,callsign,typecode\n5,KJFK,EGLL,BA1,B744\n")])
    assert (_rows(flight), flight.edge_features) == ([(0, 1, 5)], None)


def test_tgb_reads_jodie_files_with_items_behind_users(tmp_path):
    raw = read_tgb([_write(tmp_path, "tgbl-wiki_edgelist_v2.csv", JODIE)])
    assert _rows(raw) == [(0, 2, 0), (1, 2, 36), (1, 3, 36)]
    assert raw.edge_features.tolist() == [[0.5, -1], [0.25, 2], [0, 3]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c\n1,2,3\n", "line 1: no column timestamp or ts or time or day; the header names a, b, c"),
        ("ts,src,dst\n1,2\n", "line 2: .*complete or correct the line"),
        ("ts,src,dst\nsoon,2,3\n", "line 2: .*soon"),
        ("ts,src,dst\ninf,2,3\n", "line 2: the time inf is not finite"),
        ("ts,src,dst,w\n1,2,3,4\n2,3,4,x\n", "line 3: could not convert string to float: 'x'"),
        ("ts,src,dst,w\n1,2,3,4\n2,3,4,nan\n", "a feature of event 1"),
        ("ts,src,dst\n", "no data lines"),
    ],
)
def test_tgb_errors_name_the_line(tmp_path, text, words):
    with pytest.raises(DataError, match=words):
        read_tgb([_write(tmp_path, "x.csv", text)])


# ---- features in the project's own format -----------------------------------------------------------------


def test_canonical_features_follow_their_events(tmp_path, where):
    folder = tmp_path / "mine" / "g"
    _write(folder, "edges.csv", "src,dst,t\n0,1,30\n1,2,10\n2,0,20\n")
    np.savez(folder / "edge_features.npz", features=np.array([[3.0], [1], [2]]))
    np.savez(folder / "features.npz", features=np.eye(3))
    graph = FileDataset("g", where=where, window=10, seconds=None).load("events")
    assert graph.edge_features.flatten().tolist() == [1, 2, 3]
    assert graph.node_features.tolist() == np.eye(3).tolist()
    dataset = FileDataset("g", where=where, window=10, seconds=None)
    assert dataset.load("snapshots").edge_features is None
    assert set(dataset.provenance()["files"]) == {"edges.csv", "edge_features.npz", "features.npz"}
    np.savez(folder / "edge_features.npz", features=np.ones((2, 1)))
    with pytest.raises(DataError, match="2 rows of features for 3 events"):
        FileDataset("g", where=where).load("events")


def test_sparse_node_features(tmp_path):
    from scipy import sparse

    matrix = sparse.csr_array(np.array([[0, 1.0], [2, 0]]))
    sparse.save_npz(tmp_path / "features.npz", matrix)
    assert read_npz(tmp_path / "features.npz").tolist() == [[0, 1], [2, 0]]
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(DataError, match="no array 'features'; it holds x"):
        read_npz(tmp_path / "other.npz")


def test_a_user_reads_any_format(tmp_path):
    where = Locations([], tmp_path / "cache", offline=True)
    path = _write(tmp_path, "ml_x.csv", DGB)
    _write(tmp_path, "ml_x.npy", np.ones((4, 1)))
    graph = FileDataset("custom", reader="dgb", path=str(path), where=where).load("events")
    assert (len(graph), graph.edge_features.shape) == (3, (3, 1))
    path = _write(tmp_path / "jodie", "w.csv", JODIE)
    graph = FileDataset("custom", reader="jodie", path=str(path.parent), bipartite=True, where=where).load("events")
    assert (graph.num_nodes, graph.bipartite) == (4, True)


def test_missing_features_of_a_card_are_told(tmp_path, where, caplog):
    folder = tmp_path / "mine" / "g"
    _write(folder, "edges.csv", "src,dst,t\n0,1,30\n")
    with caplog.at_level(logging.WARNING):
        FileDataset("g", where=where, expected={"edge_features": 172}).load("events")
    assert "no features of events, the published ones have 172 columns" in caplog.text
    np.savez(folder / "edge_features.npz", features=np.ones((1, 3)))
    with pytest.raises(DataError, match="promises 172 features of events, the data have 3"):
        FileDataset("g", where=where, expected={"edge_features": 172}).load("events")


def test_a_member_may_be_given_by_name(online, server):
    with zipfile.ZipFile(server.root / "x.zip", "w") as archive:
        archive.writestr("x/ml_x.csv", DGB)
    file = {"name": "ml_x.csv", "url": f"{server.url}/x.zip", "member": "ml_x.csv"}
    assert len(FileDataset("g", reader="dgb", files=[file], where=online).load("events")) == 3
    with zipfile.ZipFile(server.root / "x.zip", "a") as archive:
        archive.writestr("y/ml_x.csv", DGB)
    with pytest.raises(DataError, match=r"2 files called ml_x\.csv"):
        FileDataset("h", reader="dgb", files=[file], where=online).load("events")


# ---- the streams at hand ----------------------------------------------------------------------------------

REAL = {
    "wikipedia": (9227, 157_474, 18_257, True),
    "mooc": (7144, 411_749, 178_443, True),
    "dgb_enron": (184, 125_235, 3125, False),
    "dgb_uci": (1899, 59_835, 20_296, False),
}


@pytest.mark.parametrize("name", REAL)
def test_published_sizes(real, name):
    graph = real(name).load("events")
    pairs = len(torch.unique(graph.src * graph.num_nodes + graph.dst))
    assert (graph.num_nodes, len(graph), pairs, graph.bipartite) == REAL[name]
    assert graph.time.dtype == torch.long
    if name == "mooc":
        assert graph.edge_features.shape == (411_749, 4)


def test_what_cannot_be_had_says_where_it_is(where):
    for name in ("reddit", "lastfm", "flights", "myket"):
        with pytest.raises(DataError, match=r"It cannot be downloaded: .* [Pp]ut ml_\w+\.csv and ml_\w+\.npy"):
            cards.build(cards.read_card(CONF / f"{name}.yaml"), where).load("events")


# ---- the generated stream ---------------------------------------------------------------------------------


def test_flip_stream_has_what_it_promises():
    graph = FlipStream("s", users=40, items=15, events=5000, features=3, habit=1.0, seed=1).load("events")
    assert (len(graph), graph.num_nodes, graph.bipartite) == (5000, 55, True)
    assert graph.time.dtype == torch.long
    assert (graph.src < 40).all()
    assert (graph.dst >= 40).all()
    # With nothing but habit, a user has two items at most.
    pairs = torch.unique(torch.stack([graph.src, graph.dst]), dim=1)
    assert torch.bincount(pairs[0]).max() <= 2
    # The last item foretells the next one better than that the pair was seen.
    last, kept, known = {}, 0, 0
    for src, dst in zip(graph.src.tolist(), graph.dst.tolist(), strict=True):
        kept += last.get(src) == dst
        known += src in last
        last[src] = dst
    assert 0.8 < kept / known < 0.98
    again = FlipStream("s", users=40, items=15, events=5000, features=3, habit=1.0, seed=1).load("events")
    assert again.checksum() == graph.checksum()
    other = FlipStream("s", users=40, items=15, events=5000, features=3, habit=1.0, seed=2).load("events")
    assert other.checksum() != graph.checksum()


def test_flip_stream_among_users_has_no_loops():
    graph = FlipStream("s", users=9, items=0, events=999).load("events")
    assert (graph.num_nodes, len(graph), graph.bipartite) == (9, 999, False)
    assert (graph.src != graph.dst).all()
    assert FlipStream("s", users=9, items=0, events=999, days=3).load("snapshots").num_steps >= 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"users": 1}, "users=1 must be at least 2"), ({"flip": 1.5}, "flip=1.5"), ({"events": 0}, "events=0")],
)
def test_flip_stream_refuses(settings, words):
    with pytest.raises(DataError, match=words):
        FlipStream("s", **settings).load("events")

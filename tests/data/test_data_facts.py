"""Knowledge graphs: both formats, the golden figures of the real ones, and what is wrong with bad ones."""

from __future__ import annotations

import gzip

import pytest
import torch

from dynbench.data import FileDataset, Locations, cards
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.graph.statistics import statistics

HEADER = "subject,relation,object,t\n"
FACTS = {
    "train.csv": HEADER + "0,0,1,0\n0,0,1,0\n2,1,0,0\n0,0,1,24\n",
    "valid.csv": HEADER + "3,1,0,48\n",
    "test.csv": HEADER + "0,0,1,96\n1,1,1,72\n",
    "entities.tsv": 'id\tname\n0\t"a\n1\tb\n2\tc\n3\td\n4\tnever\n',
    "relations.tsv": "id\tname\n0\tknows\n1\tlikes\n2\tnever\n",
}
TEXTS = {
    "train.txt": "0\t0\t1\t0\t0\n0 0 1 0 0\n2\t1\t0\t0\t0\n0\t0\t1\t24\t0\n",
    "valid.txt": "3\t1\t0\t48\n",
    "test.txt": "0\t0\t1\t96\t0\n1\t1\t1\t72\t0\n",
    "stat.txt": "5 3 0\n",
    "entity2id.txt": "a\t0\tx\nb\t1\nc\t2\nd\t3\nnever\t4\n",
}


@pytest.fixture
def load(tmp_path):
    """Write files and load the folder; a file given as ``None`` is left out."""

    def build(files: dict[str, str | None], view: str = "snapshots", **changed) -> TemporalGraph:
        folder = tmp_path / "graph"
        folder.mkdir()
        names = {**files, **{name.replace("_", "."): text for name, text in changed.items()}}
        for name, text in names.items():
            if text is not None:
                (folder / name).write_text(text, encoding="utf-8")
        where = Locations([], tmp_path / "cache", offline=True)
        return FileDataset("mine", path=str(folder), where=where).load(view)

    return build


@pytest.mark.parametrize("files", [FACTS, TEXTS], ids=["canonical", "renet"])
def test_both_formats_give_the_same_graph(load, files):
    graph = load(files)
    assert (graph.num_nodes, graph.num_relations, graph.num_steps, graph.directed) == (5, 3, 5, True)
    assert graph.time.tolist() == [0, 0, 1, 2, 3, 4]
    assert graph.src.tolist() == [0, 2, 0, 3, 1, 0]
    assert graph.relation.tolist() == [0, 1, 0, 1, 1, 0]
    assert graph.dst.tolist() == [1, 0, 1, 0, 1, 1]
    assert graph.weight.tolist() == [2, 1, 1, 1, 1, 1]
    assert graph.split == (2, 3)


def test_counts_of_the_parts(load):
    found = statistics(load(FACTS))
    assert (found["train_events"], found["valid_events"], found["test_events"]) == (4, 1, 2)
    assert (found["events"], found["links_per_step_sum"], found["relations"]) == (7, 6, 3)


def test_events_keep_their_times_and_the_split_is_a_time(load):
    graph = load(FACTS, "events")
    assert (graph.time.tolist(), graph.split) == ([0, 0, 24, 48, 72, 96], (48, 72))


def test_files_that_may_be_absent(load):
    graph = load(FACTS, valid_csv=None, entities_tsv=None, relations_tsv=None)
    assert (graph.num_nodes, graph.num_relations, graph.split) == (3, 2, (2, 2))


def test_the_split_is_stored_and_does_not_move_other_checksums(load, tmp_path):
    graph = load(FACTS)
    graph.save(tmp_path / "kept.npz")
    again = TemporalGraph.load(tmp_path / "kept.npz")
    assert (again.split, again.checksum()) == (graph.split, graph.checksum())
    assert graph.before(2).split == (2, 3)
    plain = graph.snapshots(graph.time, 5)
    assert plain.split is None
    assert plain.checksum() != graph.checksum()
    assert '"split"' not in str(plain._values())


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("train_csv", HEADER + "0,0,1,0\n9,0,1,1\n", r"train.csv, line 3: 'subject' is 9, .* 5 ids of entities.tsv"),
        ("test_csv", HEADER + "0,7,1,96\n", r"test.csv, line 2: 'relation' is 7, .* 3 ids of relations.tsv"),
        ("test_csv", HEADER + "0,1,,96\n", "test.csv, line 2: 'object' is '', which is not a number"),
        ("valid_csv", HEADER + "3,1,0,24\n", r"valid.csv begins at t=24, but .*train.csv ends at t=24"),
        ("test_csv", HEADER, "test.csv: no data lines"),
        ("test_csv", "", "test.csv: the file is empty"),
        ("entities_tsv", "id\tname\n0\ta\n2\tc\n", "entities.tsv: id 1 is missing"),
        ("entities_tsv", "id\tname\n0\ta\n0\tc\n", "entities.tsv: id 0 is listed more than once"),
        ("relations_tsv", "id\tname\nknows\t0\n", "relations.tsv, line 2: column 1 holds no id"),
    ],
)
def test_bad_facts(load, name, text, words):
    with pytest.raises(DataError, match=words):
        load(FACTS, **{name: text})


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("stat_txt", "4 3\n", "entity2id.txt lists 5 ids, but stat.txt declares 4"),
        ("stat_txt", "five 3\n", "stat.txt: expected the numbers of entities and relations, found 'five 3'"),
        ("train_txt", "0 0 1 0\n0 3 1 0\n", r"train.txt, line 2: 'relation' is 3, .* 3 ids of stat.txt"),
        ("relation2id_txt", "knows\t0\nlikes\t1\n", "relation2id.txt lists 2 ids, but stat.txt declares 3"),
        ("entity2id_txt", "a\t0\nb\t2\n", "entity2id.txt: id 1 is missing"),
        ("test_txt", "0 0 1 96\n0 0 7 96\n", r"test.txt, line 2: 'object' is 7, .* 5 ids of stat.txt"),
        ("test_txt", "0 0 1 72\n0 0 1 48\n", r"test.txt begins at t=48, but .*valid.txt ends at t=48"),
        ("test_txt", "\n", "test.txt: the file is empty"),
        ("test_txt", None, r"nor the parts of a knowledge graph, train and test \(\.csv or \.txt\)"),
        ("train_txt", "0 0 1\n", r"train.txt, line 1: no field for 't' \(column 4 of 3\)"),
    ],
)
def test_bad_texts(load, name, text, words):
    with pytest.raises(DataError, match=words):
        load(TEXTS, **{name: text})


def test_a_list_of_entities_that_the_facts_exceed(load):
    with pytest.raises(DataError, match=r"valid.txt, line 1: 'subject' is 3, .* 2 ids of entity2id.txt"):
        load(TEXTS, stat_txt=None, entity2id_txt="a\t0\nb\t1\n", train_txt="0 0 1 0\n")


# ---- golden figures ---------------------------------------------------------------------------------------

GOLDEN = {
    "yago": {
        "first": [471, 200, 198],
        "train": [3417, 3530, 3694],
        "valid": [3740, 3845, 3909, 4005, 4024],
        "test": [4068, 4072, 4029, 4023, 3833, 1],
        "loops": 0,
        "active": 10585,
        "unseen": (1609, 509),
        "seen": (0.6597, 0.8419, 0.9272),
    },
    "wiki": {
        "first": [1513, 1513, 1512],
        "train": [4614, 4755, 4914],
        "valid": [5173, 5320, 5563, 5766, 6017, 6128, 6284, 6554, 6829, 6802, 7102],
        "test": [7016, 7060, 7122, 6826, 6658, 6428, 6118, 5759, 5187, 4936],
        "loops": 21,
        "active": 12435,
        "unseen": (27079, 7473),
        "seen": (0.5046, 0.6829, 0.8562),
    },
}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_figures_of_the_benchmarks(real, name):
    golden, graph = GOLDEN[name], real(name).load()
    found = statistics(graph)
    valid, test = graph.split
    per_step = found["events_per_step"]
    assert (per_step[:3], per_step[valid - 3 : valid]) == (golden["first"], golden["train"])
    assert (per_step[valid:test], per_step[test:]) == (golden["valid"], golden["test"])
    later = graph.between(valid, graph.num_steps)
    assert int(later.weight[later.src == later.dst].sum()) == golden["loops"]
    assert found["active_nodes"] == golden["active"]
    asked, counts = graph.between(test, graph.num_steps), []
    for start in (valid, test):
        seen = torch.zeros(graph.num_nodes, dtype=torch.bool)
        seen[graph.before(start).src] = seen[graph.before(start).dst] = True
        counts.append(int(asked.weight[~(seen[asked.src] & seen[asked.dst])].sum()))
    assert tuple(counts) == golden["unseen"]
    shares = [_share(_keys(graph, asked), _keys(graph, graph.before(start)), asked) for start in (valid, test)]
    step = graph.num_nodes**2 * graph.num_relations
    direct = _keys(graph, asked) + (asked.time - 1) * step
    shares.append(_share(direct, _keys(graph, graph) + graph.time * step, asked))
    assert tuple(round(share, 4) for share in shares) == golden["seen"]


def _keys(graph, part):
    return (part.src * graph.num_relations + part.relation) * graph.num_nodes + part.dst


def _share(asked, known, events):
    return float(events.weight[torch.isin(asked, known)].sum() / events.weight.sum())


def test_icews18(real):
    graph = real("icews18").load()
    assert (graph.num_nodes, graph.num_relations, graph.num_steps, graph.split) == (23_033, 256, 304, (240, 270))


def test_upstream_texts_are_found_beside_their_card(real, tmp_path):
    dataset, folder = real("yago"), tmp_path / "yago"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        lines = gzip.decompress((dataset.folder / f"{part}.csv.gz").read_bytes()).decode().splitlines()[1:]
        text = "".join("\t".join([*line.split(","), "0"]) + "\n" for line in lines)
        (folder / f"{part}.txt").write_bytes(text.encode())
    (folder / "stat.txt").write_text("10623\t10\t189\n")
    where = Locations([tmp_path], tmp_path / "cache", offline=True)
    card = cards.read_card(dataset_card("yago"))
    again = cards.build(card, where).load()
    assert again.checksum() == dataset.load().checksum()


def dataset_card(name):
    """The card of a dataset."""
    from dynbench.config.compose import choice_path

    return choice_path("data", name)

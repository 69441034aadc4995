"""Counts of the published benchmark on the real Enron and UCI networks, and scores of heuristics measured on them."""

from __future__ import annotations

import statistics

import pytest
from exams import blocks_of

from dynbench.protocols.multi_step import MultiStep
from dynbench.protocols.pairs import PairSplitter
from dynbench.protocols.single_step import SingleStep
from dynbench.testing import make, tell

ENRON = {
    "positives": [17, 20, 32, 56, 78, 113, 180, 205, 212, 212, 254, 171, 127, 245, 232],
    "loops": [1, 2, 4, 8, 10, 9, 11, 17, 22, 21, 23, 13, 15, 29, 29],
    "test": [10, 12, 19, 33, 46, 67, 108, 123, 127, 127, 152, 102, 76, 147, 139],
    "new": [4, 2, 13, 17, 27, 41, 66, 57, 46, 53, 77, 46, 38, 77, 60],
}
UCI = {
    "positives": [1110, 1912, 2100, 1151, 701, 181, 500, 358, 279, 229, 241, 221],
    "loops": [0] * 12,
    "test": [666, 1147, 1260, 690, 420, 108, 300, 214, 167, 137, 144, 132],
    "new": [791, 1158, 1352, 644, 378, 115, 293, 189, 130, 98, 132, 109],
}


@pytest.mark.parametrize(("name", "published"), [("enron", ENRON), ("uci", UCI)])
def test_pairs_of_every_target(real_graph, name, published):
    graph = real_graph(name)
    found = {kind: [] for kind in published}
    splitter = PairSplitter(graph, 0)
    new = PairSplitter(graph, 0, self_loops="drop", links="new")
    for target in range(1, graph.num_steps):
        known = splitter.known(target - 1)
        src, dst = splitter.links(target, known)
        found["positives"].append(len(src))
        found["loops"].append(int((src == dst).sum()))
        found["new"].append(len(new.links(target, known)[0]))
        found["test"].append(int(splitter.split(target, target - 1)["test"].labels.sum()))
    assert found == published


@pytest.mark.parametrize(("name", "published"), [("enron", ENRON), ("uci", UCI)])
def test_questions_of_every_target(real_graph, name, published):
    blocks = [block for episode in SingleStep().episodes(real_graph(name), 0) for block in blocks_of(episode)]
    assert [int(block.answers.sum()) for block in blocks] == published["test"]
    assert [len(block.answers) for block in blocks] == [2 * count for count in published["test"]]


@pytest.mark.parametrize(("name", "steps"), [("enron", 16), ("uci", 13)])
def test_multi_step_starts_six_before_the_end(real_graph, name, steps):
    graph = real_graph(name)
    (episode,) = MultiStep().episodes(graph, 0)
    assert int(episode.train[""].time.max()) == steps - 7
    assert [int(block.queries.time[0]) for block in blocks_of(episode)] == list(range(steps - 6, steps))
    splitter = PairSplitter(graph, 0)
    known = splitter.known(steps - 7)
    for block in blocks_of(episode):
        links, _ = splitter.links(int(block.queries.time[0]), known)
        assert int(block.answers.sum()) == 3 * len(links) // 5


# Micro and macro AUC in percent, measured once with another program over five splits.
@pytest.mark.parametrize(
    ("name", "model", "micro", "macro"),
    [
        ("enron", "last_snapshot", 73.3, 74.5),
        ("enron", "common_neighbors", 83.5, 82.9),
        ("enron", "preferential_attachment", 70.1, 75.4),
        ("enron", "decayed_count", 90.3, 90.5),
        ("uci", "last_snapshot", 64.4, 63.3),
        ("uci", "common_neighbors", 69.7, 70.7),
        ("uci", "preferential_attachment", 84.2, 86.4),
        ("uci", "decayed_count", 86.3, 88.1),
    ],
)
def test_heuristics_score_what_they_did_elsewhere(real_graph, name, model, micro, macro):
    graph = real_graph(name)
    runs = [tell(make("model", model), SingleStep(), graph, seed).results()[0] for seed in range(5)]
    assert 100 * statistics.mean(run["micro_auc"] for run in runs) == pytest.approx(micro, abs=1.0)
    assert 100 * statistics.mean(run["macro_auc"] for run in runs) == pytest.approx(macro, abs=1.5)

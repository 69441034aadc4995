"""The benchmark compares like with like, and runs. How fast anything is, is not blocks_of."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from dynbench.graph import TemporalGraph
from dynbench.models.latent.nlsm import NLSM
from dynbench.protocols.pairs import PairSplitter
from tests import warm

ROOT = Path(__file__).resolve().parents[2]


def _graph(bench, directed: bool) -> TemporalGraph:
    """Nodes that appear late, a self-loop, and a snapshot without links."""
    drawn = bench.draw_graph(20, 4, 60)
    src, dst = torch.cat([drawn.src, torch.tensor([3])]), torch.cat([drawn.dst, torch.tensor([3])])
    time = torch.cat([drawn.time + (drawn.time > 1), torch.tensor([0])])
    return TemporalGraph.from_events(src, dst, time, 23, directed=directed, num_steps=5)


@pytest.mark.parametrize("directed", [False, True])
def test_reference_and_package_agree(bench, directed):
    """The loss, and every gradient that both have."""
    torch.manual_seed(1)
    graph = _graph(bench, directed)
    plain = bench.reference.PlainNLSM(graph, dim=6)

    def compare(model: NLSM) -> None:
        assert bench.loss_difference(model, plain) < 1e-4
        state = torch.get_rng_state()
        model.training_step(0, 0).backward()
        torch.set_rng_state(state)
        plain.loss(*bench.same_draws(model, plain)).backward()
        pairs = (
            (plain.node_start, plain.node_cells, model.nodes),
            (plain.matrix_start, plain.matrix_cells, model.matrices),
        )
        for start, cells, ours in pairs:
            torch.testing.assert_close(ours.start.grad, start.grad, rtol=1e-3, atol=1e-3)
            for index, cell in enumerate(cells):
                torch.testing.assert_close(ours.weight.grad[index].T, cell.weight_hh.grad, rtol=1e-3, atol=1e-2)
                torch.testing.assert_close(ours.bias.grad[index, 0], cell.bias_hh.grad, rtol=1e-3, atol=1e-2)

    NLSM(dim=6).fit(graph, None, bench.Probe(compare))


def test_reference_learns(bench):
    torch.manual_seed(0)
    plain = bench.reference.PlainNLSM(_graph(bench, False), dim=4)
    losses = [plain.step() for _ in range(30)]
    assert losses[-1] < 0.8 * losses[0]


def test_reference_pairs_follow_the_same_rules(bench):
    graph = _graph(bench, False)
    links, splitter = bench.reference.link_sets(graph), PairSplitter(graph, seed=0)
    known = splitter.known(2)
    wanted = list(zip(*(ends.tolist() for ends in splitter.links(3, known)), strict=True))
    nodes = known.nonzero().squeeze(1).tolist()
    for parts in (bench.reference.split(wanted, links[3], nodes), _as_lists(splitter.split(3, 2))):
        positives = [
            pair for pairs, labels in parts.values() for pair, label in zip(pairs, labels, strict=True) if label
        ]
        negatives = [
            pair for pairs, labels in parts.values() for pair, label in zip(pairs, labels, strict=True) if not label
        ]
        assert sorted(positives) == sorted(wanted)
        assert len(negatives) == len(wanted)
        assert not set(negatives) & links[3]
        assert {node for pair in negatives for node in pair} <= set(nodes)
        assert all(i != j for i, j in negatives)
    drawn = bench.reference.non_edges(links[3], nodes, 200)
    assert 0 < len(drawn) < 200
    assert not set(drawn) & links[3]


def _as_lists(parts):
    return {
        name: (list(zip(part.src.tolist(), part.dst.tolist(), strict=True)), part.labels.tolist())
        for name, part in parts.items()
    }


def test_drawn_graphs_have_the_size_asked_for(bench):
    graph = bench.draw_graph(*bench.SIZES["enron"])
    assert (graph.num_nodes, graph.num_steps, len(graph)) == (143, 16, 2347)
    assert len(set(zip(graph.time.tolist(), graph.src.tolist(), graph.dst.tolist(), strict=True))) == 2347
    assert bool((graph.src < graph.dst).all())


@pytest.mark.long
def test_it_runs_and_writes_what_it_prints(tmp_path):
    path = tmp_path / "bench.json"
    words = ["scripts/bench.py", "--smoke", "--threads", "1", "--json", str(path)]
    said = warm.run(words, {**os.environ, "DYNBENCH_CACHE": str(tmp_path / "cache")}, ROOT)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["environment"]["threads"] == "1"
    rows = {(row["group"].split(":")[0], row["what"]): row for row in content["rows"]}
    assert {unit for _, unit in rows} >= {
        "fit step",
        "overhead per step",
        "non-edges of a fit step",
        "from start to end",
    }
    for row in content["rows"]:
        assert f"{row['what']} ({row['unit']})" in said
    steps = rows["NLSM on tiny", "fit steps"]
    assert steps["ratio"] == pytest.approx(steps["package"] / steps["reference"])
    assert rows["run.py model=nlsm data=nlsm_process budget=smoke", "peak memory"]["package"] > 100

"""The benchmark of event-stream models counts and divides as it says, and runs. How fast anything is, is not asked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from dynbench.engine.trainer import Trainer
from tests import warm

ROOT = Path(__file__).resolve().parents[2]


def test_a_drawn_stream_has_regular_partners(bench):
    graph = bench.draw_stream(6000)
    assert (len(graph), graph.num_nodes) == (6000, 200)
    assert bool((graph.time.diff() >= 0).all())
    assert 0.45 < float((graph.dst == (graph.src + 1) % 200).float().mean()) < 0.55


def test_slopes_are_exponents(bench):
    sizes = [10.0, 100.0, 5000.0]
    assert bench.slope(sizes, [3 * size**1.25 for size in sizes]) == pytest.approx(1.25)
    assert bench.slope(sizes, [7.0, 7.0, 7.0]) == pytest.approx(0.0, abs=1e-9)


def test_arithmetic_is_that_of_the_products(bench):
    """JODIE without features: the cell on distinct nodes, and the network that scores 400 pairs, there and back."""
    graph, width = bench.draw_stream(4000), 16
    kind, settings = bench.MODELS["jodie"]
    model = kind(**{**settings, **bench.SMALL, "dropout": 0.0, "epochs": 1})
    sampled = bench.Sampled(Trainer(), 0.2)
    model.fit(graph, None, sampled)
    assert sampled.events % 200 == 0
    assert bool((sampled.spent > 0).all())
    score = 400 * (2 * width * width + width)  # products of two numbers: both ends to the hidden layer, then to one
    # Forwards, backwards to weights and to inputs; on top of it the cell, for at most 600 nodes, and the drift.
    cell = 600 * (2 * width + 8) * width
    assert 3 * 2 * score < sampled.gflop * 200 * 1e9 < 3 * 2 * (score + 3 * cell + 800 * width)


def test_models_without_memory_are_sampled_from_all_over_an_epoch(bench):
    graph, seen = bench.draw_stream(8000), []
    kind, _ = bench.MODELS["graphmixer"]
    model = kind(**bench.SMALL, epochs=1)
    step = model.training_step
    model.training_step = lambda batch, batch_idx: seen.append(batch_idx) or step(batch, batch_idx)
    model.fit(graph, None, bench.Sampled(Trainer(), 0.5))
    assert set(seen) <= set(range(40))
    assert len(set(seen)) > 3
    assert np.abs(np.diff(seen)).max() > 5


@pytest.mark.skipif(torch.cuda.is_available(), reason="the rates of a GPU are others")
def test_the_rate_of_products(bench):
    clock, processor = bench.product_rate(torch.device("cpu"), "32-true")
    assert 0 < clock < 1e5
    assert 0 < processor < 1e5


@pytest.mark.long
def test_it_runs(tmp_path):
    command = ["scripts/bench_stream.py", "--quick", "--threads", "1", "--models", "jodie", "tgat"]
    said = warm.run([*command, "--json", str(tmp_path / "b.json")], os.environ, ROOT)
    found = json.loads((tmp_path / "b.json").read_text())
    for figures in found["models"].values():
        rate, speed = (figures[f"{name} per processor second"] for name in ("product, GFLOP", "events"))
        assert figures["share of the product"] == pytest.approx(figures["GFLOP/event"] * speed / rate)
    assert found["neighbours"]["600 look-ups of 20 (ms), best"] > 0
    assert set(found["growth"]["exponents"]) == {"index (s)", "epoch (s)", "memory (MiB)"}
    assert ("torch_geometric" in found) != ("torch_geometric's TGN is not measured" in said)

"""Recurrency: by hand, and the reference values of every scorer on YAGO, which prove the evaluator."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from dynbench.config.compose import choice_path
from dynbench.contract import Queries
from dynbench.data import Locations, cards
from dynbench.engine.loop import Story
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.metrics.ranks import RankMetrics
from dynbench.models.counting.recurrency import Recurrency
from dynbench.protocols.windowed_kg import FILTERS, WindowedKG
from dynbench.testing import check_model, make

MODELS = {
    "phi": "last_seen",
    "phi+xi": "last_seen_frequency",
    "psi": "recurrency_strict",
    "psi+xi": "recurrency",
    "xi": "recurrency_relaxed",
    "constant": "constant",
}


def _history() -> TemporalGraph:
    #                     (0 r0 1): steps 0, 2; (0 r0 2): step 2; (3 r1 1): step 1, twice
    return TemporalGraph.from_events(
        [0, 3, 0, 0], [1, 1, 1, 2], [0, 1, 2, 2], 4, relation=[0, 1, 0, 0], num_relations=2, num_steps=5,
        weight=[1, 2, 1, 1],
    )  # fmt: skip


def _scores(**settings) -> torch.Tensor:
    model = Recurrency(**settings)
    model.fit(_history(), None, Trainer())
    head, relation = torch.tensor([[0, 0], [3, 1], [1, 2], [1, 3], [2, 0]]).unbind(1)
    scores = model.rank(Queries(head, None, torch.full_like(head, 4), relation))
    fresh = Recurrency(**settings)
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.rank(Queries(head, None, torch.full_like(head, 4), relation)), scores)
    return scores


def test_by_hand():
    last = _scores(past="last", past_weight=1.0, frequency_weight=0.0)
    assert last.tolist() == [[0, 3, 3, 0], [0, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]]
    frequency = _scores(past="none", past_weight=0.0, frequency_weight=1.0)
    assert frequency[[0, 2, 4]] == pytest.approx(np.array([[0, 2 / 3, 1 / 3, 0], [1, 0, 0, 0], [0, 2 / 3, 1 / 3, 0]]))
    assert frequency[1].tolist() == [0, 1, 0, 0]
    decayed = _scores(past="decayed", past_weight=1.0, frequency_weight=0.0, decay=1.0)
    whole = 2**-3 + 2**-2  # steps 0 and 1, seen from step 3
    assert decayed[0].tolist() == pytest.approx([0, (2**-3 + 2**-1) / whole, 2**-1 / whole, 0])
    assert decayed[3].tolist() == pytest.approx([0, 0, 0, 2**-2 / whole])
    both = _scores(past="decayed", past_weight=0.9, frequency_weight=0.1, decay=1.0)
    assert both == pytest.approx(0.9 * decayed + 0.1 * frequency)


def test_a_history_of_one_step_and_powers_of_two_centuries():
    model = Recurrency(frequency_weight=0.0)
    model.fit(_history().step(0), None, Trainer())
    queries = Queries(torch.tensor([0]), None, torch.tensor([1]), torch.tensor([0]))
    assert model.rank(queries)[0, 1] > 0
    times = torch.tensor([0, 188])
    long = TemporalGraph.from_events([0, 0], [1, 2], times, 3, relation=[0, 0], num_relations=1, num_steps=189)
    model.fit(long, None, Trainer())
    zero, old, new = model.rank(queries)[0].tolist()
    assert 0 == zero < old < new


@pytest.mark.parametrize("name", MODELS.values())
def test_contract_of_models(name):
    check_model(name)


# ---- the reference values ---------------------------------------------------------------------------------

REFERENCE = """
phi      | multi_step_train | 43.81 29.55 53.18 60.27 | 65.98 65.97 65.97 65.97 | 58.17 50.03 63.90 65.97
phi+xi   | multi_step_train | 48.48 39.84 55.29 61.84 | 66.48 66.09 66.51 66.77 | 62.73 59.60 65.57 66.68
phi      | multi_step       | 53.80 34.70 66.06 77.93 | 84.19 84.19 84.19 84.19 | 77.62 68.15 83.94 84.19
phi+xi   | multi_step       | 59.40 47.80 68.08 79.06 | 84.47 84.29 84.47 84.56 | 80.71 77.40 84.10 84.56
psi      | multi_step       | 59.07 45.89 67.83 78.75 | 84.19 84.19 84.19 84.19 | 81.37 78.61 83.87 84.19
psi+xi   | multi_step       | 59.90 48.51 68.66 79.27 | 84.47 84.29 84.47 84.56 | 81.72 79.25 84.18 84.56
xi       | multi_step       |  4.74  1.59  4.57 10.25 |  5.19  1.89  4.87 10.49 |  5.05  1.75  4.84 10.45
phi      | single_step      | 59.10 37.57 72.96 86.31 | 92.73 92.73 92.73 92.73 | 88.85 81.96 92.73 92.73
phi+xi   | single_step      | 64.89 51.81 74.85 87.34 | 92.92 92.83 92.92 93.00 | 90.54 88.24 92.80 93.00
psi      | single_step      | 64.35 49.69 74.18 87.08 | 92.73 92.73 92.73 92.73 | 90.62 88.47 92.60 92.73
psi+xi   | single_step      | 65.13 52.31 74.99 87.48 | 92.92 92.83 92.92 93.00 | 90.85 88.89 92.79 93.00
constant | multi_step       |  0.02  0.00  0.00  0.00 |  0.02  0.00  0.00  0.00 |  0.02  0.00  0.00  0.00
"""


@cache
def _yago(cache_dir: Path) -> TemporalGraph:
    return cards.build(cards.read_card(choice_path("data", "yago")), Locations.from_settings(None, cache_dir)).load()


@pytest.fixture
def yago(tmp_path_factory) -> TemporalGraph:
    """The real data, or a skipped test."""
    folders = [Path(part) for part in os.environ.get("DYNBENCH_DATA", "").split(os.pathsep) if part]
    if not any((folder / "yago").is_dir() for folder in folders):
        pytest.skip("DYNBENCH_DATA has no folder 'yago'")
    return _yago(tmp_path_factory.getbasetemp() / "cache")


@pytest.mark.parametrize("line", REFERENCE.strip().splitlines(), ids=lambda line: "-".join(line.split()[::2][:2]))
def test_reference_values(yago, tmp_path, line):
    scorer, history, *cells = (part.strip() for part in line.split("|"))
    story = Story(make("model", MODELS[scorer]), WindowedKG(history=history), Trainer(), tmp_path)
    story.tell(yago, 0)
    assert story.queries == 40_052
    table = story.metrics.arrays()["ranks"]
    raw, static, timed = table[:, 3], table[:, 5], table[:, 7]
    assert (static <= timed).all()
    assert (timed <= raw).all()
    found = story.metrics.compute()
    for name, cell in zip(("raw", "static", "time"), cells, strict=True):
        digits = [f"{100 * found[f'{name}_{metric}']:.2f}" for metric in ("mrr", "hits@1", "hits@3", "hits@10")]
        assert digits == cell.split(), name


def test_the_place_of_ties_decides(yago, tmp_path):
    """A recency rule is perfect or mediocre under the static filter, by the tie rule alone."""
    found = {}
    for history in ("multi_step_train", "single_step"):
        (tmp_path / history).mkdir()
        story = Story(make("model", "last_seen"), WindowedKG(history=history), Trainer(), tmp_path / history)
        story.tell(yago, 0)
        for ties in ("optimistic", "realistic", "pessimistic"):
            metrics = RankMetrics(FILTERS, ties)
            metrics.rows = story.metrics.rows
            found[history, ties] = metrics.compute()
    percent = {key: round(100 * value["static_mrr"], 2) for key, value in found.items()}
    assert (percent["multi_step_train", "optimistic"], percent["multi_step_train", "realistic"]) == (100.0, 65.98)
    percent = [round(100 * value["time_mrr"], 2) for key, value in found.items() if key[0] == "single_step"]
    assert percent == [96.30, 88.85, 87.06]

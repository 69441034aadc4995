"""Recurrency: by hand, tuned beside a slow version, and reference values of every scorer, which prove the evaluator."""

from __future__ import annotations

import dataclasses
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from dynbench.config.compose import choice_path
from dynbench.contract import Queries
from dynbench.data import Locations, cards
from dynbench.engine.loop import Loop
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.metrics.ranks import RankMetrics
from dynbench.models.counting.fixed_recurrency import FixedRecurrency
from dynbench.models.counting.past_facts import Occurrences, Past
from dynbench.models.counting.recurrency import Recurrency, validation_start
from dynbench.models.counting.tuning import Asked, Compared, Tuner
from dynbench.protocols.windowed_kg import FILTERS, WindowedKG
from dynbench.testing import check_model, make
from tests.reference import recurrency_slow as slow

MODELS = {
    "phi": "last_seen",
    "phi+xi": "last_seen_frequency",
    "psi": "recurrency_strict",
    "psi+xi": "recurrency_fixed",
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
    model = FixedRecurrency(**settings)
    model.condition(_history())
    head, relation = torch.tensor([[0, 0], [3, 1], [1, 2], [1, 3], [2, 0]]).unbind(1)
    return model.rank(Queries(head, None, torch.full_like(head, 4), relation))


def test_by_hand():
    last = _scores(past="last", past_weight=1.0, frequency_weight=0.0)
    assert last.tolist() == [[0, 3, 3, 0], [0, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]]
    frequency = _scores(past="none", past_weight=0.0, frequency_weight=1.0)
    assert frequency[[0, 2, 4]] == pytest.approx(np.array([[0, 2 / 3, 1 / 3, 0], [1, 0, 0, 0], [0, 2 / 3, 1 / 3, 0]]))
    assert frequency[1].tolist() == [0, 1, 0, 0]
    decayed = _scores(past="decayed", past_weight=1.0, frequency_weight=0.0, decay=1.0)
    whole = 2**-3 + 2**-2  # steps 0 and 1, seen from step 3
    assert decayed[0].tolist() == pytest.approx([0, (2**-3 + 2**-1) / whole, 2**-1 / whole, 0])
    assert decayed[3].tolist() == pytest.approx([0, 0, 0, 2 * 2**-2 / whole])
    both = _scores(past="decayed", past_weight=0.9, frequency_weight=0.1, decay=1.0)
    assert both == pytest.approx(0.9 * decayed + 0.1 * frequency)


def test_a_history_of_one_step_and_powers_of_two_centuries():
    model = FixedRecurrency(frequency_weight=0.0)
    model.condition(_history().step(0))
    queries = Queries(torch.tensor([0]), None, torch.tensor([1]), torch.tensor([0]))
    assert model.rank(queries)[0, 1] > 0
    times = torch.tensor([0, 188])
    long = TemporalGraph.from_events([0, 0], [1, 2], times, 3, relation=[0, 0], num_relations=1, num_steps=189)
    model.condition(long)
    zero, old, new = model.rank(queries)[0].tolist()
    assert 0 == zero < old < new


@pytest.mark.parametrize("name", ["recurrency", *MODELS.values()])
def test_contract_of_models(name):
    check_model(name)


# ---- tuning -----------------------------------------------------------------------------------------------

NODES, RELATIONS, STEPS, START = 8, 3, 9, 6


def _facts(seed: int = 0, per_step: int = 7) -> TemporalGraph:
    """Facts that recur, as others do now and then; relation 2 is silent in the validation part."""
    draw = torch.Generator().manual_seed(seed)
    src, relation, dst = (torch.randint(0, n, (per_step * STEPS,), generator=draw) for n in (NODES, RELATIONS, NODES))
    time = torch.arange(STEPS).repeat_interleave(per_step)
    again = torch.rand(len(time), generator=draw) < 0.5
    for part in (src, relation, dst):
        part[per_step:] = torch.where(again[per_step:], part[:-per_step], part[per_step:])
    relation[(time >= START) & (relation == 2)] = 0
    graph = TemporalGraph.from_events(src, dst, time, NODES, relation=relation, num_relations=RELATIONS)
    return dataclasses.replace(graph.snapshots(graph.time, STEPS), split=(START, STEPS))


def _listed(graph: TemporalGraph) -> list[tuple[int, int, int, int]]:
    """Quadruples, as often as a step holds them."""
    parts = (graph.src, graph.relation, graph.dst, graph.time)
    rows = zip(*(part.tolist() for part in parts), graph.weight.long().tolist(), strict=True)
    return [tuple(fact) for *fact, times in rows for _ in range(times)]


@pytest.mark.parametrize("stepwise", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_tuned_values_are_those_of_the_slow_version(seed, stepwise):
    graph = _facts(seed)
    tuner = Tuner(Occurrences.of(graph), NODES, 2 * RELATIONS, START, stepwise)
    found = zip(*(part.tolist() for part in tuner.by_relation()), strict=True)
    wanted = slow.tuned(_listed(graph), RELATIONS, NODES, START, stepwise)
    for own, want, queries in zip(found, wanted, tuner.queries, strict=True):
        assert (want is None) == (queries == 0)
        assert want is None or own == want


@pytest.mark.parametrize("at_once", [1, 10**6])
def test_ranks_are_those_of_all_candidates(at_once, monkeypatch):
    """Slices and bisection instead of a score for everyone, whatever is compared at once."""
    monkeypatch.setattr("dynbench.models.counting.tuning._AT_ONCE", at_once)
    graph = _facts(5)
    facts, listed = Occurrences.of(graph), slow.both_ways(_listed(graph), RELATIONS)
    history = [fact for fact in listed if fact[3] < START]
    for decay, weights in ((0.1, np.array([0, 0.5, 0.9999, 1])), (1.0001, np.array([0, 0.001, 0.99, 1]))):
        nothing = Past.nothing(np.full((1, 2 * RELATIONS), decay), NODES)
        past, met = nothing.advanced(facts.between(0, START), START), 0
        for part in Asked.about(facts.between(START, STEPS)).parts(past):
            compared, asked = Compared(past, part), part.facts
            both, alone = compared.by_both(weights), compared.by_past()[0]
            for query, (group, relation, answer, time, _) in enumerate(zip(*asked, strict=True)):
                head, met = group // (2 * RELATIONS), met + 1
                others = {c for h, r, c, t in listed if (h, r, t) == (head, relation, time)}
                for row, weight in enumerate(weights):
                    scores = slow.scores(history, head, relation, decay, weight, NODES)
                    assert both[row, query] == pytest.approx(1 / slow.rank(scores, answer, others))
                assert both[-1, query] == pytest.approx(alone[query])
        assert met == 2 * len(graph.between(START, STEPS))


def test_scores_are_those_of_the_slow_version_before_and_after_steps_are_revealed():
    graph = _facts(2)
    model = Recurrency(ahead="one")
    model.fit(graph.before(START + 1), None, Trainer())
    model.condition(graph.before(START + 1))
    head, relation = torch.cartesian_prod(torch.arange(NODES), torch.arange(2 * RELATIONS)).unbind(1)
    queries = Queries(head, None, torch.full_like(head, 99), relation)
    before = model.running_state()
    for known in range(START + 1, STEPS + 1):
        history = slow.both_ways(_listed(graph.before(known)), RELATIONS)
        values = model.state_dict()
        want = [
            slow.scores(history, h, r, float(values["decay"][r]), float(values["weight"][r]), NODES)
            for h, r in zip(head.tolist(), relation.tolist(), strict=True)
        ]
        assert model.rank(queries).numpy() == pytest.approx(np.array(want))
        if known < STEPS:
            model.observe(graph.step(known))
    late = model.rank(queries)
    model.restore(before)
    assert not torch.equal(model.rank(queries), late)
    again = Recurrency()
    again.load_state_dict(model.state_dict())
    again.condition(graph.before(START + 1))
    assert torch.equal(again.rank(queries), model.rank(queries))


def test_relations_with_few_validation_facts():
    graph = _facts(1)
    tuner = Tuner(Occurrences.of(graph), NODES, 2 * RELATIONS, START, False)
    values = {}
    for name, settings in {"own": {}, "pooled": {"min_facts": 10**6}, "all": {"tuning": "dataset"}}.items():
        model = Recurrency(**settings)
        model.fit(graph, None, Trainer())
        values[name] = model.state_dict()
    decay, weight = tuner.by_relation()
    assert (values["own"]["decay"].tolist()) == [*decay[:2], 1.0001, *decay[3:5], 1.0001]
    assert (values["own"]["weight"].numpy() == np.where(weight == 1, 0.99999, weight))[[0, 1, 3, 4]].all()
    assert values["own"]["weight"][[2, 5]].tolist() == [0.99999, 0.99999]
    assert values["pooled"]["decay"].tolist() == [tuner.pooled()[0]] * 6 == values["all"]["decay"].tolist()
    untuned = Recurrency(tuning="none", decay=0.3, past_weight=0.2)
    untuned.fit(graph, None, Trainer())
    assert untuned.state_dict()["decay"].tolist() == [0.3] * 6


def test_where_tuning_starts():
    """At the published validation part, or, where that is not known, with as many steps at the end."""
    graph = dataclasses.replace(_facts(), split=(5, 7))
    assert validation_start(graph.before(7)) == 5
    assert validation_start(graph.before(5)) == 3
    assert validation_start(dataclasses.replace(graph, split=None)) == STEPS - 1


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
    loop = Loop(make("model", MODELS[scorer]), WindowedKG(history=history), Trainer(), tmp_path)
    loop.play(yago, 0)
    assert loop.queries == 40_052
    table = loop.arrays()["ranks"]
    raw, static, timed = table[:, 3], table[:, 5], table[:, 7]
    assert (static <= timed).all()
    assert (timed <= raw).all()
    found = loop.results()[0]
    for name, cell in zip(("raw", "static", "time"), cells, strict=True):
        digits = [f"{100 * found[f'{name}_{metric}']:.2f}" for metric in ("mrr", "hits@1", "hits@3", "hits@10")]
        assert digits == cell.split(), name


def test_the_place_of_ties_decides(yago, tmp_path):
    """A recency rule is perfect or mediocre under the static filter, by the tie rule alone."""
    found = {}
    for history in ("multi_step_train", "single_step"):
        (tmp_path / history).mkdir()
        loop = Loop(make("model", "last_seen"), WindowedKG(history=history), Trainer(), tmp_path / history)
        loop.play(yago, 0)
        for ties in ("optimistic", "realistic", "pessimistic"):
            metrics = RankMetrics(dict.fromkeys(FILTERS), yago.num_relations, ties)
            metrics.rows = loop.metrics[""].rows
            found[history, ties] = metrics.compute()
    percent = {key: round(100 * value["static_mrr"], 2) for key, value in found.items()}
    assert (percent["multi_step_train", "optimistic"], percent["multi_step_train", "realistic"]) == (100.0, 65.98)
    percent = [round(100 * value["time_mrr"], 2) for key, value in found.items() if key[0] == "single_step"]
    assert percent == [96.30, 88.85, 87.06]

"""Ranking the facts of test steps: what is asked, what may be known, and that nothing leaks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from exams import blocks_of, validation_of

from dynbench.engine.loop import Loop
from dynbench.engine.trainer import Trainer
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.models.counting.recurrency import Recurrency
from dynbench.protocols.windowed_kg import WindowedKG
from dynbench.testing import check_protocol

HISTORIES = ("multi_step_train", "multi_step", "single_step")


def facts(seed: int = 0) -> TemporalGraph:
    """Thirty entities, three relations, ten steps in parts of 6, 2 and 2; a node that comes late, weights up to 2."""
    draw = torch.Generator().manual_seed(seed)
    src, dst = (torch.randint(0, 29, (400,), generator=draw) for _ in range(2))
    time, relation = (torch.randint(0, n, (400,), generator=draw) for n in (10, 3))
    src[time == 9] = 29
    graph = TemporalGraph.from_events(src, dst, time, 30, relation=relation, num_relations=3)
    return dataclasses.replace(graph.snapshots(graph.time, 10), split=(6, 8))


def told(model: Model, protocol: WindowedKG, graph: TemporalGraph, folder: Path) -> Loop:
    """A story from start to end."""
    folder.mkdir(exist_ok=True)
    story = Loop(model, protocol, Trainer(), folder, resume=False)
    story.play(graph, 0)
    return story


@pytest.fixture
def heard(tmp_path):
    """Tell a story and return what the model was asked and answered."""

    def hear(protocol: WindowedKG, graph: TemporalGraph):
        answers = []

        class Noted(Recurrency):
            def rank(self, queries):
                scores = super().rank(queries)
                answers.append((queries, scores.clone()))
                return scores

        story = told(Noted(), protocol, graph, tmp_path / "run")
        return story, answers

    return hear


def test_contract_of_protocols():
    check_protocol("windowed_kg")


def test_repeated_facts_are_asked_about_once_if_one_likes():
    graph = facts()
    graph = dataclasses.replace(graph, weight=1 + graph.relation.float())
    (each,), (once,) = (WindowedKG(repeats=how).episodes(graph, 0) for how in ("each", "once"))
    assert [len(block.queries) for block in blocks_of(once)] == [2 * len(graph.step(step)) for step in (8, 9)]
    assert sum(len(block.queries) for block in blocks_of(each)) == 2 * int(graph.between(8, 10).weight.sum())
    for ones, others in zip(validation_of(each), validation_of(once), strict=True):
        assert torch.equal(ones.answers, others.answers)


def test_both_ends_of_every_fact_are_asked_about():
    graph, protocol = facts(), WindowedKG()
    (episode,) = protocol.episodes(graph, 0)
    assert [block.step for block in blocks_of(episode)] == [8, 9]
    now, block = graph.step(8), blocks_of(episode)[0]
    count = int(now.weight.sum())
    assert len(block.queries) == len(block.answers) == 2 * count
    assert block.queries.dst is None
    back = block.queries[count:]
    assert torch.equal(block.answers[:count], now.dst.repeat_interleave(now.weight.long()))
    assert torch.equal(back.src, block.answers[:count])
    assert torch.equal(block.answers[count:], block.queries.src[:count])
    assert torch.equal(back.relation, block.queries.relation[:count] + 3)
    assert bool((block.queries.time == 8).all())


@pytest.mark.parametrize(("sides", "low", "high"), [("object", 0, 3), ("subject", 3, 6)])
def test_one_side_only(sides, low, high, tmp_path):
    graph, protocol = facts(), WindowedKG(sides=sides)
    (episode,) = protocol.episodes(graph, 0)
    relation = torch.cat([block.queries.relation for block in blocks_of(episode)])
    assert (int(relation.min()), int(relation.max()) + 1) == (low, high)
    found = told(Recurrency(), protocol, graph, tmp_path / "run").results()[0]
    both = told(Recurrency(), WindowedKG(), graph, tmp_path / "both").results()[0]
    assert found["time_mrr"] == found[f"time_mrr_{sides}"]
    assert found["time_mrr"] == pytest.approx(both[f"time_mrr_{sides}"], abs=1e-12)


@pytest.mark.parametrize(("history", "known"), [("multi_step_train", 6), ("multi_step", 8), ("single_step", 8)])
def test_what_is_known(history, known):
    graph = facts()
    (episode,) = WindowedKG(history=history).episodes(graph, 0)
    assert episode.context.checksum() == graph.before(known).checksum()
    assert episode.train[""].checksum() == graph.before(6).checksum()
    revealed = [block.reveal for block in blocks_of(episode)]
    if history == "single_step":
        assert [part.checksum() for part in revealed] == [graph.step(step).checksum() for step in (8, 9)]
    else:
        assert revealed == [None, None]
    assert {block.step for block in validation_of(episode)} <= {6, 7}


def test_validation_is_a_sample_of_the_validation_part():
    graph = facts()
    (whole,) = WindowedKG(validation_queries=10_000).episodes(graph, 0)
    assert sum(len(block.queries) for block in validation_of(whole)) == 2 * int(graph.between(6, 8).weight.sum())
    drawn = []
    for seed in (0, 0, 1):
        (episode,) = WindowedKG(validation_queries=9).episodes(graph, seed)
        drawn.append([block.queries.src.tolist() for block in validation_of(episode)])
    assert sum(map(len, drawn[0])) == 9
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("history", HISTORIES)
def test_the_future_does_not_leak(heard, history):
    """Other objects in the last step, or in both test steps where nothing is revealed, move no score."""
    graph = facts()
    start = 9 if history == "single_step" else 8
    late = graph.time >= start
    other = dataclasses.replace(graph, dst=torch.where(late, (graph.dst + 5) % 29, graph.dst))
    told_by = []
    for known in (graph, other):
        _, answers = heard(WindowedKG(history=history, sides="object"), known)
        told_by.append(torch.cat([scores for _, scores in answers]))
    assert torch.equal(*told_by)


def test_revealed_steps_are_learnt(heard):
    graph = facts()
    scores = {history: heard(WindowedKG(history=history), graph)[1][-1][1] for history in HISTORIES}
    assert not torch.equal(scores["multi_step"], scores["multi_step_train"])
    assert not torch.equal(scores["multi_step"], scores["single_step"])
    again = Recurrency()
    again.fit(graph.before(8), None, Trainer())
    again.condition(graph.before(9))
    (episode,) = WindowedKG().episodes(graph, 0)
    answers = again.rank(blocks_of(episode)[-1].queries)
    assert sorted(answers.tolist()) == sorted(scores["single_step"].tolist())  # asked in a drawn order


def test_cut_into_portions_changes_nothing(monkeypatch, tmp_path):
    graph, found = facts(), []
    for size in (1, 30 * 7, 10**6):
        monkeypatch.setattr("dynbench.engine.loop.RANKED_CPU", size)
        story = told(Recurrency(), WindowedKG(), graph, tmp_path / "run")
        found.append((story.metrics[""].arrays()["ranks"].tolist(), story.fingerprint, story.queries))
    assert found[0] == found[1] == found[2]


def test_entities_never_seen_are_ranked(tmp_path):
    graph = facts()
    assert int(graph.before(8).first_seen()[29]) > 9
    story = told(Recurrency(), WindowedKG(), graph, tmp_path / "run")
    table = story.metrics[""].arrays()["ranks"]
    assert len(table) == 2 * int(graph.between(8, 10).weight.sum())
    # At step 9 every subject is the newcomer: it shares the places of all that were never an answer.
    subjects = table[(table[:, 0] == 9) & (table[:, 1] == 1)]
    assert (subjects[:, 3] + subjects[:, 4] == 30).all()


def test_a_test_part_without_facts():
    """Said before anything is trained."""
    graph = facts()
    silent = dataclasses.replace(graph.before(8), num_steps=10)
    with pytest.raises(DataError, match=r"the test part, steps 8 to 9, holds no fact"):
        next(iter(WindowedKG().episodes(silent, 0)))
    late = dataclasses.replace(graph, split=(6, 10))
    with pytest.raises(DataError, match="10 steps leave no history before step 6 or none to ask about from step 10"):
        next(iter(WindowedKG().episodes(late, 0)))


def test_interrupted_runs_keep_their_table(tmp_path):
    graph = facts()
    whole = told(Recurrency(), WindowedKG(), graph, tmp_path)
    resumed = Loop(Recurrency(), WindowedKG(), Trainer(), tmp_path)
    assert resumed.done == 1
    resumed.play(graph, 0)
    assert resumed.results() == whole.results()


def test_data_without_parts_and_data_too_short(tmp_path):
    graph = dataclasses.replace(facts(), split=None)
    (episode,) = WindowedKG().episodes(graph, 0)
    assert ([block.step for block in blocks_of(episode)], int(episode.context.time.max())) == ([9], 8)
    short = dataclasses.replace(graph.before(2), num_steps=2)
    with pytest.raises(DataError, match="2 steps leave no history"):
        list(WindowedKG().episodes(short, 0))


@pytest.mark.parametrize(("history", "scored"), [("multi_step_train", True), ("multi_step", False)])
def test_validation_is_measured_unless_it_was_learnt_from(history, scored, tmp_path):
    """A search over settings may look at validation facts, but not at those that a model has seen the answers of."""
    graph = facts()
    story = told(Recurrency(), WindowedKG(history=history, validation_queries=10_000), graph, tmp_path / "run")
    found = {name: value for name, value in story.results()[0].items() if name.startswith("validation_")}
    assert set(found) == (
        {f"validation_raw_{name}" for name in ("mrr", "hits@1", "hits@3", "hits@10")} if scored else set()
    )
    if scored:
        again = Recurrency()
        again.fit(graph.before(6), None, Trainer())
        again.condition(graph.before(6))
        (episode,) = WindowedKG(validation_queries=10_000).episodes(graph, 0)
        places = []
        for block in validation_of(episode):
            scores, answers = again.rank(block.queries), block.answers[:, None]
            own = scores.gather(1, answers)
            places += ((scores > own).sum(1) + ((scores == own).sum(1) + 1) / 2).tolist()
        assert found["validation_raw_mrr"] == pytest.approx(sum(1 / place for place in places) / len(places))

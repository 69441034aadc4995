"""RE-NET: equations against a slow version, the roll-out, what it may know, and keeping."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from exams import TestsAlone

from dynbench.contract import Queries
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.models.kg.activity import Activity, units
from dynbench.models.kg.aggregators import Known
from dynbench.models.kg.base import with_relations
from dynbench.models.kg.batches import Asked, FactBatches, answer_loss
from dynbench.models.kg.event_encoder import Computed, State
from dynbench.models.kg.global_model import GlobalTraining
from dynbench.models.kg.renet import RENET, Forecast
from dynbench.models.kg.rollout import generated
from dynbench.models.kg.snapshots import Snapshots
from dynbench.nn.histories import HistoryGRU
from dynbench.protocols.windowed_kg import WindowedKG
from tests.reference import renet_slow as slow

AGGREGATORS = ("mean", "attentive", "rgcn")
NODES, RELATIONS, STEPS = 12, 3, 9
SMALL = {
    "dim": 6, "length": 3, "epochs": 2, "batch_size": 16, "global_epochs": 2, "global_steps": 3, "rollout_size": 5,
    "patience": 9,
}  # fmt: skip


def facts(seed: int = 0, per_step: int = 9) -> TemporalGraph:
    """Few entities, three relations, nine steps of which one is silent; the last entity never comes."""
    draw = torch.Generator().manual_seed(seed)
    count = per_step * STEPS
    src, dst = (torch.randint(0, NODES - 1, (count,), generator=draw) for _ in range(2))
    time, relation = (torch.randint(0, n, (count,), generator=draw) for n in (STEPS, RELATIONS))
    kept = time != 4
    graph = TemporalGraph.from_events(
        src[kept], dst[kept], time[kept], NODES, relation=relation[kept], num_relations=RELATIONS
    )
    return dataclasses.replace(graph.snapshots(graph.time, STEPS), split=(6, 7), weight=None)


def built(aggregator: str, **more) -> RENET:
    """An untrained model that knows the first six steps and drops nothing."""
    torch.manual_seed(1)
    model = RENET(**{**SMALL, "aggregator": aggregator, "dropout": 0.0, **more})
    model.create(nodes=NODES, relations=RELATIONS)
    model.eval().condition(facts().before(6))
    return model


def all_queries(time: int) -> Queries:
    """Every entity with every relation and inverse relation."""
    head, relation = torch.cartesian_prod(torch.arange(NODES), torch.arange(2 * RELATIONS)).unbind(1)
    return Queries(head, None, torch.full_like(head, time), relation)


# ---- pieces ---------------------------------------------------------------------------------------------------


def test_recent_visits_and_their_facts():
    graph = facts()
    listed, activity = slow.quadruples(graph), Activity(graph)
    unit = torch.arange(2 * NODES)
    for time in range(STEPS + 1):
        recent = activity.recent(unit, torch.full_like(unit, time), 3)
        for number in unit.tolist():
            head, inverse = number % NODES, number >= NODES
            visits = [visit for visit in recent[number].tolist() if visit >= 0]
            steps = slow.recent_steps(listed, head, inverse, time, 3)
            assert activity.time[visits].tolist() == steps
            for visit, step in zip(visits, steps, strict=True):
                part = slice(activity.start[visit], activity.start[visit] + activity.size[visit])
                relation = activity.relation[part] % RELATIONS
                found = sorted(zip(relation.tolist(), activity.answer[part].tolist(), strict=True))
                assert found == sorted(slow.neighbours(listed, head, inverse, step))


def test_later_facts_renumber_no_visit():
    whole, part = Activity(facts()), Activity(facts().before(5))
    for name in ("unit", "time", "start", "size"):
        assert torch.equal(getattr(whole, name)[: len(part)], getattr(part, name))


def test_steps_of_a_history_are_at_most_the_time_asked_about():
    """A time beyond all known ones is as good as the next step."""
    activity, unit = Activity(facts()), torch.arange(2 * NODES)
    late, next_one = (activity.recent(unit, torch.full_like(unit, time), 4) for time in (10**6, STEPS))
    assert torch.equal(late, next_one)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_neighbourhoods(aggregator):
    model = built(aggregator)
    known, encoder = Known.of(model.known), model.encoder
    listed, visits = slow.quadruples(model.known), torch.arange(len(known.activity))
    relation = torch.arange(len(visits)) % (2 * RELATIONS) if encoder.aggregator.sees_relation else None
    got = encoder.aggregator(encoder.entities, encoder.relations, known, visits, relation)
    for visit in visits.tolist():
        unit, step = int(known.activity.unit[visit]), int(known.activity.time[visit])
        asked = None if relation is None else int(relation[visit])
        want = slow.around(model, listed, unit % NODES, unit >= NODES, step, asked)
        torch.testing.assert_close(got[visit], want)


def test_global_states_and_their_continuation():
    model = built("mean")
    graph = model.known
    listed, snapshots = slow.quadruples(graph), Snapshots(graph)
    got = model.global_model.moments(snapshots, 6)
    want = torch.stack([slow.moment(model.global_model, listed, step) for step in range(6)])
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(model.global_model.moments(snapshots, 6, got[:4]), want)


def test_global_loss():
    model = built("mean").global_model
    graph = facts().before(4)  # a silent target would have no share to compare with
    training = GlobalTraining(model, graph, 1, 9, 0.001, 0.0, 1.0)
    want = slow.global_loss(model, slow.quadruples(graph), [1, 2, 3])
    torch.testing.assert_close(training.training_step(0, 0), want)
    assert training.steps == 1


# ---- the whole ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_scores_are_those_of_the_slow_version(aggregator):
    model, queries = built(aggregator), all_queries(6)
    listed = slow.quadruples(model.known)
    want = torch.stack(
        [
            slow.answer_logits(model, listed, head, relation, 6)
            for head, relation in zip(queries.src.tolist(), queries.relation.tolist(), strict=True)
        ]
    )
    torch.testing.assert_close(model.rank(queries), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_loss_and_its_gradient_are_those_of_the_slow_version(aggregator):
    """Repeated queries are computed once and weighted; histories are shared. Neither may show."""
    model = built(aggregator)
    graph, encoder = model.known, model.encoder
    known = Known.of(graph)
    moments = model.global_model.moments(known.snapshots, 6).detach()
    loss = encoder.loss(State(known, moments, Computed(encoder, known)), Asked.about(graph), model.relation_weight)
    model.zero_grad()
    loss.backward()
    got = {name: part.grad.clone() for name, part in encoder.named_parameters() if part.grad is not None}
    model.zero_grad()
    want = slow.loss(model, slow.quadruples(graph), range(len(graph)))
    want.backward()
    torch.testing.assert_close(loss, want, rtol=1e-4, atol=1e-5)
    for name, part in got.items():
        torch.testing.assert_close(part, dict(encoder.named_parameters())[name].grad, rtol=1e-3, atol=1e-5, msg=name)
    assert {"entities", "relations", "answer_out.weight", "event_gru.bias", "entity_gru.bias"} <= set(got)


def test_answer_loss_weighs_facts():
    logits = torch.randn(3, 5)
    query, answer, weight = torch.tensor([0, 0, 2]), torch.tensor([1, 4, 4]), torch.tensor([0.5, 0.25, 0.25])
    each = torch.nn.functional.cross_entropy(logits[query], answer, reduction="none")
    torch.testing.assert_close(answer_loss(logits, query, answer, weight), (each * weight).sum())


@pytest.mark.parametrize("aggregator", AGGREGATORS)
@pytest.mark.parametrize("pairs", [2, 256])
def test_generated_snapshots_are_the_likeliest_facts(aggregator, pairs, monkeypatch):
    """However few pairs are looked at at a time, and wherever the search ends."""
    monkeypatch.setattr("dynbench.models.kg.rollout._PAIRS", pairs)
    model = built(aggregator)
    with torch.no_grad():
        for head in (*model.global_model.heads, model.encoder.answer_out, model.encoder.relation_out):
            head.weight *= 20  # sharper, so that no two facts are about as likely
        model.arrange()
        found = generated(Forecast(model, model._now), 7, seed=3)
        want = slow.generated(model, slow.quadruples(model.known), 6, 7, seed=3)
    assert {tuple(fact) for fact in found.T.tolist()} == want
    assert found.shape[1] == len(want)


def test_later_steps_build_on_generated_ones():
    model = built("mean", rollout="generated")
    near, far = (model.rank(all_queries(time)) for time in (6, 8))
    grown = model._ahead.known.graph
    assert grown.num_steps == 8
    assert torch.equal(grown.before(6).src, model.known.src)
    again = built("mean", rollout="generated")
    again.seed = model.seed
    assert torch.equal(again.rank(all_queries(8)), far)
    torch.testing.assert_close(model.rank(all_queries(6)), near)  # what was generated for later does not show
    frozen = built("mean", rollout="frozen")
    torch.testing.assert_close(frozen.rank(all_queries(6)), near)
    torch.testing.assert_close(frozen.rank(all_queries(8)), near)
    assert not torch.allclose(far, near)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_revealed_steps_enter_histories(aggregator):
    """Known bit by bit or at once; what was forecast in their place is forgotten."""
    graph = facts()
    stepwise = built(aggregator)
    stepwise.rank(all_queries(6))
    stepwise.observe(graph.step(6))
    rolled = built(aggregator)
    rolled.rank(all_queries(8))
    rolled.observe(graph.step(6))
    at_once = built(aggregator)
    at_once.condition(graph.before(7))
    want = at_once.rank(all_queries(7))
    for model in (stepwise, rolled):
        torch.testing.assert_close(model.rank(all_queries(7)), want)
    assert not torch.allclose(want, built(aggregator).rank(all_queries(7)))


# ---- stories --------------------------------------------------------------------------------------------------


def told(graph, folder, history="multi_step", **more):
    """A story from start to end, and its model."""
    folder.mkdir(exist_ok=True)
    model = RENET(**{**SMALL, **more})
    loop = TestsAlone(model, WindowedKG(history=history), Trainer(), folder, resume=False)
    loop.play(graph, 0)
    return model, loop


@pytest.mark.parametrize("aggregator", AGGREGATORS)
@pytest.mark.parametrize("history", ["multi_step_train", "multi_step", "single_step"])
def test_parameters_know_the_train_part_and_histories_what_they_may(aggregator, history, tmp_path):
    """What is asked and what is known does not reach the fit; the validation part chooses among its states alone."""
    model, _ = told(facts(), tmp_path / "one", history, aggregator=aggregator)
    assert model.known.num_steps == {"multi_step_train": 6, "multi_step": 7, "single_step": 9}[history]
    other, _ = told(facts(), tmp_path / "two", "multi_step", aggregator=aggregator)
    for name, part in model.named_parameters():
        assert torch.equal(part, dict(other.named_parameters())[name]), name


def test_a_kept_fit_answers_as_before(tmp_path):
    model, _ = told(facts(), tmp_path / "run", rollout="generated")
    fresh = RENET(**SMALL)
    fresh.load_state_dict(model.state_dict())
    fresh.eval().condition(facts().before(7))
    assert torch.equal(fresh.rank(all_queries(8)), model.rank(all_queries(8)))


def test_a_state_to_go_back_to():
    model = built("mean")
    before, want = model.running_state(), model.rank(all_queries(7))
    model.observe(facts().step(6))
    assert not torch.allclose(model.rank(all_queries(7)), want)
    model.restore(before)
    torch.testing.assert_close(model.rank(all_queries(7)), want)


def test_the_future_does_not_move_scores(tmp_path):
    graph, found = facts(), []
    late = graph.time >= 8
    other = dataclasses.replace(graph, dst=torch.where(late, (graph.dst + 5) % (NODES - 1), graph.dst))
    for known in (graph, other):
        model, _ = told(known, tmp_path / "run", "single_step")
        model.condition(known.before(8))
        found.append(model.rank(all_queries(8)))
    assert torch.equal(*found)


def test_entities_never_seen_are_ranked(tmp_path):
    graph = facts()
    graph = dataclasses.replace(graph, src=torch.where(graph.time == 8, NODES - 1, graph.src))
    assert NODES - 1 not in graph.before(8).src
    model, loop = told(graph, tmp_path / "run", rollout="frozen")
    table = loop.arrays()["ranks"]
    assert len(table) == 2 * len(graph.between(7, 9))
    assert bool(torch.isfinite(model.rank(all_queries(8))).all())


def test_it_learns_what_returns(tmp_path):
    """The same facts in every step: an untrained model is near chance, a trained one is not."""
    base = facts(per_step=1).between(0, 4)
    src, dst, relation = (getattr(base, name).repeat(STEPS) for name in ("src", "dst", "relation"))
    time = torch.arange(STEPS).repeat_interleave(len(base))
    graph = TemporalGraph.from_events(src, dst, time, NODES, relation=relation, num_relations=RELATIONS)
    graph = dataclasses.replace(graph.snapshots(graph.time, STEPS), split=(6, 7))
    found = []
    for rate in (1e-9, 0.01):
        settings = {"dim": 16, "epochs": 100, "dropout": 0.0, "learning_rate": rate, "patience": 100}
        _, loop = told(graph, tmp_path / "run", **settings)
        found.append(loop.results()[0]["time_mrr"])
    assert found[1] > 0.9
    assert found[0] < 0.6


def test_training_stops_early_and_keeps_the_best():
    values, kept = iter([0.1, 0.5, 0.4, 0.3, 0.2]), []

    def selector(model):
        model.condition(facts().before(6))
        assert model.rank(all_queries(8)).shape == (len(all_queries(8)), NODES)
        assert model._ahead.known.graph.num_steps == 6  # no roll-out while states are compared
        kept.append(model.encoder.entities.detach().clone())
        return {"raw_mrr": next(values)}

    model, trainer = RENET(**{**SMALL, "epochs": 20, "patience": 2}), Trainer()
    model.fit(facts().before(6), selector, trainer)
    assert len(kept) == 4
    assert torch.equal(model.encoder.entities, kept[1])
    epochs = 4 * FactBatches(with_relations(facts().before(6)), 16, 1).per_epoch
    assert trainer.steps == epochs + 2 * 2  # the global model: two epochs of two batches


def test_an_odd_width_is_refused():
    with pytest.raises(ConfigError, match=r"model\.dim is 7; .* even number"):
        RENET(dim=7)


def test_queries_name_their_unit():
    head, relation = torch.tensor([3, 3]), torch.tensor([RELATIONS - 1, RELATIONS])
    assert units(head, relation, facts()).tolist() == [3, 3 + NODES]


def test_cells_are_those_of_torch():
    """The split input, and histories of unequal length."""
    gru = HistoryGRU((2, 3), 4)
    cell = torch.nn.GRUCell(5, 4)
    with torch.no_grad():
        for name, part in (("weight_ih", torch.cat(list(gru.parts), 1)), ("bias_ih", gru.bias)):
            getattr(cell, name).copy_(part)
        cell.weight_hh.copy_(gru.state.weight)
        cell.bias_hh.copy_(gru.state.bias)
    inputs = torch.randn(4, 3, 5)
    known = torch.tensor([[0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 1]]).bool()
    given = gru.product(0, inputs[..., :2]) + gru.product(1, inputs[..., 2:])
    got = gru.run(lambda step, index: given[index, step], known)
    for number in range(4):
        state = torch.zeros(1, 4)
        for step in known[number].nonzero().squeeze(1).tolist():
            state = cell(inputs[number, step][None], state)
        torch.testing.assert_close(got[number], state[0])

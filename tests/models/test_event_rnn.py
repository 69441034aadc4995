"""Know-Evolve and DyRep with a decoder: equations against a slow version, phases, what they may know."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from exams import TestsAlone

from dynbench.contract import Queries
from dynbench.engine.loop import Loop
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.kg.activity import Activity
from dynbench.models.kg.base import with_relations
from dynbench.models.kg.dyrep_kg import DyRepKG
from dynbench.models.kg.event_rnn import Lesson
from dynbench.models.kg.know_evolve import KnowEvolve
from dynbench.protocols.windowed_kg import WindowedKG
from tests.reference import event_rnn_slow as slow
from tests.reference.renet_slow import quadruples

MODELS = {"know_evolve": KnowEvolve, "dyrep": DyRepKG}
NODES, RELATIONS, STEPS = 12, 3, 9
SMALL = {
    "dim": 4, "relation_dim": 3, "decoder_dim": 6, "likelihood_epochs": 2, "epochs": 2, "facts_per_step": 4,
    "window": 3, "samples": 2, "patience": 9,
}  # fmt: skip

pytestmark = pytest.mark.parametrize("name", MODELS)


def facts(seed: int = 0) -> TemporalGraph:
    """Few entities, three relations, nine steps of which one is silent; the last entity never comes."""
    draw = torch.Generator().manual_seed(seed)
    src, dst = (torch.randint(0, NODES - 1, (72,), generator=draw) for _ in range(2))
    time, relation = (torch.randint(0, n, (72,), generator=draw) for n in (STEPS, RELATIONS))
    kept = time != 4
    graph = TemporalGraph.from_events(
        src[kept], dst[kept], time[kept], NODES, relation=relation[kept], num_relations=RELATIONS
    )
    return dataclasses.replace(graph.snapshots(graph.time, STEPS), split=(6, 7), weight=None)


def built(name: str, **more):
    """An untrained model that holds the facts of all steps and stands before the first."""
    torch.manual_seed(1)
    model = MODELS[name](**{**SMALL, **more})
    model.create(nodes=NODES, relations=RELATIONS)
    model.condition(facts())
    model._rewind()
    return model


def lesson(model, loss: str = "_decoding", **more) -> Lesson:
    """What the model learns from all steps."""
    graph = with_relations(facts())
    given = {"facts_per_step": None, "span": 3, "learning_rate": 0.1, "through_time": True} | more
    return Lesson(graph, Activity(graph, merge=True), getattr(model, loss), **given)


def all_queries(time: int) -> Queries:
    """Every entity with every relation and inverse relation."""
    head, relation = torch.cartesian_prod(torch.arange(NODES), torch.arange(2 * RELATIONS)).unbind(1)
    return Queries(head, None, torch.full_like(head, time), relation)


def compare(model, state) -> None:
    """The model stands where the slow version stands."""
    now, (vectors, times, relations) = model._now(), state
    torch.testing.assert_close(now.vectors, torch.stack(vectors))
    assert now.last_time.tolist() == times
    seen = [entity for entity in range(NODES) if times[entity] >= 0]
    assert [int(now.last_relation[entity]) for entity in seen] == [relations[entity] for entity in seen]


def test_vectors_follow_events(name):
    model, listed = built(name), quadruples(facts())
    state = slow.start(model)
    compare(model, state)
    for step in range(STEPS):
        model._go_through([step])
        state = slow.after(model, listed, state, step)
        compare(model, state)


def test_likelihood(name):
    model, listed = built(name), quadruples(facts())
    state = slow.start(model)
    for step in range(STEPS):
        now = facts().step(step)
        if len(now):
            others = torch.randint(NODES, (2, len(now), 2))
            got = model.intensity(model, model._now(), now, others)
            want = [
                slow.likelihood(model, state, fact, others[:, place].tolist())
                for place, fact in enumerate(quadruples(now))
            ]
            torch.testing.assert_close(got, torch.stack(want), rtol=1e-4, atol=1e-5)
        model._go_through([step])
        state = slow.after(model, listed, state, step)


@pytest.mark.parametrize("training", ["decoder_only", "joint"])
def test_loss_of_the_decoder_and_its_gradient(name, training):
    """Over a window of three steps if gradients reach back to its start, over a step if only to the decoder."""
    model, listed = built(name, training=training, facts_per_step=100), quadruples(facts())
    joint = training == "joint"
    decoder = [model.asked, *model.decoder.parameters()]
    chosen = [*decoder, *([model.start, *model.cell.parameters()] if joint else [])]
    model._prepare(lesson(model, span=3 if joint else 1, through_time=joint), chosen)
    loss = model.training_step(0, 0)
    got = torch.autograd.grad(loss, chosen)
    state, losses = slow.start(model), []
    for step in range(3 if training == "joint" else 1):
        now = [fact for fact in listed if fact[3] == step]
        each = []
        for s, r, o, _ in now:
            for head, relation, answer in ((s, r, o), (o, r + RELATIONS, s)):
                each.append(-slow.answer_logits(model, state, head, relation).log_softmax(0)[answer])
        losses.append(torch.stack(each).sum() / len(now))
        state = slow.after(model, listed, state, step)
    want = torch.stack(losses).mean()
    torch.testing.assert_close(loss, want)
    for one, other in zip(got, torch.autograd.grad(want, chosen), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)
    compare(model, [[part.detach() for part in state[0]], *state[1:]])


def test_windows_go_on_from_one_another(name):
    """The second window starts from what the first one ended with; an epoch starts from the beginning."""
    model = built(name)
    model._prepare(lesson(model, "_likelihood"), list(model.parameters()))
    seen = []
    for step in range(4):
        model.training_step(step, step)
        seen.append(model._now())
    model._rewind()
    model._go_through(range(6))
    assert torch.equal(seen[1].vectors, model._now().vectors)
    assert torch.equal(seen[3].vectors, seen[0].vectors)


def test_scores(name):
    model, listed = built(name), quadruples(facts())
    state = slow.start(model)
    for step in range(STEPS):
        state = slow.after(model, listed, state, step)
    model._go_through(range(STEPS))
    queries = all_queries(STEPS)
    heads, relations = queries.src.tolist(), queries.relation.tolist()
    want = [slow.answer_logits(model, state, *pair) for pair in zip(heads, relations, strict=True)]
    torch.testing.assert_close(model.rank(queries), torch.stack(want))


@pytest.mark.parametrize("training", ["decoder_only", "joint"])
@pytest.mark.parametrize("history", ["multi_step_train", "multi_step", "single_step"])
def test_stories(name, training, history, tmp_path):
    """Every history and way of training; parameters come from the train part, vectors from all that is known."""
    model = MODELS[name](**SMALL, training=training)
    loop = TestsAlone(model, WindowedKG(history=history), Trainer(), tmp_path, resume=False)
    loop.play(facts(), 0)
    assert len(loop.arrays()["ranks"]) == 2 * len(facts().between(7, 9))
    assert int(model.last_time.max()) == {"multi_step_train": 5, "multi_step": 6, "single_step": 8}[history]
    assert int(model.last_time[NODES - 1]) == -1
    assert bool(torch.isfinite(model.rank(all_queries(9))).all())
    windows, steps = 2, 6
    assert loop.trainer.steps == 2 * windows + (2 * steps if training == "decoder_only" else 0)


def test_revealed_steps_are_followed(name):
    graph, found = facts(), []
    for known in (6, 7):
        model = built(name)
        model.condition(graph.before(known))
        if known == 6:
            before = model.rank(all_queries(8))
            model.observe(graph.step(6))
        found.append(model.rank(all_queries(8)))
    torch.testing.assert_close(*found)
    assert not torch.allclose(before, found[0])


def test_a_state_to_go_back_to(name):
    model = built(name)
    model.condition(facts().before(6))
    before = {part: value.clone() for part, value in model.running_state().items()}
    want = model.rank(all_queries(8))
    model.observe(facts().step(6))
    model.restore(before)
    assert torch.equal(model.rank(all_queries(8)), want)
    assert len(model.known) == len(facts().before(6))


def test_the_decoder_alone_leaves_the_process_as_it_is(name, monkeypatch):
    kept = []
    prepare = MODELS[name]._prepare

    def noted(self, lesson, chosen):
        kept.append({part: value.detach().clone() for part, value in self.named_parameters()})
        prepare(self, lesson, chosen)

    monkeypatch.setattr(MODELS[name], "_prepare", noted)
    torch.manual_seed(0)
    model = MODELS[name](**SMALL)
    model.fit(facts().before(6), None, Trainer())
    for part, value in model.named_parameters():
        moved = part.startswith(("decoder", "asked"))
        assert torch.equal(value, kept[1][part]) != moved, part
        assert torch.equal(kept[0][part], kept[1][part]) == moved, part


def test_the_decoder_learns_what_returns(name, tmp_path):
    """The same facts in every step."""
    base = facts().step(0)
    src, dst, relation = (getattr(base, part).repeat(STEPS) for part in ("src", "dst", "relation"))
    time = torch.arange(STEPS).repeat_interleave(len(base))
    graph = TemporalGraph.from_events(src, dst, time, NODES, relation=relation, num_relations=RELATIONS)
    graph = dataclasses.replace(graph.snapshots(graph.time, STEPS), split=(6, 7))
    found = []
    for rate in (1e-9, 0.02):
        settings = {**SMALL, "dim": 16, "decoder_dim": 32, "facts_per_step": 100, "epochs": 60, "patience": 60}
        model = MODELS[name](**settings, decoder_learning_rate=rate, training="joint")
        loop = Loop(model, WindowedKG(), Trainer(), tmp_path, resume=False)
        loop.play(graph, 0)
        found.append(loop.results()[0]["time_mrr"])
    assert found[1] > 0.9
    assert found[0] < 0.6

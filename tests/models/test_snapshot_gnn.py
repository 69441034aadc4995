"""NGLP, GAE, GraphSAGE: shapes, direction, causality, ablations, keeping."""

import dataclasses

import pytest
import torch
from exams import blocks_of, validation_of

from dynbench.contract import Queries
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.metrics.steps import auc
from dynbench.models.snapshot_gnn.gae import GAE
from dynbench.models.snapshot_gnn.graphsage import GraphSAGE
from dynbench.models.snapshot_gnn.nglp import NGLP, degree_features
from dynbench.protocols.temporal_split import TemporalSplit
from dynbench.sampling.pairs import PairIndex, draw_unlinked

NODES = 30
SMALL = {"dim": 6, "hidden": 8, "epochs": 2, "patience": 1}
VARIANTS = {
    "full": (NGLP, {}),
    "directed": (NGLP, {"message_passing": "directed"}),
    "no degrees": (NGLP, {"degrees": []}),
    "no embeddings": (NGLP, {"embeddings": "ones"}),
    "no graph": (NGLP, {"layers": "linear"}),
    "dot": (NGLP, {"decoder": "dot"}),
    "gae": (GAE, {}),
    "sage": (GraphSAGE, {}),
}
SYMMETRIC = ("dot", "gae")


def graph(steps=24, seed=0):
    """Two camps of nodes that write to their own, mostly the first of each camp to the others."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(steps).repeat_interleave(30)
    src = torch.randint(NODES, (len(time),), generator=generator)
    dst = (src + 2 * torch.randint(1, NODES // 2, (len(time),), generator=generator)) % NODES
    events = TemporalGraph.from_events(src % 6, dst, time, NODES)
    return events.snapshots(events.time, steps)


def fitted(variant, history=None, seed=0, selector=None, **more):
    cls, settings = VARIANTS[variant]
    (episode,) = TemporalSplit().episodes(history if history is not None else graph(), 0)
    torch.manual_seed(seed)
    model = cls(**{**SMALL, **settings, **more})
    model.fit(episode.train[""], selector, Trainer())
    model.condition(episode.context)
    return model, episode


def all_blocks(episode):
    return [*validation_of(episode), *blocks_of(episode)]


def answers(model, episode):
    """Scores of all blocks, each revealed after it was answered."""
    found = []
    for block in all_blocks(episode):
        found.append(model.score(block.queries))
        model.observe(block.reveal)
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores(variant):
    model, episode = fitted(variant)
    block = validation_of(episode)[0]
    scores = model.score(block.queries)
    assert scores.shape == block.answers.shape
    assert scores.dtype == torch.float32
    back = model.score(Queries(block.queries.dst, block.queries.src, block.queries.time))
    assert torch.allclose(scores, back, atol=1e-6) == (variant in SYMMETRIC)
    assert model.embed(torch.tensor([block.step, block.step])).shape == (2, NODES, 8)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_gets_a_gradient(variant):
    model, episode = fitted(variant)
    model.train()
    train = episode.train[""].subset(episode.train[""].src != episode.train[""].dst)
    model._examples, model._linked = model.examples(train), PairIndex(train)
    model.zero_grad()
    model.training_step(0, 0).backward()
    silent = [name for name, part in model.named_parameters() if part.grad is None or not part.grad.abs().sum()]
    assert silent == []
    assert ("vectors" in dict(model.named_parameters())) == (variant != "no embeddings")


@pytest.mark.parametrize("variant", ["full", "sage"])
def test_no_score_depends_on_its_target_or_on_what_follows(variant):
    model, episode = fitted(variant)
    blocks, original = all_blocks(episode), answers(model, episode)
    changed, generator = graph(), torch.Generator().manual_seed(9)
    dst = torch.randint(NODES, (len(changed),), generator=generator)
    dst = torch.where(changed.time >= blocks_of(episode)[0].step, dst, changed.dst)
    other, story = fitted(variant, dataclasses.replace(changed, dst=dst))
    first = len(validation_of(story))
    for number, block in enumerate(all_blocks(story)[: first + 2]):
        same = torch.equal(other.score(blocks[number].queries), original[number])
        assert same == (number <= first)  # the second test block follows a snapshot that was changed
        other.observe(block.reveal)


def test_the_selector_decides_which_epoch_is_kept():
    """Whatever it says: here that every epoch is worse than the one before."""
    seen, values = [], iter([0.9, 0.5, 0.4, 0.3])

    def selector(judged):
        assert not judged.training
        seen.append(judged.first.weight.detach().clone())
        return {"ap": next(values)}

    model, _ = fitted("full", selector=selector, epochs=9, patience=2)
    assert len(seen) == 3
    assert torch.equal(model.first.weight, seen[0])
    assert not torch.equal(seen[0], seen[1])
    plain, _ = fitted("full", epochs=1)
    assert torch.equal(plain.first.weight, seen[0])


def test_without_a_graph_only_degrees_tell_snapshots_apart():
    linear, episode = fitted("no graph")
    source = episode.context.step(int(episode.context.time.max()))
    # Each source keeps its out-degree and each destination its in-degree, but who writes to whom is another matter.
    shuffled = dataclasses.replace(source, dst=source.dst[torch.randperm(len(source))])
    full, _ = fitted("full")
    for model, same in ((linear, True), (full, False)):
        assert torch.equal(*(model.encode(model.read(snapshot)) for snapshot in (source, shuffled))) == same


def test_non_links_of_a_training_step():
    index = PairIndex(graph())
    src, dst = draw_unlinked(index, 3, 500)
    assert bool((src != dst).all())
    assert not bool(index.contains(3, src, dst).any())


def test_the_task_is_learned():
    # Only nodes 0 to 5 ever write, and only to nodes of their own parity.
    model, episode = fitted("full", epochs=30, patience=30, dropout=0.1)
    scores = torch.cat(answers(model, episode))
    labels = torch.cat([block.answers for block in all_blocks(episode)])
    assert auc(scores, labels) > 0.8


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_and_restored(variant):
    model, episode = fitted(variant)
    cls, settings = VARIANTS[variant]
    other = cls(**{**SMALL, **settings})
    other.load_state_dict(dict(model.state_dict()))
    other.eval()
    other.condition(episode.context)
    for block in all_blocks(episode)[:2]:
        assert torch.equal(model.score(block.queries), other.score(block.queries))
        for each in (model, other):
            each.observe(block.reveal)
    sizes = {len(part) for name, part in model.state_dict().items() if name != "_extra_state" and part.dim()}
    assert len(episode.context) not in sizes  # what is known is no part of what was learnt


def test_going_back_to_what_was_known():
    model, episode = fitted("full")
    blocks = all_blocks(episode)
    state, before = model.running_state(), model.score(blocks[1].queries)
    model.observe(blocks[0].reveal)
    assert not torch.equal(model.score(blocks[1].queries), before)
    model.restore(state)
    assert torch.equal(model.score(blocks[1].queries), before)


def test_degree_features():
    src, dst = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])
    raw = degree_features(src, dst, 4, ["in", "out", "total"], "raw")
    assert raw.tolist() == [[0, 2, 2], [1, 1, 2], [2, 0, 2], [0, 0, 0]]
    torch.testing.assert_close(degree_features(src, dst, 4, ["in"], "log1p"), torch.log(1 + raw[:, :1]))
    scaled = degree_features(src, dst, 4, ["in", "out"], "zscore")
    torch.testing.assert_close(scaled.mean(0), torch.zeros(2))
    torch.testing.assert_close(scaled.std(0), torch.ones(2))


def test_bad_input():
    with pytest.raises(ConfigError, match=r"model\.degrees has 'inner'"):
        NGLP(degrees=["inner"])


def test_a_single_snapshot_teaches_nothing_and_can_be_asked():
    lonely, model = TemporalGraph.from_events([0, 1, 1], [1, 0, 1], [0, 0, 0], 3, num_steps=4), NGLP(**SMALL)
    model.fit(lonely, None, Trainer())
    model.condition(lonely)
    assert model.score(Queries.pairs(torch.tensor([0]), torch.tensor([1]), 1)).shape == (1,)
    assert len(model.known) == 2  # the self-loop is left out

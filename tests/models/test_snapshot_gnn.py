"""NGLP, GAE, GraphSAGE: shapes, direction, causality, ablations, keeping."""

import dataclasses

import pytest
import torch

from dynbench.contract import Queries
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.metrics.steps import auc
from dynbench.models.snapshot_gnn.gae import GAE
from dynbench.models.snapshot_gnn.graphsage import GraphSAGE
from dynbench.models.snapshot_gnn.link_model import degree_features
from dynbench.models.snapshot_gnn.nglp import NGLP
from dynbench.protocols.temporal_split import TemporalSplit
from dynbench.sampling.pairs import PairIndex

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


def fitted(variant, history=None, seed=0, **more):
    cls, settings = VARIANTS[variant]
    (episode,) = TemporalSplit().episodes(history if history is not None else graph(), 0)
    torch.manual_seed(seed)
    model = cls(**{**SMALL, **settings, **more})
    model.fit(episode.history, episode.validation, Trainer())
    return model, episode


def answers(model, episode):
    """Scores of all blocks, each revealed after it was answered."""
    found = []
    for block in (*episode.validation, *episode.test):
        found.append(model.score(block.queries))
        model.observe(block.reveal)
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores(variant):
    model, episode = fitted(variant)
    block = episode.validation[0]
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
    model.trainer = type("Alone", (), {"world_size": 1, "global_rank": 0})()
    model._examples = model._training_examples(episode.history)
    model._index = PairIndex(episode.history)
    model.zero_grad()
    model.training_step(0, 0).backward()
    silent = [name for name, part in model.named_parameters() if part.grad is None or not part.grad.abs().sum()]
    assert silent == []
    assert ("vectors" in dict(model.named_parameters())) == (variant != "no embeddings")


@pytest.mark.parametrize("variant", ["full", "sage"])
def test_no_score_depends_on_its_target_or_on_what_follows(variant):
    model, episode = fitted(variant)
    blocks = (*episode.validation, *episode.test)
    original = answers(model, episode)
    changed, generator = graph(), torch.Generator().manual_seed(9)
    dst = torch.randint(NODES, (len(changed),), generator=generator)
    dst = torch.where(changed.time >= episode.test[0].step, dst, changed.dst)
    other, story = fitted(variant, dataclasses.replace(changed, dst=dst))
    first = len(story.validation)
    for number, block in enumerate((*story.validation, *story.test)[: first + 2]):
        same = torch.equal(other.score(blocks[number].queries), original[number])
        assert same == (number <= first)  # the second test block follows a snapshot that was changed
        other.observe(block.reveal)


def test_validation_and_test_answers_do_not_enter_training():
    model, episode = fitted("full", epochs=1)
    other, _ = fitted("full", epochs=1)
    inverted = [dataclasses.replace(block, answers=1 - block.answers) for block in episode.validation]
    torch.manual_seed(0)
    third = NGLP(**{**SMALL, "epochs": 1})
    third.fit(episode.history, inverted, Trainer())
    block = episode.validation[0]
    assert torch.equal(model.score(block.queries), other.score(block.queries))
    assert torch.equal(model.score(block.queries), third.score(block.queries))


def test_without_a_graph_only_degrees_tell_snapshots_apart():
    linear, episode = fitted("no graph")
    source = episode.history.step(int(episode.history.time.max()))
    # Each source keeps its out-degree and each destination its in-degree, but who writes to whom is another matter.
    shuffled = linear.read(source.src, source.dst[torch.randperm(len(source))])
    assert torch.equal(linear.encode(linear.read(source.src, source.dst)), linear.encode(shuffled))
    full, _ = fitted("full")
    assert not torch.equal(full.encode(full.read(source.src, source.dst)), full.encode(shuffled))


def test_non_links_of_a_training_step():
    model, episode = fitted("full")
    model._index = PairIndex(episode.history)
    src, dst = model._non_links(3, 500)
    assert bool((src != dst).all())
    assert not bool(model._index.contains(3, src, dst).any())


def test_the_task_is_learned():
    # Only nodes 0 to 5 ever write, and only to nodes of their own parity.
    model, episode = fitted("full", epochs=30, patience=30, dropout=0.1)
    scores = torch.cat(answers(model, episode))
    labels = torch.cat([block.answers for block in (*episode.validation, *episode.test)])
    assert auc(scores, labels) > 0.8


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_and_restored(variant):
    model, episode = fitted(variant)
    model.observe(episode.validation[0].reveal)
    cls, settings = VARIANTS[variant]
    other = cls(**{**SMALL, **settings})
    other.load_state_dict({name: part.clone() for name, part in model.state_dict().items()})
    other.eval()
    assert torch.equal(model.score(episode.test[0].queries), other.score(episode.test[0].queries))


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
    model.fit(lonely, [], Trainer())
    assert model.score(Queries.pairs(torch.tensor([0]), torch.tensor([1]), 1)).shape == (1,)
    assert len(model.known_src) == 2  # the self-loop is left out

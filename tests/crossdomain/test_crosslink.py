"""CrossLink: sizes, sequences that give nothing away, one reading of the context for all questions, and bad input."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from dynbench.contract import Examples, Queries
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError, RunError
from dynbench.graph import TemporalGraph
from dynbench.graph.collection import Mixture
from dynbench.models.crossdomain.crosslink import CrossLink
from dynbench.models.stream.known import Known
from dynbench.nn.causal_decoder import _attended
from dynbench.sampling.mixture import MixtureSampler, draw_examples

TINY = {
    "width": 8, "channel": 4, "length": 3, "layers": 1, "drop_zero_channels": True, "sequence": 10, "blocks": 2,
    "decoder_heads": 2, "initial": "torch", "dropout": 0.0,
}  # fmt: skip


def stream(seed: int, events: int = 120, nodes: int = 12, scale: int = 1) -> TemporalGraph:
    """Random events with ties, far from time 0."""
    draw = torch.Generator().manual_seed(seed)
    src, dst = (torch.randint(nodes, (events,), generator=draw) for _ in range(2))
    time = 10_000 + scale * torch.randint(events, (events,), generator=draw).sort().values
    return TemporalGraph.from_events(src, dst, time, nodes)


def made(**settings) -> CrossLink:
    """A model with random parameters that has learnt nothing."""
    torch.manual_seed(0)
    model = CrossLink(**{**TINY, **settings})
    model.create(**model.sizes_of(stream(0)))
    model.eval()
    return model


# ---- sizes --------------------------------------------------------------------------------------------------


def test_sizes_are_the_papers():
    model = CrossLink()
    model.create(node_features=0, edge_features=0)
    block = 12 * 128**2 + 13 * 128
    assert block == 198_272
    decoder = 12 * block + 1024 * 128 + 2 * 128
    assert sum(p.numel() for p in model.decoder.parameters()) == decoder
    assert 3.4e6 < model.num_parameters() < 3.6e6
    assert 1.0e6 < model.num_parameters() - decoder - 2 * 128 - 129 < 1.05e6  # the encoder's share


def test_sizes_of_the_recipe_for_flip_graphs():
    small = {**TINY, "width": 32, "channel": 16, "sequence": 24, "blocks": 3, "decoder_heads": 4}
    assert made(**small).num_parameters() == 85_969
    assert made(**small, decoder="none").num_parameters() == 17_041


# ---- what a sequence is ---------------------------------------------------------------------------------------


def sampled(model: CrossLink, batch: int = 40, step: int = 3):
    graphs = {"one": stream(1), "two": stream(2, events=70, nodes=9, scale=1000)}
    model._mixed = MixtureSampler(graphs, 200, batch, seed=5)
    return model._mixed, model.sequences(step)


def test_sequences_are_in_order_of_time_within_one_graph():
    model = made()
    mixed, (src, dst, time, labels, beta, gamma) = sampled(model)
    assert src.shape == (2 * (80 // 10), 10)
    assert bool((time[:, 1:] >= time[:, :-1]).all())
    first = 12  # nodes of the first graph
    assert bool(((src < first) == (dst < first)).all())
    assert bool(((src < first) == (src[:, :1] < first)).all())
    assert int(labels.sum()) == labels.numel() // 2
    assert float(beta.min()) > 0.5
    assert float(beta.max()) < 2
    assert 0 <= float(gamma.min()) <= float(gamma.max()) <= 0.1 * model.alpha
    true = set(zip(mixed.union.src.tolist(), mixed.union.dst.tolist(), mixed.union.time.tolist(), strict=True))
    asked = zip(src[labels].tolist(), dst[labels].tolist(), time[labels].tolist(), strict=True)
    assert set(asked) <= true


def partners(src, time, labels) -> int:
    """How many negatives stand beside a positive with their source and time."""
    count = 0
    for row in range(len(src)):
        keys = list(zip(src[row].tolist(), time[row].tolist(), strict=True))
        true = {key for key, label in zip(keys, labels[row].tolist(), strict=True) if label}
        count += sum(key in true for key, label in zip(keys, labels[row].tolist(), strict=True) if not label)
    return count


def distinct_stream() -> TemporalGraph:
    """No two events have source and time in common, so that partners can be told from the outside."""
    draw = torch.Generator().manual_seed(9)
    src, dst = torch.arange(240) % 12, torch.randint(12, (240,), generator=draw)
    return TemporalGraph.from_events(src, dst, torch.arange(240) + 50, 12)


@pytest.mark.parametrize("sequence", [2, 10, 16, 40])
def test_a_negative_is_never_beside_its_event(sequence):
    model = made(sequence=sequence)
    model._mixed = MixtureSampler({"": distinct_stream()}, 240, 40, seed=1)
    for step in range(6):
        src, _, time, labels, *_ = model.sequences(step)
        assert partners(src, time, labels) == 0


def test_it_may_be_when_that_is_allowed():
    model = made(sequence=40, partner_in_group=True)
    model._mixed = MixtureSampler({"": distinct_stream()}, 240, 40, seed=1)
    src, _, time, labels, *_ = model.sequences(0)
    assert partners(src, time, labels) > 5


def test_one_sequence_cannot_keep_partners_apart():
    model = made(sequence=20)
    model._mixed = MixtureSampler({"": distinct_stream()}, 240, 10, seed=1)
    with pytest.raises(ConfigError, match=r"too few to keep every negative apart from its event; raise model.batch"):
        model.sequences(0)


def coins() -> TemporalGraph:
    """Every source acts once, on an item drawn like a negative's: nothing but a partner tells what is true."""
    draw = torch.Generator().manual_seed(4)
    count = 600
    return TemporalGraph.from_events(
        torch.arange(count), count + torch.randint(20, (count,), generator=draw), torch.arange(count) + 1, count + 20
    )


@pytest.mark.parametrize("allowed", [True, False])
def test_the_shortcut_is_learnt_where_it_is_allowed(allowed):
    torch.manual_seed(0)
    settings = {"width": 16, "sequence": 8, "batch_size": 8 if not allowed else 4, "epochs": 4, "learning_rate": 3e-3}
    model = CrossLink(**{**TINY, **settings}, partner_in_group=allowed, t_shuffle=False, alpha=1e3)
    model.fit(Mixture({"coins": coins()}, 600), None, Trainer())
    model._mixed = MixtureSampler({"coins": coins()}, 600, 100 if not allowed else 4, seed=8)
    model._learning = Known(model._mixed.union, "cpu")
    model.train()  # so that it looks at the training events; there is no dropout
    with torch.no_grad():
        losses = [float(model.training_step(0, step)) for step in range(6)]
    loss = sum(losses) / len(losses)
    # Of two partners in one sequence the second is known: half of the labels cost nothing.
    assert (loss < 0.55) if allowed else (loss > 0.6)


# ---- one reading for all questions ----------------------------------------------------------------------------


@pytest.mark.parametrize(("types", "count"), [(False, 9), (True, 4), (False, 0)])
def test_a_context_that_is_read_once_answers_as_the_plain_form_does(types, count):
    model, graph = made(types=types), stream(3)
    past, asked = graph.events(0, 100), graph.events(100, 120)
    model.condition(past)
    examples = draw_examples(past, count, seed=2) if count else None
    model.study(examples)
    model.observe(asked)
    fast = model.score(Queries(asked.src, asked.dst, asked.time))
    slow = []
    with torch.no_grad():
        for src, dst, time in zip(asked.src, asked.dst, asked.time, strict=True):
            parts = [torch.stack([src]), torch.stack([dst]), torch.stack([time])]
            labels = torch.zeros(1)
            if examples is not None:
                known = (examples.queries.src, examples.queries.dst, examples.queries.time)
                parts = [torch.cat(pair) for pair in zip(known, parts, strict=True)]
                labels = torch.cat([examples.answers.float(), labels])
            ends = model.encode(*parts)
            slow.append(model.answers_of(*(part[None] for part in ends), labels[None])[0, -1])
    torch.testing.assert_close(fast, torch.stack(slow), rtol=1e-4, atol=1e-5)


def test_no_answer_reads_its_own_label_or_a_later_one():
    model = made()
    draw = torch.Generator().manual_seed(1)
    src, dst = torch.randn(2, 3, 10, 8, generator=draw)
    labels = torch.randint(2, (3, 10), generator=draw)
    before = model.answers_of(src, dst, labels)
    for place in range(10):
        other = labels.clone()
        other[:, place] = 1 - other[:, place]
        after = model.answers_of(src, dst, other)
        assert torch.equal(before[:, : place + 1], after[:, : place + 1])
        assert place == 9 or not torch.allclose(before[:, place + 1 :], after[:, place + 1 :])


def test_neither_unit_nor_origin_of_time_matters():
    one = stream(3)
    answers = []
    for graph in (one, TemporalGraph.from_events(one.src, one.dst, one.time * 1000 - 77, one.num_nodes)):
        model = made()
        model.condition(graph.events(0, 100))
        model.study(draw_examples(graph.events(0, 100), 8, seed=2))
        last = graph.events(100, 120)
        answers.append(model.score(Queries(last.src, last.dst, last.time)))
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-4)
    raw = made(t_norm=False)
    raw.condition(one.events(0, 100))
    last = one.events(100, 120)
    assert not torch.allclose(raw.score(Queries(last.src, last.dst, last.time)), answers[0], atol=1e-3)


def test_the_scale_of_a_sequence_is_one_for_all_of_it():
    model = made(alpha=10.0)
    mixed, (src, dst, time, *_) = sampled(model)
    model._learning = Known(mixed.union, "cpu")
    model.train()
    rows = torch.arange(len(src))[:, None].expand_as(src).flatten()
    flat = [part.flatten() for part in (src, dst, time)]
    beta, gamma = torch.linspace(0.5, 2, len(src)), torch.linspace(0, 1, len(src))
    with torch.no_grad():
        together = model.encode(*flat, rows, (beta, gamma))[0].view(*src.shape, -1)
        for row in (0, 7):
            own = torch.zeros(src.shape[1], dtype=torch.long)
            scale = (beta[row : row + 1], gamma[row : row + 1])
            alone = model.encode(src[row], dst[row], time[row], own, scale)[0]
            torch.testing.assert_close(together[row], alone, rtol=1e-4, atol=1e-5)


def test_dropping_attention_weights_on_a_processor_is_what_torch_does():
    draw = torch.Generator().manual_seed(1)
    query, key, value = torch.randn(3, 2, 4, 9, 6, generator=draw)
    plain = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(_attended(query, key, value, 0.0), plain, rtol=1e-5, atol=1e-6)
    torch.manual_seed(0)
    mean = torch.stack([_attended(query, key, value, 0.3) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(mean, plain, rtol=0.1, atol=0.1)


# ---- training -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("multi_task", [True, False])
def test_the_loss_is_the_mean_cross_entropy_of_all_pairs_or_of_the_last(multi_task):
    model = made(multi_task=multi_task, t_shuffle=False)
    mixed, (src, dst, time, labels, *_) = sampled(model)
    model._learning = Known(mixed.union, "cpu")
    model.train()
    loss = model.training_step(0, 3)
    ends = model.encode(*(part.flatten() for part in (src, dst, time)))
    logits = model.answers_of(*(part.unflatten(0, src.shape) for part in ends), labels)
    own = slice(None) if multi_task else slice(-1, None)
    expected = F.binary_cross_entropy_with_logits(logits[:, own], labels[:, own].float())
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def test_the_rate_grows_and_falls():
    model = made(epochs=10, warm_up=0.1, learning_rate=0.5)
    sampled(model)  # 5 steps an epoch
    made_ = model.configure_optimizers()
    optimizer, scheduler = made_["optimizer"], made_["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(50):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert math.isclose(rates[0], 0.1)
    assert math.isclose(max(rates), 0.5)
    assert rates.index(max(rates)) in (4, 5)
    assert all(a >= b for a, b in itertools.pairwise(rates[5:]))
    assert rates[-1] < 0.02


# ---- bad input ------------------------------------------------------------------------------------------------


def test_more_examples_than_it_was_trained_on():
    model, graph = made(), stream(3)
    model.condition(graph)
    with pytest.raises(ConfigError, match="10 solved pairs are shown to a model that was trained on sequences of 10"):
        model.study(draw_examples(graph, 10, seed=0))


def test_asked_before_it_was_trained():
    with pytest.raises(RunError, match="has not been trained"):
        CrossLink(**TINY).condition(stream(0))


def test_sequences_longer_than_there_are_positions():
    with pytest.raises(ConfigError, match="sequence=400 pairs are 1200 tokens"):
        CrossLink(sequence=400)


def test_examples_without_effect_on_a_model_of_single_pairs():
    model, graph = made(decoder="none"), stream(3)
    model.condition(graph.events(0, 100))
    last = graph.events(100, 120)
    before = model.score(Queries(last.src, last.dst, last.time))
    examples = draw_examples(graph.events(0, 100), 8, seed=2)
    model.study(Examples(examples.graph, examples.queries, 1 - examples.answers))
    assert torch.equal(before, model.score(Queries(last.src, last.dst, last.time)))

"""NLSM with relations beside a version written out fact by fact, its moving window, and runs from the command line."""

from __future__ import annotations

import dataclasses
import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from reference import latent_slow as slow

from dynbench.contract import Queries
from dynbench.engine.trainer import Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.latent.nlsm_kg import NLSMKG
from dynbench.sampling.facts import FactSampler

NODES, RELATIONS, STEPS = 9, 2, 8


def facts(seed: int = 0) -> TemporalGraph:
    """Nine entities of which the last never occurs, two relations, eight steps; (2, 2) is a self-loop in each."""
    draw = torch.Generator().manual_seed(seed)
    src, dst = (torch.randint(0, NODES - 1, (90,), generator=draw) for _ in range(2))
    time, relation = (torch.randint(0, n, (90,), generator=draw) for n in (STEPS, RELATIONS))
    src[:STEPS], dst[:STEPS], time[:STEPS] = 2, 2, torch.arange(STEPS)
    graph = TemporalGraph.from_events(src, dst, time, NODES, relation=relation, num_relations=RELATIONS)
    return graph.snapshots(graph.time, STEPS)


def true_facts(graph: TemporalGraph) -> set[tuple[int, int, int, int]]:
    return set(zip(*(part.tolist() for part in (graph.time, graph.src, graph.relation, graph.dst)), strict=True))


def ready(window: int = 3, seed: int = 0, **settings) -> NLSMKG:
    """A model in the middle of a fit, without a Trainer, its window on steps 2, 3 and 4."""
    torch.manual_seed(seed)
    model = NLSMKG(dim=3, window=window, **settings)
    model.create(steps=window + 2, nodes=NODES, relations=RELATIONS)
    with torch.no_grad():  # so that no two terms are alike
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    model.sampler = FactSampler(facts().between(2, 2 + window), 2, window)
    return model


# ---- the bound --------------------------------------------------------------------------------------------


def written_out(model: NLSMKG, seed: int) -> float:
    """The loss of one step, with the draws that the model makes at this seed."""
    torch.manual_seed(seed)
    drawn = [part.tolist() for part in model.sampler.draw(model.facts_per_step)]
    wrong = model.sampler.entities(model.negatives)
    chosen = list(zip(*drawn, strict=True))
    rows = sorted({node for _, _, i, j in chosen for node in (i, j)} | set(wrong.flatten().tolist()))
    (mean, log_variance), matrices = model.nodes(3), model.matrices(3)
    noise = [torch.randn(3, len(rows), 3), torch.randn_like(matrices[0])]
    for part in noise:
        part[0] = 0
    psi = mean[:, rows] + torch.exp(0.5 * log_variance[:, rows]) * noise[0]
    z = {(t, n): torch.sigmoid(psi[t, k]).tolist() for t in range(3) for k, n in enumerate(rows)}
    theta = (matrices[0] + torch.exp(0.5 * matrices[1]) * noise[1]).unflatten(1, (RELATIONS, 3)).tolist()

    known = true_facts(facts())
    total = 0.0
    for t, relation, i, j in chosen:
        alike = [fact for fact in known if fact[0] == t + 2 and fact[1] != fact[3]]
        weight = len(alike) / sum(step == t for step, *_ in chosen)

        def score(subject: int, target: int, t=t, relation=relation) -> float:
            return slow.eta(z[t, subject], z[t, target], theta[t][relation])

        total -= weight * math.log(slow.sigmoid(score(i, j)))
        for ends in ([(i, n) for n in wrong[t].tolist()], [(n, j) for n in wrong[t].tolist()]):
            false = [end for end in ends if (t + 2, end[0], relation, end[1]) not in known]
            for end in false:
                total -= weight / (2 * len(false)) * math.log(slow.sigmoid(-score(*end)))

    def divergence(family, row, prior) -> float:
        courses = zip(*(part[:, row].T.tolist() for part in family), strict=True)
        return sum(slow.walk_kl(*course, *prior) for course in courses)

    nodes = sum(divergence((mean, log_variance), row, model.node_prior) for row in rows) * NODES / len(rows)
    others = sum(divergence(matrices, row, model.matrix_prior) for row in range(RELATIONS * 3))
    return total + model.kl_weight * (nodes + others)


@pytest.mark.parametrize("facts_per_step", [None, 2])
@pytest.mark.parametrize("negatives", [1, 4, 20])
@pytest.mark.parametrize("kl_weight", [0.0, 1.0])
def test_loss_is_the_bound_written_out(facts_per_step, negatives, kl_weight):
    model = ready(facts_per_step=facts_per_step, negatives=negatives, kl_weight=kl_weight)
    for seed in (3, 4):
        expected = written_out(model, seed)
        torch.manual_seed(seed)
        assert model.training_step(0, 0).item() == pytest.approx(expected, rel=1e-5)


def test_devices_share_the_facts():
    model = ready(negatives=4, kl_weight=0.1)
    torch.manual_seed(0)
    whole = model.training_step(0, 0)
    parts = []
    for rank in (0, 1):
        model.trainer = model.place = SimpleNamespace(world_size=2, global_rank=rank)
        torch.manual_seed(0)
        parts.append(model.training_step(0, 0))
    torch.testing.assert_close(torch.stack(parts).mean(), whole)


def test_a_silent_window_has_a_loss():
    model = ready(negatives=4)
    model.sampler = FactSampler(facts().between(0, 0), 0, 3)
    model.training_step(0, 0).backward()
    assert torch.isfinite(model.nodes.start.grad).all()


# ---- the forecast -----------------------------------------------------------------------------------------


def fitted(graph: TemporalGraph | None = None, **settings) -> NLSMKG:
    torch.manual_seed(0)
    model = NLSMKG(**{"dim": 3, "epochs": 3, "window": 3, "negatives": 4} | settings)
    model.fit(facts().before(6) if graph is None else graph, None, Trainer())
    return model


@pytest.mark.parametrize("time", [6, 7, 5, 4])
def test_scores_are_those_of_the_evolved_means(time):
    """A step ahead, two steps ahead, and steps of the window itself, about either end."""
    model = fitted()
    z = torch.sigmoid(model.nodes(6)[0][time - 3]).tolist()
    theta = model.matrices(6)[0][time - 3].unflatten(0, (RELATIONS, 3)).tolist()
    head, relation = torch.cartesian_prod(torch.arange(NODES), torch.arange(2 * RELATIONS)).unbind(1)
    got = model.rank(Queries(head, None, torch.full_like(head, time), relation))
    for row, (n, r) in enumerate(zip(head.tolist(), relation.tolist(), strict=True)):
        for other in range(NODES):
            ends = (n, other) if r < RELATIONS else (other, n)
            expected = slow.eta(*(z[end] for end in ends), theta[r % RELATIONS])
            assert got[row, other].item() == pytest.approx(expected, abs=1e-5)


def test_queries_of_several_times_are_each_answered_at_their_own():
    model = fitted()
    queries = Queries(torch.tensor([0, 1, 0]), None, torch.tensor([7, 6, 6]), torch.tensor([0, 3, 0]))
    together = model.rank(queries)
    for k in range(3):
        torch.testing.assert_close(together[k : k + 1], model.rank(queries[k : k + 1]))
    assert not torch.equal(together[0], together[2])


# ---- the window -------------------------------------------------------------------------------------------


class Noted(Trainer):
    """Notes the window and the starts of each call, and trains nothing; the cells are moved by hand instead."""

    def __init__(self):
        super().__init__()
        self.windows, self.starts, self.cells = [], [], []

    def train(self, module, steps, **more):
        sampler = module.sampler
        times = (sampler.facts.step + sampler.first).unique().tolist()
        assert times == list(range(sampler.first, sampler.first + sampler.num_steps))
        self.windows.append(times)
        self.cells.append(module.nodes.weight.detach().clone())
        self.starts.append([part.start.detach().clone() for part in (module.nodes, module.matrices)])


def test_the_window_grows_and_then_moves():
    model, trainer = NLSMKG(dim=3, window=3), Noted()
    model.fit(facts().before(6), None, trainer)
    assert trainer.windows == [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]
    model.fit(facts().before(6), None, trainer := Noted())
    assert len(trainer.windows) == 5
    NLSMKG(dim=3, window=3, positions=2).fit(facts().before(6), None, trainer := Noted())
    assert trainer.windows == [[2, 3, 4], [3, 4, 5]]
    NLSMKG(dim=3, window=3, positions=50).fit(facts().before(3), None, trainer := Noted())
    assert trainer.windows == [[0, 1], [0, 1, 2]]
    NLSMKG(dim=3, window=3).fit(facts().before(1), None, trainer := Noted())
    assert trainer.windows == [[0]]


def test_the_shift_rule():
    """Starts stay while the window grows; each move replaces them by their second step and keeps the cells."""
    model, trainer = NLSMKG(dim=3, window=3), Noted()
    model.fit(facts().before(6), None, trainer)
    for family, course in enumerate((model.nodes, model.matrices)):
        at = [starts[family] for starts in trainer.starts]
        assert torch.equal(at[0], at[1])
        for before, after in itertools.pairwise(at[1:]):
            with torch.no_grad():
                course.start.copy_(before)
                expected = torch.stack([part[1] for part in course(2)])
            torch.testing.assert_close(after, expected)
            assert not torch.equal(after, before)
    assert all(torch.equal(cells, trainer.cells[0]) for cells in trainer.cells)


def test_a_moved_window_forecasts_what_it_did():
    model = fitted()
    before = [part.forecast(3, 1) for part in (model.nodes, model.matrices)]
    for part, mean in zip((model.nodes, model.matrices), before, strict=True):
        part.shift()
        torch.testing.assert_close(part.forecast(3, 0), mean)


def test_what_is_learnt_ranks_lasting_facts_first():
    """Twenty facts that hold in every step; the answers of all 40 queries about the step after."""
    draw = torch.Generator().manual_seed(0)
    src, dst, relation = torch.randperm(30, generator=draw)[:20], torch.arange(20), torch.arange(20) % 2
    time = torch.arange(6).repeat_interleave(20)
    lasting = (part.repeat(6) for part in (src, dst, relation))
    src6, dst6, relation6 = lasting
    graph = TemporalGraph.from_events(src6, dst6, time, 30, relation=relation6, num_relations=2, num_steps=6)
    torch.manual_seed(0)
    settings = {"learning_rate": 0.1, "start_scale": 1.0, "matrix_start_scale": 0.3, "kl_weight": 1e-4}
    model = NLSMKG(dim=16, epochs=60, window=3, positions=2, negatives=30, **settings)
    model.fit(graph, None, Trainer())
    loops = src != dst
    for head, answer, asked in ((src, dst, relation), (dst, src, relation + 2)):
        best = model.rank(Queries(head, None, torch.full_like(head, 6), asked)).argmax(1)
        assert (best == answer)[loops].float().mean() > 0.9


def test_weights_and_the_future_do_not_matter():
    graph = facts()
    late = graph.time >= 6
    other = dataclasses.replace(
        graph, dst=torch.where(late, (graph.dst + 1) % NODES, graph.dst), weight=graph.weight + 3
    )
    one, two = (fitted(known.before(6)) for known in (graph, other))
    queries = Queries(torch.arange(5), None, torch.full((5,), 6), torch.tensor([0, 1, 2, 3, 0]))
    assert torch.equal(one.rank(queries), two.rank(queries))


def test_forecasts_do_not_outlive_what_they_are_made_of():
    queries = Queries(torch.arange(5), None, torch.full((5,), 6), torch.tensor([0, 1, 2, 3, 0]))
    model, other = fitted(), fitted(epochs=8)
    first, second = model.rank(queries), other.rank(queries)
    assert not torch.equal(first, second)
    other.load_state_dict(model.state_dict())
    other.condition(facts().before(6))
    assert torch.equal(other.rank(queries), first)
    torch.manual_seed(0)
    other.fit(facts().before(6), None, Trainer())
    assert torch.equal(other.rank(queries), second)

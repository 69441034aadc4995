"""Know-Evolve with a decoder: a re-implementation of a published baseline whose code was never released.

Paper:
    Trivedi, Dai, Wang, Song: Know-Evolve: Deep Temporal Reasoning for Dynamic Knowledge Graphs. ICML 2017. The
    combination with a decoder ("Know-Evolve+MLP") is a baseline of Jin et al., EMNLP 2020 (RE-NET).

Idea:
    Every fact is an event of a point process whose intensity is the match of two entity vectors; every event moves
    both vectors. The original can rank but saturates, so RE-NET's authors put a decoder on the vectors, and said no
    more about it than that.

Equations:
    With the step t, the last event of an entity at t_e, the relation r_e of that event, and ``dt_e`` their distance::

        g        = e_s . R_r e_o                              score of a fact
        lambda   = exp(g) dt      dt = min(dt_s, dt_o)        Rayleigh intensity
        e_s      <- tanh( w_s dt_s + W_h tanh( W_c [ e_s; e_o; r_s ] ) ), likewise e_o with w_o
        -log p   = -(g + log dt) + sum over pairs at risk of 1/2 exp(g) dt^2
        decoder  = W_2 relu( W_1 [ e_s; r ] + b_1 ) + b_2     logits of all entities as the answer

Deviations:
    This is a re-implementation in the spirit of the row, not the code behind it, and is no evidence about that code.

    * ``training: decoder_only`` (default) fits the process by likelihood, then the decoder on vectors that stay as they
      are. ``joint`` fits all by the decoder's loss. Nobody has said which the published row did.
    * Facts of one step have no order: all read the vectors at the step's start, and the changes of an entity are
      averaged. dt is one step at least, and one for an entity without an event, times 0.1; the paper's dt of zero
      between concurrent events has no logarithm.
    * Pairs at risk: the fact's own, and 5 random objects and 5 random subjects per fact, not scaled up.
    * Gradients reach back 5 steps (the original: 200 events). Vectors stop where the known facts end.
    * All entities are candidates and ties share places; the original leaves out entities not seen in training and
      counts ties in its own favour.

Reproduction:
    Table 3 of the NLSM paper at ``budget=quick`` (5 of 10 passes of the likelihood; 3 of 20 of the decoder, with 256 of
    1024 facts per snapshot; seed 0), YAGO, train part known, MRR / Hits@3 / Hits@10 in percent:

    * raw 4.5 / 4.3 / 10.0, published 5.23 / 5.63 / 10.23; static filter 5.1 / 5.2 / 10.6, published 6.19 / 6.59 /
      11.48.
    * That is the level of the rule that frequent answers to a relation are likely ones (``recurrency_relaxed``, which
      knows five snapshots more: raw 4.7 / 4.6 / 10.3). Validation's raw MRR after the decoder's three passes, 3.7, 4.9,
      4.7, has stopped rising. A likely reason, not tested: a vector is written anew at every event, and says little
      about whose it is. The published row looks the same.
    * WIKI: raw 14.1 / 15.6 / 25.0, published 10.54 / 13.08 / 20.21; static filter 18.4 / 19.7 / 28.5, published
      12.64 / 14.33 / 21.57.
    * Not run: the joint training, and ``budget=paper``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dynbench.graph import TemporalGraph
from dynbench.models.kg.event_rnn import Ends, EntityState, EventRNN, by_relation

# Largest log-intensity; its exponential enters the loss.
_HIGHEST = 15.0


class KnowEvolve(EventRNN):
    """Know-Evolve+MLP; see :class:`~dynbench.models.kg.event_rnn.EventRNN` for the settings."""

    def make_cell(self) -> nn.Module:
        """The recurrence of the paper."""
        return _Cell(self.dim, self.relation_dim, self.num_relations)

    def make_intensity(self) -> nn.Module:
        """A Rayleigh process with a bilinear score."""
        return _Rayleigh(self.dim, self.num_relations)


class _Cell(nn.Module):
    """tanh( w dt + W_h tanh( W_c [e; e_other; r_last] ) ), with a vector w per role."""

    def __init__(self, dim: int, relation_dim: int, num_relations: int):
        super().__init__()
        self.of_time = nn.Parameter(0.1 * torch.randn(2, dim))
        self.relations = nn.Embedding(num_relations + 1, relation_dim, padding_idx=num_relations)
        self.inner = nn.Linear(2 * dim + relation_dim, dim, bias=False)
        self.outer = nn.Linear(dim, dim, bias=False)

    def forward(self, model: KnowEvolve, state: EntityState, ends: Ends, step: int) -> Tensor:
        last = self.relations(state.last_relation[ends.entity])
        parts = (state.vectors[ends.entity], state.vectors[ends.other], last)
        gone = model.since(state, ends.entity, step)[:, None] * self.of_time[ends.role]
        return torch.tanh(gone + self.outer(torch.tanh(self.inner(torch.cat(parts, dim=1)))))


class _Rayleigh(nn.Module):
    """Intensity ``exp(g) dt`` with ``g = e_s . R_r e_o``, dt since the later of both entities' last events."""

    def __init__(self, dim: int, num_relations: int):
        super().__init__()
        self.matrices = nn.Parameter(0.1 * torch.randn(num_relations, dim, dim))

    def forward(self, model: KnowEvolve, state: EntityState, facts: TemporalGraph, others: Tensor) -> Tensor:
        relation = torch.zeros_like(facts.src) if facts.relation is None else facts.relation
        step, (s, o) = int(facts.time[0]), (facts.src, facts.dst)
        left = by_relation(state.vectors[s], self.matrices, relation)
        right = by_relation(state.vectors[o], self.matrices.transpose(1, 2), relation)
        true = (left * state.vectors[o]).sum(-1)
        since = model.since(state, torch.arange(model.num_nodes, device=s.device), step)
        loss = -(true + torch.minimum(since[s], since[o]).log())
        survived = _survival(true, torch.minimum(since[s], since[o]))
        for kept, known, drawn in ((s, left, others[0]), (o, right, others[1])):
            score = (known[:, None] * state.vectors[drawn]).sum(-1)
            survived = survived + _survival(score, torch.minimum(since[kept][:, None], since[drawn])).sum(1)
        return loss + survived


def _survival(score: Tensor, since: Tensor) -> Tensor:
    """Minus the logarithm of the odds that two entities did not meet for a time."""
    return 0.5 * score.clamp(max=_HIGHEST).exp() * since**2

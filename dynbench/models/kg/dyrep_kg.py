"""DyRep with a decoder, on knowledge graphs: a re-implementation of a published baseline whose code was never released.

Paper:
    Trivedi, Farajtabar, Biswal, Zha: DyRep: Learning Representations over Dynamic Graphs. ICLR 2019. The combination
    with a decoder ("DyRep+MLP") is a baseline of Jin et al., EMNLP 2020 (RE-NET).

Idea:
    As in Know-Evolve, every fact is an event that moves the vectors of both entities. What moves an entity is the
    neighbourhood of the other one, its own past, and the time since its last event.

Equations:
    With ``dt_v`` the time since the last event of v, and u the other end of the event::

        h_u      = max over neighbours i of u of sigmoid( q (W_near e_i + b) )
        e_v      <- sigmoid( W_struct h_u + W_rec e_v + w dt_v )
        lambda   = psi_r log( 1 + exp( omega_r . [ e_s; e_o ] / psi_r ) )
        -log p   = -log lambda + mean lambda of random pairs, for each side
        decoder  = W_2 relu( W_1 [ e_s; r ] + b_1 ) + b_2     logits of all entities as the answer

Deviations:
    This is a re-implementation in the spirit of the row, not the code behind it, and is no evidence about that code.

    * Neighbours are the entities met at the last active step, with equal weights q; the paper's attention comes from a
      matrix of all pairs of entities, which does not fit knowledge graphs.
    * One kind of event per relation, in omega and psi; the paper's two kinds, association and communication, have no
      counterpart here.
    * The survival term is the mean intensity of 5 random objects and of 5 random subjects per fact.
    * Concurrent facts, the two ways of training, the reach of gradients, the candidates, and where the vectors stop: as
      in :mod:`dynbench.models.kg.know_evolve`.

Reproduction:
    Table 3 of the NLSM paper at ``budget=quick`` (5 of 10 passes of the likelihood; 3 of 20 of the decoder, with 256 of
    1024 facts per snapshot; seed 0), YAGO, train part known, MRR / Hits@3 / Hits@10 in percent:

    * raw 4.6 / 4.6 / 8.8, published 4.98 / 5.54 / 10.19; static filter 5.0 / 5.1 / 9.5, published 5.87 / 6.54 / 11.98.
    * As with Know-Evolve, this is the level of counting frequent answers to a relation, and more passes of the decoder
      change little: validation's raw MRR after each is 4.1, 4.5, 4.6.
    * WIKI: raw 11.8 / 13.1 / 22.8, published 10.41 / 12.06 / 20.93; static filter 14.5 / 16.0 / 25.8, published
      11.60 / 12.74 / 21.65.
    * Not run: the joint training, and ``budget=paper``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynbench.graph import TemporalGraph
from dynbench.models.kg.event_rnn import Ends, EntityState, EventRNN
from dynbench.nn.segments import max_rows


class DyRepKG(EventRNN):
    """DyRep+MLP; see :class:`~dynbench.models.kg.event_rnn.EventRNN` for the settings."""

    def make_cell(self) -> nn.Module:
        """Neighbourhood of the other end, the own past, and time."""
        return _Cell(self.dim)

    def make_intensity(self) -> nn.Module:
        """A softplus of a linear score."""
        return _Softplus(self.dim, self.num_relations)


class _Cell(nn.Module):
    """sigmoid( W_struct h(other) + W_rec e + w dt ).

    Here h holds the largest entries of ``sigmoid( q (W_h e_i + b) )`` over the
    neighbours i of the other end, with equal weights q.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.near = nn.Linear(dim, dim)
        self.struct = nn.Linear(dim, dim, bias=False)
        self.own = nn.Linear(dim, dim, bias=False)
        self.of_time = nn.Parameter(0.1 * torch.randn(dim))

    def forward(self, model: DyRepKG, state: EntityState, ends: Ends, step: int) -> Tensor:
        gone = model.since(state, ends.entity, step)[:, None] * self.of_time
        return torch.sigmoid(self._around(model, state, ends.other, step) + self.own(state.vectors)[ends.entity] + gone)

    def _around(self, model: DyRepKG, state: EntityState, entity: Tensor, step: int) -> Tensor:
        distinct, back = entity.unique(return_inverse=True)
        owner, near = model.neighbours(distinct, step)
        share = 1 / torch.bincount(owner, minlength=len(distinct))[owner, None]
        largest = max_rows(torch.sigmoid(share * self.near(state.vectors)[near]), owner, len(distinct))
        return self.struct(largest)[back]


class _Softplus(nn.Module):
    """Intensity ``psi log(1 + exp( omega . [e_s; e_o] / psi ))``, with omega and psi per relation."""

    def __init__(self, dim: int, num_relations: int):
        super().__init__()
        self.omega = nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_relations, 2 * dim)))
        self.log_psi = nn.Parameter(torch.full((num_relations,), 0.5).log())

    def forward(self, model: DyRepKG, state: EntityState, facts: TemporalGraph, others: Tensor) -> Tensor:
        relation = torch.zeros_like(facts.src) if facts.relation is None else facts.relation
        omega_s, omega_o = (state.vectors @ part.T for part in self.omega.chunk(2, dim=1))  # (N, R) each
        psi = self.log_psi.exp()[relation]
        of_s, of_o = omega_s[facts.src, relation], omega_o[facts.dst, relation]
        true = self._intensity(of_s + of_o, psi)
        with_others = self._intensity(of_s[:, None] + omega_o[others[0], relation[:, None]], psi[:, None])
        of_others = self._intensity(omega_s[others[1], relation[:, None]] + of_o[:, None], psi[:, None])
        return -torch.log(true) + with_others.mean(1) + of_others.mean(1)

    @staticmethod
    def _intensity(score: Tensor, psi: Tensor) -> Tensor:
        return psi * F.softplus(score / psi)

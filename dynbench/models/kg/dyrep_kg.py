"""DyRep with a decoder, on knowledge graphs: a re-implementation of a published baseline whose code was never released.

Paper:
    X

Equations:
    X

Deviations:
    X
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

"""A GRU over short histories of unequal length, whose inputs share most of their terms.

The input of a step is a sum of few distinct terms (a neighbourhood, an entity, a relation). Their products with the
input matrix are computed once each and added up step by step, which costs a fraction of the product with all inputs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class HistoryGRU(nn.Module):
    """A GRU cell split into the input's side, given as sums of products, and the state's.

    Args:
        inputs: Widths of the parts of which an input is the concatenation.
        dim: Width of the state.
    """

    def __init__(self, inputs: tuple[int, ...], dim: int):
        super().__init__()
        self.dim = dim
        cell = nn.GRUCell(sum(inputs), dim)  # for its initial values
        self.parts = nn.ParameterList([nn.Parameter(part.clone()) for part in cell.weight_ih.detach().split(inputs, 1)])
        self.bias = nn.Parameter(cell.bias_ih.detach().clone())
        self.state = nn.Linear(dim, 3 * dim)
        with torch.no_grad():
            self.state.weight.copy_(cell.weight_hh)
            self.state.bias.copy_(cell.bias_hh)

    def product(self, part: int, x: Tensor) -> Tensor:
        """``(..., 3 dim)`` what a part of the input contributes to the gates."""
        return x @ self.parts[part].T

    def run(self, given: Callable[[int, Tensor], Tensor], known: Tensor) -> Tensor:
        """Last states after histories that end together.

        Args:
            given: From a step and a ``(K,) long`` index of histories to the ``(K, 3 dim)`` sum of all products.
            known: ``(Q, L) bool`` steps that a history has; those it lacks are in front.

        Returns:
            ``(Q, dim)``; zeros where the history is empty.
        """
        # Longest first: at every step those that have begun are the first ones.
        order = known.sum(1).argsort(descending=True, stable=True)
        begun = known.sum(0).tolist()
        state = self.bias.new_zeros(0, self.dim)
        for step, count in enumerate(begun):
            if not count:
                continue
            fresh = state.new_zeros(count - len(state), self.dim)
            state = self._advance(given(step, order[:count]) + self.bias, torch.cat([state, fresh]))
        rest = state.new_zeros(len(order) - len(state), self.dim)
        return torch.empty(len(order), self.dim, device=rest.device, dtype=rest.dtype).index_copy(
            0, order, torch.cat([state, rest])
        )

    def _advance(self, given: Tensor, state: Tensor) -> Tensor:
        reset, update, new = given.split(self.dim, 1)
        by_reset, by_update, by_new = self.state(state).split(self.dim, 1)
        update = torch.sigmoid(update + by_update)
        new = torch.tanh(new + torch.sigmoid(reset + by_reset) * by_new)
        return torch.lerp(new, state, update)

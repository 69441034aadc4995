"""Recurrent cells whose input begins with the state itself (TGN, DyRep, JODIE).

The message to a node is ``[s_v | s_w | Phi | e]``, and the cell's state is ``s_v`` again. Where both enter a sum, their
matrices are added first, and one product does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_GATES = {"gru": 3, "rnn": 1}


class MemoryCell(nn.Module):
    """A GRU or a tanh cell with the parameters of :class:`torch.nn.GRUCell` and :class:`torch.nn.RNNCell`.

    Args:
        widths: Of the parts of the message, the first of which is the state.
        kind: ``gru`` or ``rnn``.
    """

    def __init__(self, widths: Sequence[int], kind: Literal["gru", "rnn"]):
        super().__init__()
        self.widths, self.kind = tuple(widths), kind
        state, rows = widths[0], _GATES[kind] * widths[0]
        bound = state**-0.5
        self.weight_ih = nn.Parameter(torch.empty(rows, sum(widths)).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(rows, state).uniform_(-bound, bound))
        self.bias_ih = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))
        self.bias_hh = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))

    def forward(self, state: Tensor, *others: Tensor | None) -> Tensor:
        """The next state.

        Args:
            state: ``(M, width)``.
            *others: The other parts of the message, ``(M, ...)`` each; ``None`` for zeros, and a narrower one has zeros
                at the right.
        """
        own, *columns = self.weight_ih.split(self.widths, dim=1)
        pairs = [(x, w[:, : x.shape[1]]) for x, w in zip(others, columns, strict=True) if x is not None]
        entering = torch.cat([state, *(x for x, _ in pairs)], dim=1)
        columns = [w for _, w in pairs]
        if self.kind == "rnn":
            weight = torch.cat([own + self.weight_hh, *columns], dim=1)
            return torch.tanh(F.linear(entering, weight, self.bias_ih + self.bias_hh)).to(state.dtype)
        width = self.widths[0]
        # Reset and update gates add what enters and the state; the candidate keeps the state apart.
        gates, mine = self.weight_hh.split([2 * width, width])
        gates_bias, mine_bias = self.bias_hh.split([2 * width, width])
        weight = torch.cat([torch.cat([own[: 2 * width] + gates, own[2 * width :]]), *columns], dim=1)
        bias = torch.cat([self.bias_ih[: 2 * width] + gates_bias, self.bias_ih[2 * width :]])
        sums, candidate = F.linear(entering, weight, bias).split([2 * width, width], dim=1)
        reset, update = torch.sigmoid(sums).chunk(2, dim=1)
        candidate = torch.tanh(candidate + reset * F.linear(state, mine, mine_bias))
        return (candidate + update * (state - candidate)).to(state.dtype)

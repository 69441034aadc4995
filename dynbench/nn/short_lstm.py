"""A bidirectional LSTM over one step or two, of which the last step is read.

At the last step, the backward direction has seen nothing else: from an empty cell, its forget gate and its recurrent
matrix do not matter. The first step is shared by all second steps that follow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Begun(NamedTuple):
    """Sequences after their first step.

    Attributes:
        hidden, cell: ``(S, H)`` of the forward direction.
        alone: ``(S, 2 H)`` what is read of a sequence that ends here.
    """

    hidden: Tensor
    cell: Tensor
    alone: Tensor


class ShortBiLSTM(nn.Module):
    """Both directions of one layer.

    Args:
        widths: Of the parts of an input.
        hidden: H, of each direction.
    """

    def __init__(self, widths: Sequence[int], hidden: int):
        super().__init__()
        self.widths, self.hidden = tuple(widths), hidden
        self.lstm = nn.LSTM(sum(widths), hidden, batch_first=True, bidirectional=True)
        self.lstm.weight_hh_l0_reverse.requires_grad_(False)

    def begin(self, *parts: Tensor | None) -> Begun:
        """First steps; ``(S, ...)`` parts, ``None`` for zeros, and a narrower one has zeros at the right."""
        enter, _, candidate, leave, *backward = self._gates(parts, self.hidden)
        cell = torch.sigmoid(enter) * torch.tanh(candidate)
        hidden = torch.sigmoid(leave) * torch.tanh(cell)
        return Begun(hidden, cell, torch.cat([hidden, _from_nothing(*backward)], dim=1))

    def follow(self, begun: Begun, owner: Tensor, *parts: Tensor | None) -> Tensor:
        """Read sequences of two steps.

        Args:
            begun: Their first steps.
            owner: ``(T,) long`` which first step each second one follows.
            *parts: ``(T, ...)`` second inputs.

        Returns:
            ``(T, 2 H)``.
        """
        carried = F.linear(begun.hidden, self.lstm.weight_hh_l0).index_select(0, owner)
        enter, forget, candidate, leave, *backward = self._gates(parts, self.hidden, carried)
        cell = torch.sigmoid(forget) * begun.cell.index_select(0, owner) + torch.sigmoid(enter) * torch.tanh(candidate)
        return torch.cat([torch.sigmoid(leave) * torch.tanh(cell), _from_nothing(*backward)], dim=1)

    def _gates(self, parts: Sequence[Tensor | None], hidden: int, carried: Tensor | None = None) -> list[Tensor]:
        """Four gates forwards, and the three of them that matter backwards."""
        lstm = self.lstm
        ahead, back = (self._columns(weight, parts) for weight in (lstm.weight_ih_l0, lstm.weight_ih_l0_reverse))
        bias = lstm.bias_ih_l0 + lstm.bias_hh_l0, lstm.bias_ih_l0_reverse + lstm.bias_hh_l0_reverse
        # One product for both directions, without the rows of the backward forget gate.
        weight = torch.cat([ahead, back[:hidden], back[2 * hidden :]])
        bias = torch.cat([bias[0], bias[1][:hidden], bias[1][2 * hidden :]])
        gates = F.linear(torch.cat([part for part in parts if part is not None], dim=1), weight, bias)
        forward, backward = gates.split([4 * hidden, 3 * hidden], dim=1)
        forward = forward if carried is None else forward + carried
        return [*forward.chunk(4, dim=1), *backward.chunk(3, dim=1)]

    def _columns(self, weight: Tensor, parts: Sequence[Tensor | None]) -> Tensor:
        pairs = zip(weight.split(self.widths, dim=1), parts, strict=True)
        return torch.cat([columns[:, : part.shape[1]] for columns, part in pairs if part is not None], dim=1)


def _from_nothing(enter: Tensor, candidate: Tensor, leave: Tensor) -> Tensor:
    """A step of an LSTM whose cell is empty."""
    return torch.sigmoid(leave) * torch.tanh(torch.sigmoid(enter) * torch.tanh(candidate))

"""How often the nodes of two sequences occur in either of them (DyGFormer, CAWN)."""

from __future__ import annotations

import torch
from torch import Tensor


def co_occurrences(nodes: Tensor, side: Tensor, weight: Tensor, num_nodes: int) -> Tensor:
    """Count nodes in pairs of sequences, all pairs at once by sorting.

    Args:
        nodes: ``(Q, L) long`` the nodes of both sequences, in ``[0, num_nodes]``.
        side: ``(L,) long`` whether a column belongs to the first (0) or to the second sequence (1).
        weight: ``(Q, L) long`` how often an entry counts; 0 for one that only asks.
        num_nodes: The largest possible entry of ``nodes``.

    Returns:
        ``(Q, L, 2) long`` how often the node of each entry occurs in the first and in the second sequence.
    """
    row = torch.arange(len(nodes), device=nodes.device)[:, None] * (num_nodes + 1)
    distinct, back = (nodes + row).unique(return_inverse=True)
    counts = torch.zeros(2 * len(distinct), dtype=torch.long, device=nodes.device)
    counts.index_add_(0, (2 * back + side).flatten(), weight.flatten())
    return counts.view(-1, 2)[back]

"""RE-NET's global model: which entities the next snapshot is about, from the last snapshots as wholes.

The largest entry of every column over the nodes of a snapshot's graph convolution describes the snapshot; a GRU over
the last descriptions gives the state ``H_t``; two linear layers turn it into distributions over the subjects and the
objects of the facts at ``t + 1``. It is trained before the rest of RE-NET and stays as it is afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dynbench.graph import TemporalGraph
from dynbench.models.gradient import GradientModel
from dynbench.models.kg.batches import EpochOrders
from dynbench.models.kg.snapshots import Snapshots
from dynbench.nn.histories import HistoryGRU
from dynbench.nn.rgcn import RGCN
from dynbench.nn.segments import max_rows

# Snapshots described at once where no gradient is needed; bounds memory.
_AT_ONCE = 16


class GlobalModel(nn.Module):
    """The state of the whole graph, and who acts next.

    Args:
        num_nodes, num_relations: Sizes of the graph.
        dim: Width.
        dropout: Of the self-loops of the graph convolution.
        length: Snapshots looked back at most.
    """

    def __init__(self, num_nodes: int, num_relations: int, dim: int, dropout: float, length: int):
        super().__init__()
        self.length = length
        self.entities = nn.Parameter(
            nn.init.xavier_uniform_(torch.empty(num_nodes, dim), nn.init.calculate_gain("relu"))
        )
        self.layers = RGCN(dim, 2 * num_relations, dropout=dropout)
        self.gru = HistoryGRU((dim,), dim)
        self.heads = nn.ModuleList(nn.Linear(dim, num_nodes) for _ in ("subject", "object"))

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.entities.device

    def loss(self, facts: TemporalGraph, snapshots: Snapshots, targets: Sequence[int]) -> Tensor:
        """Cross-entropy between forecast and true shares of entities, both roles summed, mean over target steps."""
        first = max(0, targets[0] - self.length)
        described = self.describe(snapshots, range(first, targets[-1]))
        states = self.states(described, torch.tensor(targets, device=self.device) - 1 - first)
        facts = facts.between(targets[0], targets[-1] + 1)
        return sum(
            _soft_cross_entropy(head(states), facts.time - targets[0], ends)
            for head, ends in zip(self.heads, (facts.src, facts.dst), strict=True)
        )

    def describe(self, snapshots: Snapshots, steps: range) -> Tensor:
        """``(len(steps), dim)`` maxima over the nodes of each snapshot; zeros for a silent one."""
        cut = snapshots.cut(torch.arange(steps.start, steps.stop, device=self.device))
        rows = self.layers(self.entities.index_select(0, cut.entity), cut.edges)
        return max_rows(rows, cut.owner, len(steps))

    def states(self, described: Tensor, ends: Tensor) -> Tensor:
        """``(Q, dim)`` states H after the described snapshots that come last in ``(Q,)`` windows."""
        window = ends[:, None] + torch.arange(1 - self.length, 1, device=ends.device)
        given = self.gru.product(0, described)
        return self.gru.run(lambda step, index: given[window[index, step]], window >= 0)

    @torch.no_grad()
    def moments(self, snapshots: Snapshots, steps: int, earlier: Tensor | None = None) -> Tensor:
        """``(steps, dim)`` states H after every snapshot, of which the ``earlier`` ones are known already."""
        done = 0 if earlier is None else len(earlier)
        first = max(0, done + 1 - self.length)
        parts = [
            self.describe(snapshots, range(start, min(start + _AT_ONCE, steps)))
            for start in range(first, steps, _AT_ONCE)
        ]
        ends = torch.arange(done, steps, device=self.device) - first
        fresh = self.states(torch.cat(parts), ends) if len(ends) else self.entities.new_zeros(0, self.gru.dim)
        return fresh if earlier is None else torch.cat([earlier, fresh])


class GlobalTraining(GradientModel):
    """How the global model learns to forecast the subjects and the objects of every snapshot but the first.

    Args:
        model: Learns.
        facts: What it learns from.
        epochs: Passes over the snapshots.
        steps_per_batch: Consecutive snapshots forecast in a gradient step.
        learning_rate, weight_decay: Of Adam.
        clip: Largest norm of a gradient.
    """

    def __init__(
        self, model: GlobalModel, facts: TemporalGraph, epochs: int, steps_per_batch: int, learning_rate: float,
        weight_decay: float, clip: float,
    ):  # fmt: skip
        super().__init__()
        self.model, self.clip = model, clip
        self.learning_rate, self.weight_decay, self.steps_per_batch = learning_rate, weight_decay, steps_per_batch
        self._facts, self._snapshots = facts, Snapshots(facts)
        self._targets = range(1, int(facts.time.max()) + 1)
        batches = -(-len(self._targets) // steps_per_batch)
        self._orders = EpochOrders(epochs, max(batches, 1))
        self.steps = epochs * batches  # none if there is one snapshot: it forecasts nothing yet

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """The loss of a stretch of snapshots."""
        start = self._orders.at(batch_idx) * self.steps_per_batch
        return self.model.loss(self._facts, self._snapshots, self._targets[start : start + self.steps_per_batch])

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient."""
        nn.utils.clip_grad_norm_(self.parameters(), self.clip)


def _soft_cross_entropy(logits: Tensor, row: Tensor, target: Tensor) -> Tensor:
    """Between distributions and the shares of ``target`` in each row, mean over rows that have any."""
    size = torch.bincount(row, minlength=len(logits))
    log_p = logits - logits.logsumexp(1, keepdim=True)
    return -(log_p[row, target] / size[row]).sum() / (size > 0).sum()

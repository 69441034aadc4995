"""DynAERNN: encoders of a node's last rows, a recurrent network over them, and a decoder of its next row.

Paper:
    Goyal, Chhetri, Canedo: dyngraph2vec: Capturing network dynamics using dynamic graph representation learning.
    Knowledge-Based Systems, 2020. Here as a baseline of NLSM (its Table 2 copies the values from the DySAT paper).

Idea:
    Where DynGEM rebuilds a node's row of the adjacency matrix, DynAERNN forecasts it from the rows before. The state in
    between is the node's vector.

Equations:
    For a node and a snapshot t, with an encoder of its own for each of the l rows a^(t-l+1) .. a^(t)::

        y = LSTM_D(LSTM(encoder_1(a^(t-l+1)), .., encoder_l(a^(t))))      x = decoder(y)
        L = mean over nodes and t of |(x - a^(t+1)) b|^2 + l1 |W|_1 + l2 |W|^2      b = beta at links, 1 elsewhere

    Encoders are ``hidden`` layers and one of width D, decoders the same the other way round, with leaky rectifiers. y
    is the vector of the node in snapshot t. A pair is scored by x at the link, in both directions.

Deviations:
    * The released code sets b to -1 where there is no link. It is squared, so that changes nothing.
    * In the released code the number of steps in an epoch does not depend on the number of snapshots; here an epoch is
      a pass over all nodes and snapshots.
    * Rows without any link, a node that was not there, have one and the same vector. It is computed once in each step
      and counts as often as there are such rows; batches are of the others. The loss is the same.
    * Every entry is first taken for a zero, and what is wrong about that at links is made good (``sampled_columns``: at
      some of the columns only, which is right on average).
    * With fewer snapshots than l + 1 the last encoders are used alone; with a single one, its own rows are rebuilt.
    * Nodes still to come are not learnt from. Self-loops are left out.
    * ``warm_epochs`` makes later fits go on from the one before, with so many epochs; ``null`` starts each anew.

Reproduction:
    NLSM's Table 2 with ten seeds (results/tables/nlsm_table2.md), micro / macro AUC; settings chosen on validation
    pairs from five candidates (results/sweeps/nlsm_table2_dynaernn.md):

    * Enron: with rows of counts, as released, 70.7 / 70.4 (three seeds), published 72.02 / 72.01 (50 of 250 passes, in
      batches of 500 instead of 100). A run takes two minutes.
    * With ``weights: binary`` 80.2 / 79.6, as for DynGEM.
    * UCI: 76.1 / 77.8, published 79.95 / 83.52, with ten passes over rows of counts, chosen from two candidates
      (results/sweeps/nlsm_table2_uci_dynaernn.md). The classifier is why: its penalty weighs the more the shorter the
      vectors are, and these are short, about 0.3. With products scaled to unit deviation (``protocol.scaled: true``)
      the same fits have 84.0 / 85.3, above print. A run takes four minutes.
    * ML-10M, one seed, as on UCI and with ``sampled_columns: 2000``: 85.1 / 88.3, published 87.73 / 89.47; with scaled
      products the same fit has 93.0 / 92.5. It takes half an hour and 6 GB.
    * On Enron scaling is no gain: 79.2 / 77.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from dynbench.contract import Selector
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.models.snapshots.base import SnapshotModel
from dynbench.nn.sparse_autoencoder import (
    Entries,
    RowDecoder,
    RowLayer,
    SparseRows,
    add_penalty_gradient,
    perceptron,
    rebuilt_pairs,
)
from dynbench.ranges import Count, NonNegative, Positive, Share, Width
from dynbench.sampling.batches import ShuffledBatches
from dynbench.sampling.counts import count_matrices, seen_nodes

# Rows that are encoded at once.
_ROWS = 4096


class DynAERNN(SnapshotModel):
    """Dynamic autoencoder with a recurrent network.

    Args:
        dim: Embedding dimension.
        look_back: Snapshots that a forecast looks at, l.
        hidden: Widths of the layers between a row and its code.
        recurrent: Widths of the recurrent layers before the last one.
        beta: Weight of links in what is to be forecast.
        l1: Weight of the absolute weights, outside the recurrent layers.
        l2: Weight of the squared weights, outside the recurrent layers.
        slope: Of rectifiers below zero.
        weights: Entries of a row: ``counts`` of events, their ``log``, or ``binary``.
        epochs: Passes over the nodes and snapshots.
        warm_epochs: The same in fits that go on from the one before; ``None`` for fits that start anew.
        batch_size: Rows per gradient step.
        learning_rate: Of Adam.
        sampled_columns: Columns looked at in a step; all when ``None``.
    """

    work = frozenset({"epochs", "warm_epochs"})

    def __init__(
        self,
        *,
        dim: Width = 128,
        look_back: Count = 2,
        hidden: list[Width] = (500, 300),
        recurrent: list[Width] = (500,),
        beta: Positive = 5.0,
        l1: NonNegative = 1e-6,
        l2: NonNegative = 1e-6,
        slope: Share = 0.3,
        weights: Literal["counts", "log", "binary"] = "counts",
        epochs: Count = 250,
        warm_epochs: Count | None = None,
        batch_size: Count = 100,
        learning_rate: Positive = 0.001,
        sampled_columns: Count | None = None,
    ):
        super().__init__()
        if not hidden:
            raise ConfigError("model.hidden names no layer; give one width at least")
        self.dim, self.look_back, self.hidden, self.recurrent = dim, look_back, tuple(hidden), tuple(recurrent)
        self.beta, self.l1, self.l2, self.slope, self.weights = beta, l1, l2, slope, weights
        self.epochs, self.warm_epochs, self.batch_size = epochs, warm_epochs, batch_size
        self.learning_rate, self.sampled_columns = learning_rate, sampled_columns
        self._known: SparseRows | None = None

    # ---- learning -----------------------------------------------------------------------------------------

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Learn to forecast every snapshot from those before it."""
        warm = self.warm_epochs is not None and self.sizes.get("num_nodes") == train.num_nodes
        if not warm:
            self.create(num_nodes=train.num_nodes)
        self.to(trainer.device)
        self.condition(train)
        nodes, _ = seen_nodes(train)
        self._columns = torch.from_numpy(np.sort(nodes)).to(trainer.device)
        self._lags = min(self.look_back, max(self._steps - 1, 1))
        self._arrange()
        epochs = self.warm_epochs if warm else self.epochs
        self._batches = ShuffledBatches(len(self._some), self.batch_size, epochs)
        trainer.train(self, epochs * self._batches.per_epoch)
        self._batches = self._columns = self._some = self._missed = None

    def build(self, num_nodes: int) -> None:
        """Create the parameters."""
        self.encoders_in = nn.ModuleList(RowLayer(num_nodes, self.hidden[0]) for _ in range(self.look_back))
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.LeakyReLU(self.slope), perceptron([*self.hidden, self.dim], self.slope))
            for _ in range(self.look_back)
        )
        widths = [self.dim, *self.recurrent, self.dim]
        self.cells = nn.ModuleList(nn.LSTM(*pair) for pair in pairwise(widths))
        self.decoder = perceptron([self.dim, *reversed(self.hidden)], self.slope)
        self.decoder_out = RowDecoder(self.hidden[0], num_nodes, self.slope)

    def _arrange(self) -> None:
        """Tell nodes and snapshots that look at some link from those that look at none."""
        size = self.sizes["num_nodes"]
        self._ahead = self._lags if self._steps > 1 else 0
        starts = self._steps - self._lags if self._steps > 1 else 1
        links = self._known.size.view(self._steps, size)[:, self._columns]
        looks = sum(links[lag : lag + starts] for lag in range(self._lags)) > 0
        row = torch.arange(starts, device=looks.device)[:, None] * size + self._columns
        self._some, blind = row[looks], row[~looks]
        self._total, self._blind = looks.numel(), len(blind)
        self._missed = self._known.take(blind + self._ahead * size)

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """Loss of a batch of rows and of all that look at nothing; the penalty enters with the gradient."""
        size = self.sizes["num_nodes"]
        batch = self._batches.at(batch_idx).to(self.device)
        rows = self.share(self._some[batch])
        hidden = self.decoder(self.encode([self._known.take(rows + lag * size) for lag in range(self._lags)]))
        target = self._known.take(rows + self._ahead * size)
        error = self.decoder_out.error(hidden, target, self.beta, self._columns, self.sampled_columns)
        loss = error.sum() * self.world * len(self._some) / max(len(batch), 1)
        if self._blind:
            rebuilt = self.decoder_out(self.decoder(self.encode([Entries.empty(1, self.device)] * self._lags)))[0]
            found = rebuilt[self._missed.column]
            missed = (self.beta * (found - self._missed.value)).square() - found.square()
            loss = loss + self._blind * rebuilt[self._columns].square().sum() + missed.sum()
        return loss / self._total

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Add the gradient of the weights' penalty."""
        inner = {id(part) for part in self.cells.parameters()}
        weights = [part for part in self.parameters() if part.dim() > 1 and id(part) not in inner]
        add_penalty_gradient(weights, self.l1, self.l2)

    def encode(self, rows: Sequence[Entries]) -> Tensor:
        """``(B, D)`` vectors of nodes from their last rows, by the last encoders if there are fewer than those."""
        first = self.look_back - len(rows)
        layers = zip(self.encoders_in[first:], self.encoders[first:], rows, strict=True)
        sequence = torch.stack([rest(layer(entries)) for layer, rest, entries in layers])
        for cell in self.cells:
            sequence, _ = cell(sequence)
        return sequence[-1]

    # ---- answering ----------------------------------------------------------------------------------------

    def condition(self, context: TemporalGraph) -> None:
        """Know snapshots, the last of which are looked at."""
        super().condition(context)
        self._steps = context.require_steps()
        self._known = SparseRows(count_matrices(context, self.weights, loops=False), self.device)

    @property
    def last_step(self) -> int:
        """The last snapshot known."""
        return self._steps - 1

    def vectors_at(self, step: int) -> Tensor:
        """``(N, D)`` vectors of nodes after a snapshot."""
        size, first = self.sizes["num_nodes"], max(step - self.look_back + 1, 0)
        parts = []
        for nodes in torch.arange(size, device=self.device).split(_ROWS):
            parts.append(self.encode([self._known.take(nodes + at * size) for at in range(first, step + 1)]))
        return torch.cat(parts)

    def pair_scores(self, vectors: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        """``(Q,)`` what is forecast for links."""
        return rebuilt_pairs(self.decoder_out, self.decoder(vectors), src, dst)

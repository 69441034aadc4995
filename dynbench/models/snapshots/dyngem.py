"""DynGEM: an autoencoder that goes on learning from snapshot to snapshot.

Paper:
    Goyal, Kamra, He, Liu: DynGEM: Deep Embedding Method for Dynamic Graphs. IJCAI workshop on representation learning
    for graphs, 2018. Here as a baseline of NLSM (its Table 2 copies the values from the DySAT paper).

Idea:
    A node's row of the adjacency matrix is squeezed into a short code from which it can be rebuilt; linked nodes should
    have similar codes. The network for a snapshot starts from that of the one before, so codes stay comparable and few
    passes will do.

Equations:
    Over the links (i, j) of a snapshot in both directions, with rows a, what is rebuilt x, codes y and b = beta at
    links and 1 elsewhere::

        L = mean of [ |(x_i - a_i) b_i|^2 / deg_i + |(x_j - a_j) b_j|^2 / deg_j + proximity w_ij |y_i - y_j|^2 ]
            + l1 |W|_1 + l2 |W|^2

    The code of a node in snapshot t is that of its row in snapshot t, by the network as it was after snapshot t. A pair
    is scored by how strongly its last codes rebuild the link, in both directions.

Deviations:
    * A node is in as many terms as it has links, each divided by their number. So steps take batches of nodes instead
      of links, and the links among them for the proximity; the loss is the same on average.
    * The paper widens layers as nodes come. Here the input is as wide as the dataset has nodes from the start; nodes
      still to come are columns of zeros that the loss does not look at. Hidden layers keep their widths.
    * Adam instead of stochastic gradients with a momentum of 0.99.
    * The released code uses plain rectifiers, in the code as well. Units that are dead stay dead, and codes of zeros
      tell nothing. Here rectifiers leak (``slope: 0.01``); ``slope: 0`` is the released code, and ``dead_units`` in the
      results tells which share of the code's units no node makes positive.
    * A snapshot without a link keeps the codes of the one before. Self-loops are left out, as in the paper.
    * ``sampled_columns`` looks at some of the columns in each step; the loss is the same on average.

Reproduction:
    NLSM's Table 2 (results/tables/nlsm_table2.md), micro / macro AUC, ten seeds with the settings chosen on validation
    pairs from five candidates (results/sweeps/nlsm_table2_dyngem.md), three with the released ones and on ML-10M:

    * Enron: with the released settings 66.4 / 66.4, published 67.83 / 69.72.
    * UCI: with the released settings 79.8 / 81.3, published 77.49 / 79.82; with ``weights: binary``, chosen as on Enron
      (results/sweeps/nlsm_table2_uci_dyngem.md), 84.1 / 85.4.
    * ML-10M with ``sampled_columns: 2000``: 90.3 / 90.6 with the released settings, 91.1 / 91.4 with those chosen on
      UCI, published 73.69 / 85.96. A run takes two minutes and 3.3 GB.
    * The published values on Enron are those of rows of counts, where pairs with hundreds of mails outweigh the others.
      With ``weights: binary`` and ``proximity: 0.1`` it has 80.5 / 79.6.
    * Rectifiers that do not leak, as released, cost 2.8 points on validation pairs with binary rows; with counts they
      gain 0.4 (results/sweeps/nlsm_table2_switches_dyngem.md).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from scipy import sparse
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
from dynbench.sampling.counts import count_matrices, digests

# Rows that are encoded at once.
_ROWS = 4096


class DynGEM(SnapshotModel):
    """Growing autoencoder.

    Args:
        dim: Length of a code.
        hidden: Widths of the layers between a row and its code.
        beta: Weight of links in what is to be rebuilt.
        proximity: Weight of the codes of linked nodes being apart.
        l1: Weight of the absolute weights.
        l2: Weight of the squared weights.
        slope: Of rectifiers below zero.
        weights: Entries of a row: ``counts`` of events, their ``log``, or ``binary``.
        first_epochs: Passes over the nodes of the first snapshot.
        epochs: Passes over the nodes of each later one.
        batch_size: Nodes per gradient step.
        learning_rate: Of Adam.
        sampled_columns: Columns looked at in a step; all when ``None``.
    """

    learns = "context"
    work = frozenset({"first_epochs", "epochs"})

    def __init__(
        self,
        *,
        dim: Width = 128,
        hidden: list[Width] = (500, 300),
        beta: Positive = 5.0,
        proximity: NonNegative = 1e-5,
        l1: NonNegative = 1e-6,
        l2: NonNegative = 1e-6,
        slope: Share = 0.01,
        weights: Literal["counts", "log", "binary"] = "counts",
        first_epochs: Count = 30,
        epochs: Count = 5,
        batch_size: Count = 500,
        learning_rate: Positive = 0.001,
        sampled_columns: Count | None = None,
    ):
        super().__init__()
        if not hidden:
            raise ConfigError("model.hidden names no layer; give one width at least")
        self.dim, self.hidden, self.beta, self.proximity = dim, tuple(hidden), beta, proximity
        self.l1, self.l2, self.slope, self.weights = l1, l2, slope, weights
        self.first_epochs, self.epochs, self.batch_size = first_epochs, epochs, batch_size
        self.learning_rate, self.sampled_columns = learning_rate, sampled_columns

    # ---- learning -----------------------------------------------------------------------------------------

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Learn the snapshots that were not learnt before, one after the other."""
        matrices = count_matrices(train, self.weights, loops=False)
        marks = digests(matrices)
        done = self.sizes.get("steps", 0)
        if not (0 < done < len(marks) and torch.equal(self.learnt.cpu(), marks[:done])):
            self.create(num_nodes=train.num_nodes, steps=0)
        seen = np.zeros(train.num_nodes, dtype=bool)
        for step, matrix in enumerate(matrices):
            seen |= np.diff(matrix.indptr) > 0
            if step >= self.sizes["steps"]:
                self.to(trainer.device)
                self._add(marks[step], self._learn(matrix, seen, trainer))

    def build(self, num_nodes: int, steps: int) -> None:
        """Create the parameters.

        Args:
            num_nodes: Nodes of the dataset.
            steps: Snapshots learnt.
        """
        self.encoder_in = RowLayer(num_nodes, self.hidden[0])
        self.encoder = nn.Sequential(nn.LeakyReLU(self.slope), perceptron([*self.hidden, self.dim], self.slope))
        self.decoder = perceptron([self.dim, *reversed(self.hidden)], self.slope)
        self.decoder_out = RowDecoder(self.hidden[0], num_nodes, self.slope)
        self.register_buffer("codes", torch.zeros(steps, num_nodes, self.dim))
        self.register_buffer("learnt", torch.zeros(steps, dtype=torch.long))

    def _learn(self, matrix: sparse.csr_array, seen: np.ndarray, trainer: Trainer) -> Tensor:
        """Train on one snapshot; returns ``(N, D)`` its codes."""
        steps, linked = self.sizes["steps"], np.flatnonzero(np.diff(matrix.indptr))
        if not len(linked) and steps:
            return self.codes[-1]
        rows = SparseRows([matrix], trainer.device)
        if len(linked):
            self._rows, self._links = rows, matrix.nnz
            self._linked, self._columns = (
                torch.from_numpy(part).to(trainer.device) for part in (linked, np.flatnonzero(seen))
            )
            epochs = self.epochs if self.codes.any() else self.first_epochs
            self._batches = ShuffledBatches(len(linked), self.batch_size, epochs)
            trainer.train(self, epochs * self._batches.per_epoch)
            self._rows = self._linked = self._columns = self._batches = None
        self.to(trainer.device)  # training ends on the CPU
        with torch.no_grad():
            parts = torch.arange(self.sizes["num_nodes"], device=trainer.device).split(_ROWS)
            return torch.cat([self.encode(rows.take(part)) for part in parts])

    def _add(self, mark: Tensor, codes: Tensor) -> None:
        self.codes = torch.cat([self.codes, codes[None]])
        self.learnt = torch.cat([self.learnt, mark[None].to(self.learnt.device)])
        self.sizes = {**self.sizes, "steps": len(self.codes)}

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """Loss of a batch of nodes and of the links among them; the weights' own penalty enters with the gradient."""
        batch = self._batches.at(batch_idx).to(self.device)
        rows = self.share(self._linked[batch])
        entries = self._rows.take(rows)
        code = self.encode(entries)
        error = self.decoder_out.error(self.decoder(code), entries, self.beta, self._columns, self.sampled_columns)
        rebuilt = 2 * error.sum() * self.world * len(self._linked) / len(batch)
        return (rebuilt + self.proximity * self._apart(code, rows, entries)) / self._links

    def _apart(self, code: Tensor, rows: Tensor, entries: Entries) -> Tensor:
        """``w |y_i - y_j|^2`` over all links, guessed from those among a batch."""
        place = torch.full((self.sizes["num_nodes"],), -1, device=rows.device)
        place[rows] = torch.arange(len(rows), device=rows.device)
        other = place.index_select(0, entries.column)
        inside = (other >= 0).nonzero().squeeze(1)
        apart = code.index_select(0, entries.row[inside]) - code.index_select(0, other[inside])
        total, some = len(self._linked), len(rows)
        return total * (total - 1) / max(some * (some - 1), 1) * (entries.value[inside] * apart.square().sum(1)).sum()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Add the gradient of the weights' penalty."""
        add_penalty_gradient([part for part in self.parameters() if part.dim() > 1], self.l1, self.l2)

    def encode(self, entries: Entries) -> Tensor:
        """``(B, D)`` codes of rows."""
        return self.encoder(self.encoder_in(entries))

    # ---- answering ----------------------------------------------------------------------------------------

    @property
    def last_step(self) -> int:
        """The last snapshot learnt."""
        return self.sizes["steps"] - 1

    def vectors_at(self, step: int) -> Tensor:
        """``(N, D)`` codes of a snapshot."""
        return self.codes[step]

    def pair_scores(self, vectors: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        """``(Q,)`` how strongly codes rebuild links."""
        return rebuilt_pairs(self.decoder_out, self.decoder(vectors), src, dst)

    def describe(self) -> dict[str, float]:
        """Share of the code's units that no node makes positive, in the last snapshot."""
        return {"dead_units": float((self.codes[-1] <= 0).all(0).float().mean())} if self.sizes else {}

"""What the snapshot encoders share: learnable node vectors, two layers, a pair decoder, training on snapshot pairs.

The model encodes one snapshot and scores the links of the next. It is trained on every pair of consecutive snapshots,
one optimiser step per pair in the order of time, with as many non-links as links, drawn anew each time.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynbench.contract import Queries, Selector
from dynbench.engine.trainer import Selection, Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.gradient import GradientModel
from dynbench.models.history import KnownEvents
from dynbench.nn.graph_conv import Edges, GCNConv, both_ways
from dynbench.nn.pair_decoders import PairDecoder
from dynbench.ranges import Count, Dropout, NonNegative, Positive, Width
from dynbench.sampling.pairs import PairIndex, draw_unlinked


class Snapshot(NamedTuple):
    """A snapshot as an encoder reads it: prepared edges, and ``(N, F)`` features of the moment."""

    edges: Edges
    features: Tensor


class Example(NamedTuple):
    """A snapshot, the links of the next one, and the step of those."""

    snapshot: Snapshot
    src: Tensor
    dst: Tensor
    step: int


class SnapshotLinkModel(KnownEvents, GradientModel):
    """Encodes the last snapshot and scores links of the next. A subclass names the layers and the decoder.

    Args:
        dim: Size of the node vectors.
        hidden: Width of both layers and of the decoder.
        dropout: Share of hidden units dropped in training.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        epochs: Passes over the training pairs at most.
        patience: Epochs without a better validation value before training stops.
        message_passing: Messages along links in both directions (``undirected``) or in theirs (``directed``).
    """

    version = 1
    answers = frozenset({"score", "embed"})
    scale = "logit"
    needs = frozenset({"snapshots"})
    learns = "train"
    selects = True

    layer, decoder = GCNConv, PairDecoder

    def __init__(
        self,
        *,
        dim: Width = 64,
        hidden: Width = 64,
        dropout: Dropout = 0.5,
        learning_rate: Positive = 0.01,
        weight_decay: NonNegative = 5e-4,
        epochs: Count = 50,
        patience: Count = 10,
        message_passing: Literal["undirected", "directed"] = "undirected",
    ):
        super().__init__()
        self.dim, self.hidden, self.dropout = dim, hidden, dropout
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.epochs, self.patience, self.message_passing = epochs, patience, message_passing
        self._examples: list[Example] = []
        self._linked: PairIndex | None = None

    # ---- the network ----------------------------------------------------------------------------------------

    def build(self, nodes: int) -> None:
        """Node vectors, two layers and a decoder."""
        vectors = self.node_vectors(nodes)
        if isinstance(vectors, nn.Parameter):
            self.vectors = vectors
        else:
            self.register_buffer("vectors", vectors)
        none = torch.zeros(0, dtype=torch.long)
        inputs = self.dim + self.features(none, none).shape[1]
        self.first, self.second = self.layer(inputs, self.hidden), self.layer(self.hidden, self.hidden)
        self.head = self.decoder(self.hidden, self.dropout)

    def node_vectors(self, num_nodes: int) -> Tensor:
        """``(N, dim)`` what the model knows of each node in itself."""
        return nn.Parameter(nn.init.xavier_uniform_(torch.empty(num_nodes, self.dim)))

    def features(self, src: Tensor, dst: Tensor) -> Tensor:
        """``(N, F)`` what a snapshot's ``(E,)`` links say of each node beyond messages; nothing by default."""
        return torch.zeros(self.sizes["nodes"], 0, device=src.device)

    def read(self, snapshot: TemporalGraph) -> Snapshot:
        """Prepare a snapshot without self-loops."""
        nodes, src, dst = self.sizes["nodes"], snapshot.src, snapshot.dst
        ends = both_ways(src, dst, nodes) if self.message_passing == "undirected" else (src, dst)
        return Snapshot(self.layer.edges(*ends, nodes), self.features(src, dst))

    def encode(self, snapshot: Snapshot) -> Tensor:
        """``(N, hidden)`` node representations z."""
        x = torch.cat([self.vectors, snapshot.features], dim=1)
        x = F.dropout(F.relu(self.first(x, snapshot.edges)), self.dropout, self.training)
        return self.second(x, snapshot.edges)

    # ---- learning -------------------------------------------------------------------------------------------

    def bytes_needed(self, graph: TemporalGraph) -> tuple[int, str]:
        """Node vectors with moments, layers with gradients, and all events; measured on a million nodes."""
        nodes, width = graph.num_nodes, max(self.dim, self.hidden)
        sizes = f"model.dim={self.dim} and model.hidden={self.hidden} × {nodes:,} nodes; lower them"
        return 4 * nodes * (4 * self.dim + 30 * width) + 250 * len(graph), sizes

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Train anew on all pairs of consecutive snapshots; the state with the best validation values is kept."""
        self.create(nodes=train.num_nodes)
        train = _without_loops(train).to(trainer.device)
        self._linked, self._examples = PairIndex(train), self.examples(train)
        steps = len(self._examples)
        if steps:  # a single snapshot, as at the start of single-step forecasting, teaches nothing yet
            selection = None if selector is None else Selection(selector, steps, self.patience)
            trainer.train(self, self.epochs * steps, selection=selection)
        self._linked, self._examples = None, []

    def examples(self, train: TemporalGraph) -> list[Example]:
        """Pairs of consecutive snapshots that both have links."""
        filled = torch.bincount(train.time, minlength=train.require_steps()) > 0
        steps = (filled[1:] & filled[:-1]).nonzero().squeeze(1).tolist()
        targets = [train.step(step + 1) for step in steps]
        return [
            Example(self.read(train.step(step)), target.src, target.dst, step + 1)
            for step, target in zip(steps, targets, strict=True)
        ]

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """Mean binary cross-entropy over the links of the next snapshot and as many uniform non-links."""
        snapshot, src, dst, step = self._examples[batch_idx % len(self._examples)]
        count = len(src)
        other_src, other_dst = draw_unlinked(self._linked, step, count)
        linked = (torch.arange(2 * count, device=src.device) < count).float()
        src, dst, linked = self.share(torch.cat([src, other_src]), torch.cat([dst, other_dst]), linked)
        logits = self.head(self.encode(snapshot), src, dst)
        return F.binary_cross_entropy_with_logits(logits, linked, reduction="sum") * (self.world / (2 * count))

    # ---- answering ------------------------------------------------------------------------------------------

    def condition(self, context: TemporalGraph) -> None:
        """Know the snapshots of the context."""
        super().condition(_without_loops(context))

    def observe(self, events: TemporalGraph) -> None:
        """Know revealed snapshots."""
        super().observe(_without_loops(events))

    @torch.no_grad()
    def score(self, queries: Queries) -> Tensor:
        """Logits of a link, from the last non-empty snapshot that is known and lies before each query's time."""
        scores = torch.empty(len(queries), device=self.device)
        for time in queries.time.unique().tolist():
            asked = (queries.time == time).nonzero().squeeze(1)
            scores[asked] = self.head(self.encode_before(time), queries.src[asked], queries.dst[asked])
        return scores

    @torch.no_grad()
    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, hidden)`` representations with which the links at each time are scored."""
        return torch.stack([self.encode_before(time) for time in times.tolist()])

    def encode_before(self, time: int) -> Tensor:
        """Representations of the last non-empty snapshot before a time, or of an empty one if there is none."""
        past = self.known.before(time)
        last = past.step(int(past.time[-1])) if len(past) else past
        return self.encode(self.read(last.to(self.device)))


def _without_loops(graph: TemporalGraph) -> TemporalGraph:
    return graph.subset(graph.src != graph.dst)

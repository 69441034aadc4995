"""What the snapshot encoders share: learnable node vectors, two layers, a pair decoder, training on snapshot pairs.

The model encodes one snapshot and scores the links of the next. It is trained on every pair of consecutive snapshots
of its history, one optimiser step per pair in the order of time, with as many non-links as links, drawn anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from dynbench.contract import Block, Queries
from dynbench.engine.trainer import Selection, Trainer
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.nn.graph_conv import Edges, GCNConv, PlainLayer, SAGEConv, both_ways, gcn_edges, mean_edges
from dynbench.sampling.pairs import PairIndex, draw_pairs

_LAYERS = {"gcn": GCNConv, "sage": SAGEConv, "linear": PlainLayer}
_EDGES = {"gcn": gcn_edges, "sage": mean_edges, "linear": mean_edges}
_KNOWN = ("known_src", "known_dst", "known_time")


class Snapshot(NamedTuple):
    """A snapshot as an encoder reads it: prepared edges and ``(N, F)`` degree features."""

    edges: Edges
    degrees: Tensor


class Example(NamedTuple):
    """A snapshot, the links of the next one, and its step."""

    snapshot: Snapshot
    src: Tensor
    dst: Tensor
    step: int


def degree_features(src: Tensor, dst: Tensor, num_nodes: int, kinds: Sequence[str], transform: str) -> Tensor:
    """Degrees of a snapshot's nodes as features.

    Args:
        src, dst: ``(E,) long`` directed links.
        num_nodes: Number of nodes.
        kinds: Any of ``in``, ``out``, ``total``.
        transform: ``log1p``, ``raw`` or ``zscore`` (over the nodes of the snapshot).

    Returns:
        ``(N, len(kinds)) float``.
    """
    out, into = (torch.bincount(ends, minlength=num_nodes).float() for ends in (src, dst))
    columns = {"in": into, "out": out, "total": into + out}
    features = torch.stack([columns[kind] for kind in kinds], dim=1) if kinds else out.new_zeros(num_nodes, 0)
    if transform == "log1p":
        return features.log1p()
    if transform == "zscore":
        return (features - features.mean(0)) / features.std(0).clamp(min=1e-6)
    return features


def _without_loops(graph: TemporalGraph) -> TemporalGraph:
    return graph.subset(graph.src != graph.dst)


class PairDecoder(nn.Module):
    """``w . relu(W [z_u | z_v] + c) + c'``; the order of the two ends matters.

    Args:
        dim: Dimension of ``z`` and of the hidden layer.
        dropout: Share of hidden units dropped in training.
    """

    def __init__(self, dim: int, dropout: float):
        super().__init__()
        self.hidden = nn.Linear(2 * dim, dim)
        self.out = nn.Linear(dim, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, z: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        """``(Q,)`` logits."""
        pairs = torch.cat([z.index_select(0, src), z.index_select(0, dst)], dim=1)
        return self.out(self.dropout(F.relu(self.hidden(pairs)))).squeeze(1)


class DotDecoder(nn.Module):
    """``z_u . z_v``, the same in both directions."""

    def forward(self, z: Tensor, src: Tensor, dst: Tensor) -> Tensor:
        """``(Q,)`` logits."""
        return (z.index_select(0, src) * z.index_select(0, dst)).sum(1)


class SnapshotLinkModel(pl.LightningModule, Model):
    """Encodes the last snapshot and scores links of the next.

    Args:
        dim: Size of the node vectors.
        hidden: Width of both layers and of the decoder.
        dropout: Share of hidden units dropped in training.
        learning_rate: Of Adam.
        weight_decay: Of Adam.
        epochs: Passes over the training pairs at most.
        patience: Epochs without a better average precision on validation before training stops.
        layers: ``gcn``, ``sage`` or ``linear``.
        decoder: ``mlp`` on the two ends or ``dot`` product.
        embeddings: ``learned`` node vectors or frozen ``ones``.
        message_passing: Messages along links in both directions (``undirected``) or in theirs (``directed``).
        degrees: Degrees among the inputs: any of ``in``, ``out``, ``total``.
        degree_transform: ``log1p``, ``raw`` or ``zscore``.
    """

    answers = frozenset({"score", "embed"})
    needs = frozenset({"snapshots"})
    scale = "logit"

    def __init__(
        self,
        *,
        dim: int = 64,
        hidden: int = 64,
        dropout: float = 0.5,
        learning_rate: float = 0.01,
        weight_decay: float = 5e-4,
        epochs: int = 50,
        patience: int = 10,
        layers: Literal["gcn", "sage", "linear"] = "gcn",
        decoder: Literal["mlp", "dot"] = "mlp",
        embeddings: Literal["learned", "ones"] = "learned",
        message_passing: Literal["undirected", "directed"] = "undirected",
        degrees: Sequence[str] = (),
        degree_transform: Literal["log1p", "raw", "zscore"] = "log1p",
    ):
        super().__init__()
        self.dim, self.hidden, self.dropout = dim, hidden, dropout
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.epochs, self.patience = epochs, patience
        self.layers, self.decoder, self.embeddings = layers, decoder, embeddings
        self.message_passing = message_passing
        self.degrees, self.degree_transform = tuple(degrees), degree_transform
        self.num_nodes = 0
        self._examples: list[Example] = []
        self._index: PairIndex | None = None
        for name in _KNOWN:
            self.register_buffer(name, torch.zeros(0, dtype=torch.long))

    # ---- learning -----------------------------------------------------------------------------------------

    def fit(self, history: TemporalGraph, validation: Sequence[Block], trainer: Trainer) -> None:
        """Train anew on all pairs of consecutive snapshots of ``history``."""
        self.build(history.num_nodes)
        history = _without_loops(history)
        self._know(history)
        history = history.to(trainer.device)
        self._index = PairIndex(history)
        self._examples = self._training_examples(history)
        judged = self._judged(validation, trainer)
        steps = len(self._examples)
        selection = Selection(lambda: self._judge(judged), steps, self.patience) if judged else None
        if steps:  # a single snapshot, as at the start of a single-step story, teaches nothing yet
            trainer.train(self, self.epochs * steps, selection=selection)
        self.eval()
        self._examples, self._index = [], None

    def build(self, num_nodes: int) -> None:
        """Create the parameters."""
        self.num_nodes = num_nodes
        vectors = torch.ones(num_nodes, self.dim)
        if self.embeddings == "learned":
            self.vectors = nn.Parameter(nn.init.xavier_uniform_(vectors))
        else:
            self.register_buffer("vectors", vectors)
        layer = _LAYERS[self.layers]
        self.first = layer(self.dim + len(self.degrees), self.hidden)
        self.second = layer(self.hidden, self.hidden)
        self.head = PairDecoder(self.hidden, self.dropout) if self.decoder == "mlp" else DotDecoder()

    def _training_examples(self, history: TemporalGraph) -> list[Example]:
        filled = torch.bincount(history.time, minlength=history.require_steps()) > 0
        steps = (filled[1:] & filled[:-1]).nonzero().squeeze(1).tolist()
        examples = []
        for step in steps:
            source, target = history.step(step), history.step(step + 1)
            examples.append(Example(self.read(source.src, source.dst), target.src, target.dst, step + 1))
        return examples

    def _judged(self, validation: Sequence[Block], trainer: Trainer) -> list[tuple]:
        """Inputs of the validation blocks: the last snapshot before each, its queries, and the labels."""
        known, judged = (self.known_src, self.known_dst, self.known_time), []
        for block in validation:
            if len(block.queries):
                snapshot = self._before(known, int(block.queries.time[0]), trainer.device)
                judged.append((snapshot, block.queries.to(trainer.device), block.answers))
            if block.reveal is not None:
                reveal = _without_loops(block.reveal)
                more = (reveal.src, reveal.dst, reveal.time)
                known = tuple(torch.cat([old.cpu(), new.cpu()]) for old, new in zip(known, more, strict=True))
        return judged

    def _judge(self, judged: Sequence[tuple]) -> float:
        """Average precision over all validation pairs."""
        scores = [self.head(self.encode(snapshot), asked.src, asked.dst) for snapshot, asked, _ in judged]
        labels = torch.cat([answers for _, _, answers in judged])
        scores = torch.cat(scores).double().cpu()
        return (
            average_precision_score(labels.numpy(), scores.numpy()) if bool(scores.isfinite().all()) else float("nan")
        )

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """Mean binary cross-entropy over the links of the next snapshot and as many uniform non-links."""
        snapshot, src, dst, step = self._examples[batch_idx % len(self._examples)]
        other_src, other_dst = self._non_links(step, len(src))
        mine = slice(self.global_rank, None, self.trainer.world_size)
        asked_src, asked_dst = torch.cat([src, other_src])[mine], torch.cat([dst, other_dst])[mine]
        labels = (torch.arange(2 * len(src), device=src.device) < len(src)).float()[mine]
        logits = self.head(self.encode(snapshot), asked_src, asked_dst)
        share = self.trainer.world_size / (2 * len(src))
        return F.binary_cross_entropy_with_logits(logits, labels, reduction="sum") * share

    def _non_links(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        """Uniform ordered pairs that are not linked; a pair that is gets drawn again."""
        pool = torch.arange(self.num_nodes, device=self.device)
        src, dst = draw_pairs(pool, torch.full((count,), self.num_nodes, device=self.device))
        for _ in range(100):
            bad = self._index.contains(step, src, dst).nonzero().squeeze(1)
            if not len(bad):
                break
            again = draw_pairs(pool, torch.full((len(bad),), self.num_nodes, device=self.device))
            src[bad], dst[bad] = again
        return src, dst

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with weight decay."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    # ---- encoding -----------------------------------------------------------------------------------------

    def read(self, src: Tensor, dst: Tensor) -> Snapshot:
        """Prepare a snapshot, on the device of its links."""
        features = degree_features(src, dst, self.num_nodes, self.degrees, self.degree_transform)
        ends = both_ways(src, dst, self.num_nodes) if self.message_passing == "undirected" else (src, dst)
        return Snapshot(_EDGES[self.layers](*ends, self.num_nodes), features)

    def encode(self, snapshot: Snapshot) -> Tensor:
        """``(N, hidden)`` node representations z."""
        x = torch.cat([self.vectors, snapshot.degrees], dim=1) if self.degrees else self.vectors
        x = F.dropout(F.relu(self.first(x, snapshot.edges)), self.dropout, self.training)
        return self.second(x, snapshot.edges)

    # ---- answering ----------------------------------------------------------------------------------------

    def observe(self, events: TemporalGraph) -> None:
        """Remember revealed snapshots; the last one before a question is encoded."""
        events = _without_loops(events)
        parts = zip(_KNOWN, (events.src, events.dst, events.time), strict=True)
        for name, part in parts:
            old = getattr(self, name)
            setattr(self, name, torch.cat([old, part.to(old.device)]))

    @torch.no_grad()
    def score(self, queries: Queries) -> Tensor:
        """Logits of a link, from the last non-empty snapshot that is known and lies before each query's time."""
        scores = torch.empty(len(queries), device=self.device)
        for time in queries.time.unique().tolist():
            asked = (queries.time == time).nonzero().squeeze(1)
            scores[asked] = self.head(self._state(time), queries.src[asked], queries.dst[asked])
        return scores

    @torch.no_grad()
    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, hidden)`` representations with which the links at each time are scored."""
        return torch.stack([self._state(time) for time in times.tolist()])

    def _state(self, time: int) -> Tensor:
        self.eval()  # a model that was restored in another process has not been told
        known = tuple(getattr(self, name) for name in _KNOWN)
        return self.encode(self._before(known, time, self.device))

    def _before(self, known: tuple[Tensor, Tensor, Tensor], time: int, device: torch.device) -> Snapshot:
        """The last known non-empty snapshot before a time; an empty one if there is none."""
        src, dst, times = known
        stop = int(torch.searchsorted(times, torch.tensor(time, device=times.device)))
        start = int(torch.searchsorted(times, times[stop - 1])) if stop else 0
        return self.read(src[start:stop].to(device), dst[start:stop].to(device))

    def _know(self, history: TemporalGraph) -> None:
        """Forget what was known and remember a history."""
        for name, part in zip(_KNOWN, (history.src, history.dst, history.time), strict=True):
            setattr(self, name, part.clone().to(self.device))

    # ---- keeping ------------------------------------------------------------------------------------------

    def load_state_dict(self, state: dict[str, Tensor], strict: bool = True, assign: bool = False):
        """Restore a fitted model, creating its parameters first if it was never fitted."""
        if "vectors" in state and not self.num_nodes:
            self.build(len(state["vectors"]))
        for name in _KNOWN:
            setattr(self, name, torch.zeros_like(state[name], device=self.device))
        return super().load_state_dict(state, strict=strict, assign=assign)

    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

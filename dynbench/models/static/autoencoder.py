"""What the auto-encoders of one graph share: graph convolutions in, products of codes out, all pairs in the loss."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from dynbench.contract import Queries, Selector
from dynbench.engine.trainer import Selection, Trainer
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.models.gradient import GradientModel
from dynbench.models.static.graph import StaticGraph
from dynbench.models.static.link_loss import LinkLoss
from dynbench.nn.graph_conv import gcn_edges
from dynbench.nn.graph_encoder import GraphEncoder, SparseRows
from dynbench.ranges import Count, Dropout, Positive


class LinkAutoencoder(GradientModel):
    """Encodes a graph and reconstructs it; the codes score the pairs of which nothing is known.

    A subclass creates its ``encoder`` in ``build`` and says what is lost in :meth:`loss`, what is kept of a fit in
    :meth:`keep` and how pairs are scored in :meth:`codes`.

    Args:
        hidden: Widths of the hidden layers.
        dropout: Share of each layer's inputs dropped in training.
        learning_rate: Of Adam.
        epochs: Gradient steps, each on the whole graph.
        masked: Whether pairs of which nothing is known are left out of the loss in ``both`` directions, in
            ``one_direction`` (the other one then counts as no link), or in ``none``.
        weighted: Whether links weigh as much as all other pairs together.
        features: Whether attributes of the nodes, where there are any, are the encoder's input.
        snapshots: Of a graph with several: ``all`` of them merged, or the ``last`` one.
        judge_every: Epochs between two judgements on validation, of which the best state is kept; ``null`` to keep the
            last state.
    """

    answers = frozenset({"score", "embed"})
    scale = "logit"
    needs = frozenset({"snapshots", "undirected"})
    selects = True

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (32,),
        dropout: Dropout = 0.0,
        learning_rate: Positive = 0.01,
        epochs: Count = 200,
        masked: Literal["both", "one_direction", "none"] = "both",
        weighted: bool = True,
        features: bool = True,
        snapshots: Literal["all", "last"] = "all",
        judge_every: Count | None = None,
    ):
        super().__init__()
        if not hidden:
            raise ConfigError("model.hidden is empty; the encoder needs one hidden layer at least")
        self.hidden, self.dropout, self.learning_rate, self.epochs = tuple(hidden), dropout, learning_rate, epochs
        self.masked, self.weighted = masked, weighted
        self.features, self.snapshots, self.judge_every = features, snapshots, judge_every
        self.edges = self.rows = self.links = None

    # ---- learning -----------------------------------------------------------------------------------------

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Train anew on the graph, then keep what questions need."""
        graph = StaticGraph.of(train, self.snapshots).to(trainer.device)
        attributes = self.attributes(graph)
        self.create(nodes=graph.num_nodes, features=0 if attributes is None else attributes.shape[1])
        self.edges = gcn_edges(*graph.both_ways(), graph.num_nodes)
        self.rows = None if attributes is None else SparseRows.of(attributes)
        self.links = LinkLoss(graph, self.masked, self.weighted)
        self.prepare()
        selection = None
        if selector is not None and self.judge_every is not None:
            selection = Selection(self._judging(selector), self.judge_every, self.epochs)
        trainer.train(self, steps=self.epochs, selection=selection)
        self.to(trainer.device).eval()
        with torch.no_grad():
            self.keep()
        self.edges = self.rows = self.links = None

    def prepare(self) -> None:
        """Look at the graph before the first step."""

    def _judging(self, selector: Selector) -> Selector:
        """The selector, asked about a state of which was kept what questions need; training draws on unmoved."""

        def judge(model):
            with torch.random.fork_rng(), torch.no_grad():
                self.keep()
            return selector(model)

        return judge

    def attributes(self, graph: StaticGraph) -> Tensor | None:
        """``(N, D)`` attributes that the model uses, or ``None``."""
        if graph.features is None or not self.features:
            return None
        return graph.features

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """The loss, on all pairs; devices share the pairs."""
        return self.loss((self.global_rank, self.world))

    @abstractmethod
    def loss(self, part: tuple[int, int]) -> Tensor:
        """The loss of one epoch, of which the mean over ``part[1]`` devices is taken."""

    @abstractmethod
    def keep(self) -> None:
        """Write what questions need into buffers, now that the graph is at hand."""

    def new_encoder(self, outputs: int, heads: int, activation: Literal["relu", "leaky"] = "leaky") -> GraphEncoder:
        """The graph convolutions for the sizes of the data."""
        inputs = self.sizes["features"] or self.sizes["nodes"]
        return GraphEncoder(inputs, self.hidden, outputs, heads, self.dropout, activation)

    def encode(self) -> tuple[Tensor, ...]:
        """``(N, outputs)`` of each of the encoder's heads."""
        return self.encoder(self.rows, self.edges)

    # ---- answering ----------------------------------------------------------------------------------------

    @abstractmethod
    def codes(self) -> tuple[Tensor, Tensor]:
        """``(S, N, D)`` codes p and q; the score of a pair is the mean over S of ``p_i . q_j``."""

    @torch.no_grad()
    def score(self, queries: Queries) -> Tensor:
        """Logits of a link, the same at every time."""
        p, q = self.codes()
        total = torch.zeros(len(queries), device=p.device)
        for left, right in zip(p, q, strict=True):
            total += (left[queries.src] * right[queries.dst]).sum(1)
        return total / len(p)

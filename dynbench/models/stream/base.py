"""What all stream models share: training on batches of consecutive events, one random destination each, and answers.

A model of the family says how it turns pairs of nodes at a time into logits; :class:`NodeModel` is for those that embed
each end by itself, whatever the other end is. Everything else is here: negatives, the loss, epochs, selection after
each, what is known, and where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynbench.contract import Queries, Selector
from dynbench.engine.trainer import Selection, Trainer
from dynbench.errors import ConfigError
from dynbench.graph import TemporalGraph
from dynbench.models.gradient import GradientModel
from dynbench.models.stream.known import Known, widths
from dynbench.nn.merge import Merge
from dynbench.nn.time_encoding import TimeEncoding
from dynbench.ranges import Count, Dropout, Positive, Width
from dynbench.sampling.mixture import MixtureSampler


class StreamModel(GradientModel):
    """Learns to tell the destination of each event from a random one.

    The embeddings of a pair come from :meth:`ends`, which looks at ``self.known`` for events strictly before the times
    asked about. A subclass makes its parameters in :meth:`build`.

    Args:
        node_dim: Width of node features, and of embeddings; narrower features are padded with zeros.
        edge_dim: Width of edge features; narrower ones are padded with zeros.
        time_dim: Cosines of the time encoding.
        dropout: Share of units dropped in training.
        learning_rate: Of Adam.
        batch_size: Consecutive events of a training step.
        epochs: Passes over the training events at most.
        patience: Epochs without a better validation before training stops.
        event_times: Times of earlier events: ``exact``, or ``single`` precision as in DyGLib's code. From 2^24 on it
            rounds, to 8 at 10^8, so that differences are off, and a second hop, which asks what came before the
            rounded time, can see a little of what came after the event.
    """

    answers = frozenset({"score"})
    needs = frozenset({"events"})
    scale = "logit"
    selects = True
    several = True
    looks = "before_time"

    # Whether the time encoding is trained.
    trains_time = True
    # Whether a step on several graphs needs a full batch.
    whole_batches = False
    # Pairs, or nodes at a time, that are worked on at once where no gradient is needed; bounds memory.
    at_once = 4000

    def __init__(
        self,
        *,
        node_dim: Width = 172,
        edge_dim: Width = 172,
        time_dim: Width = 100,
        dropout: Dropout = 0.1,
        learning_rate: Positive = 1e-4,
        batch_size: Count = 200,
        epochs: Count = 100,
        patience: Count = 20,
        event_times: Literal["exact", "single"] = "exact",
    ):
        super().__init__()
        for name, least in {"batch_size": 1, "epochs": 0, "node_dim": 1, "edge_dim": 1, "time_dim": 1}.items():
            if locals()[name] < least:
                raise ConfigError(f"model.{name} is {locals()[name]}; it must be at least {least}")
        if not 0 <= dropout < 1:
            raise ConfigError(f"model.dropout is {dropout}; it must be at least 0 and below 1")
        self.node_dim, self.edge_dim, self.time_dim = node_dim, edge_dim, time_dim
        self.dropout, self.learning_rate = dropout, learning_rate
        self.batch_size, self.epochs, self.patience = batch_size, epochs, patience
        self.rounded = event_times == "single"
        self.register_buffer("seed", torch.zeros((), dtype=torch.long))
        self._train: TemporalGraph | None = None
        self._mixed: MixtureSampler | None = None
        self._learning: Known | None = None
        self._asked: Known | None = None
        self._context: TemporalGraph | None = None

    # ---- learning -----------------------------------------------------------------------------------------

    def fit(
        self, train: TemporalGraph | Mapping[str, TemporalGraph], selector: Selector | None, trainer: Trainer
    ) -> None:
        """Train anew on the events of a graph, in order, epoch after epoch; or on several graphs, and to the end."""
        if isinstance(train, Mapping):
            if set(train) != {""}:
                self._fit_several(train, trainer)
                return
            train = train[""]
        self._check_widths(train)
        self.create(**self.sizes_of(train))
        self.to(trainer.device)
        self.seed.fill_(int(torch.randint(2**62, ())))
        # Batches are made where the graph is, which is no accelerator: what depends on their content waits for none.
        self._train = train
        self._pool = self._train.dst.unique()
        self.prepare(self._train)
        self._learning = self.known_at_first()
        batches = ceil(len(train) / self.batch_size)
        if self.epochs:
            selection = None if selector is None else Selection(selector, batches, self.patience)
            trainer.train(self, self.epochs * batches, selection=selection)
        self.eval()
        self._train = self._learning = self._context = None

    def _fit_several(self, train: Mapping[str, TemporalGraph], trainer: Trainer) -> None:
        """Train anew on shuffled events of several graphs, of each as many, without features or selection."""
        seed = int(torch.randint(2**62, ()))  # drawn first: models of one seed meet the same events and negatives
        edges = getattr(train, "edges", max(map(len, train.values())))
        self._mixed = MixtureSampler(train, edges, self.batch_size, seed, self.whole_batches)
        self._train = self._mixed.union
        self.create(**self.sizes_of(self._train))
        self.to(trainer.device)
        self.seed.fill_(seed)
        self.prepare(self._train)
        self._learning = self.known_at_first()
        if self.epochs:
            trainer.train(self, self.epochs * self._mixed.steps)
        self.eval()
        self._train = self._mixed = self._learning = self._context = None

    def prepare(self, train: TemporalGraph) -> None:
        """Take in what training needs to know of all events, their scales, say."""

    def sizes_of(self, train: TemporalGraph) -> dict[str, int]:
        """What the parameters depend on."""
        return widths(train)

    def build(self, **sizes: int) -> None:
        """Create what all models have: the time encoding, and the network that scores a pair of embeddings."""
        self.time = TimeEncoding(self.time_dim, self.trains_time)
        self.predictor = Merge((self.node_dim, self.node_dim), self.node_dim, 1)

    def known_at_first(self) -> Known:
        """What a training step may look at: all training events, of which it sees the strictly earlier ones."""
        return self.knowing(self._train)

    def knowing(self, graph: TemporalGraph, origin: Tensor | None = None) -> Known:
        """The events of a graph as this model looks at them; ``origin`` as in :class:`Known`."""
        return Known(graph, self.device, int(self.seed), origin, self.rounded)

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """Loss of a batch of consecutive events, or of shuffled ones of several graphs."""
        if self._mixed is not None:
            chosen, others = self._mixed.at(batch_idx)
            return self.loss(self._train.subset(chosen.flatten()), others.flatten())
        batches = ceil(len(self._train) / self.batch_size)
        epoch, number = divmod(batch_idx, batches)
        self.before_batch(number)
        start = number * self.batch_size
        events = self._train.events(start, start + self.batch_size)
        loss = self.loss(events, self._others(epoch)[start : start + len(events)])
        following = self._train.time[start + len(events) :]
        self.after_batch(events, following[:1] if len(following) else None)
        return loss

    def before_batch(self, number: int) -> None:
        """Called before the ``number``-th batch of an epoch."""

    def after_batch(self, events: TemporalGraph, following: Tensor | None) -> None:
        """Called after the loss of a batch and before the weights move.

        Args:
            events: The batch.
            following: ``(1,)`` time of the next event; ``None`` at the end of an epoch.
        """

    def _others(self, epoch: int) -> Tensor:
        """``(E,) long`` a random destination for every event of an epoch, alike on all devices and when resumed."""
        if getattr(self, "_drawn", (None, None))[0] != epoch:
            generator = torch.Generator().manual_seed((int(self.seed) + epoch) % 2**63)
            chosen = torch.randint(len(self._pool), (len(self._train),), generator=generator)
            self._drawn = epoch, self._pool[chosen]
        return self._drawn[1]

    def loss(self, events: TemporalGraph, others: Tensor) -> Tensor:
        """Mean binary cross-entropy of events and of the same ones with other destinations."""
        count = len(events)
        labels = (torch.arange(2 * count) < count).float()
        src, dst, time = events.src.repeat(2), torch.cat([events.dst, others]), events.time.repeat(2)
        src, dst, time, labels = self.share(src, dst, time, labels)
        logits = self.logits(src, dst, time).float()
        losses = F.binary_cross_entropy_with_logits(logits, labels.to(logits.device), reduction="sum")
        return losses * (self.world / (2 * count))

    def _check_widths(self, graph: TemporalGraph) -> None:
        for kind, features in (("node", graph.node_features), ("edge", graph.edge_features)):
            width, most = 0 if features is None else features.shape[1], getattr(self, f"{kind}_dim")
            if width > most:
                raise ConfigError(f"the {kind} features are {width} wide; set model.{kind}_dim={width} or more")

    # ---- what is known ------------------------------------------------------------------------------------

    @property
    def known(self) -> Known:
        """What may be looked at: the training part in training, otherwise what was told and revealed."""
        return self._learning if self.training and self._learning is not None else self._asked

    def condition(self, context: TemporalGraph) -> None:
        """Know the events of a graph and no others. The graph that was known before is not indexed anew."""
        if context is self._context:
            self._asked.rewind(self._mark)
            return
        self._check_widths(context)
        self._context = context
        begins = context.time[:1] if len(context) else None
        self._asked = self.knowing(self.beginning(context), begins)
        self._mark = self._asked.mark()

    def beginning(self, context: TemporalGraph) -> TemporalGraph:
        """The events that need no more than to be known."""
        return context

    def observe(self, events: TemporalGraph) -> None:
        """Know more events."""
        self._asked.append(events)

    def running_state(self) -> dict[str, Tensor]:
        """Which events are known."""
        return {f"known.{name}": part for name, part in self._asked.mark().items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Forget events that were observed since."""
        prefix = "known."
        self._asked.rewind({n.removeprefix(prefix): part for n, part in state.items() if n.startswith(prefix)})

    # ---- answering ----------------------------------------------------------------------------------------

    def ends(self, src: Tensor, dst: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """``(Q, node_dim)`` embeddings of both ends of pairs, from what is known strictly before each time."""
        raise NotImplementedError

    def logits(self, src: Tensor, dst: Tensor, time: Tensor) -> Tensor:
        """``(Q,)`` logits of pairs, wherever they are."""
        return self.predictor(*self.ends(src, dst, time)).squeeze(1)

    @torch.no_grad()
    def score(self, queries: Queries) -> Tensor:
        """Logits of pairs."""
        self.eval()
        parts = zip(*(part.split(self.at_once) for part in (queries.src, queries.dst, queries.time)), strict=True)
        return torch.cat([self.logits(*part).float() for part in parts])

    def num_parameters(self) -> int:
        """Numbers of the network, those included that no gradient reaches as the features are zero."""
        return sum(parameter.numel() for parameter in self.parameters())


class NodeModel(StreamModel):
    """Embeds each end of a pair by itself, so that every distinct node at a time is embedded once."""

    def encode(self, nodes: Tensor, times: Tensor) -> Tensor:
        """``(Q, node_dim)`` embeddings of distinct nodes at times."""
        raise NotImplementedError

    def ends(self, src: Tensor, dst: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of both ends."""
        nodes, times, back = (part.to(self.device) for part in distinct(torch.cat([src, dst]), time.repeat(2)))
        if torch.is_grad_enabled():
            embedded = self.encode(nodes, times)
        else:
            parts = zip(nodes.split(self.at_once), times.split(self.at_once), strict=True)
            embedded = torch.cat([self.encode(*part) for part in parts])
        return embedded.index_select(0, back).chunk(2)


class PairModel(StreamModel):
    """Embeds both ends of a pair in view of each other; what they bring along is looked up once for both."""

    at_once = 500

    def pairs(self, ends: Tensor, times: Tensor, src: Tensor, dst: Tensor) -> tuple[Tensor, Tensor]:
        """Embed both ends of pairs.

        Args:
            ends, times: ``(M,)`` distinct nodes at times.
            src, dst: ``(Q,) long`` their places in pairs.

        Returns:
            ``(Q, node_dim)`` of the sources and of the destinations.
        """
        raise NotImplementedError

    def ends(self, src: Tensor, dst: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of both ends in view of each other."""
        ends, times, back = (part.to(self.device) for part in distinct(torch.cat([src, dst]), time.repeat(2)))
        return self.pairs(ends, times, *back.chunk(2))


def distinct(nodes: Tensor, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The distinct nodes at a time among ``(Q,)`` ones, and for each of those its place among them."""
    moments, moment = times.unique(return_inverse=True)
    keys, back = (nodes * len(moments) + moment).unique(return_inverse=True)
    return keys // len(moments), moments[keys % len(moments)], back


def frozen(linear: nn.Linear) -> nn.Linear:
    """A layer that reads nothing but zeros: its weight cannot learn, its bias can."""
    linear.weight.requires_grad_(False)
    return linear

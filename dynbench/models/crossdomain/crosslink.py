"""CrossLink: a model that reads a network's rule off some solved questions, and then forecasts its links.

Paper:
    Huang, Chow, Zhu, Wang, Chai, Wang, Chen, Yang: Enhancing Cross-domain Link Prediction via Evolution Process
    Modeling. WWW 2025.

Idea:
    What makes a link likely in one network makes it unlikely in another. So the model is shown a sequence of questions
    about the network in hand, in order of time, each with its answer, and forecasts the answer of every one from those
    before it. Trained on several networks at once, it learns to infer which rule holds; a network never seen only has
    to come with a history.

Equations:
    Each of K + 1 pairs is encoded by DyGFormer in view of what happened strictly before its own time, on zero features,
    with times that have neither unit nor origin::

        s       = alpha (t_i - t_w) / t_i           t counted from the first event of the network
        s'      = beta (s + gamma)                  in training: beta, gamma drawn once for a sequence
        (Z_u, Z_v) = DyGFormer( history of u , history of v )

    Three tokens a pair make a sequence for a causal decoder; the answer of a pair is read off its second token, which
    sees all earlier pairs with their answers and not its own::

        H       = GPT( Z_u1, Z_v1, Y_y1, Z_u2, Z_v2, Y_y2, .., Z_uK+1, Z_vK+1 )
        logit_i = w H_(3 i + 1) + b                 loss: mean of the cross-entropies of all pairs

    When it is asked, the solved pairs of a network are read once. Their keys and values serve all questions.

Deviations:
    There is no public code, and the paper leaves much open. Each choice is a setting; the main ones are:

    * alpha is 10^6, beta = exp(U(-ln 2, ln 2)) and gamma = alpha U(0, 0.1); 1 and 0 when asked.
    * Times count from a network's first event; otherwise all s of networks in Unix time would be nearly 0.
    * A positive and its own negative, which have source and time in common, are never in one sequence: the answer to
      one would give away that of the other, which cannot happen when a question is asked.
    * Each network gives as many events to an epoch (``data.equalise``): smaller ones are repeated, larger ones
      sub-sampled. A step takes 480 events of each, uniformly over its history, and as many negatives.
    * AdamW at 10^-4 with warm-up over 5 % of the steps and linear decay, weight decay 0.01, gradients clipped at 1.
    * Padding of histories is masked out and takes part in nothing, whatever else is asked beside a pair.

Reproduction:
    ``conf/table/crosslink_flip.yaml``: on generated networks with opposite rules, of which a pair shows neither, a
    context decides. Average precision is 83.2 with the right one against 66.2 of the same encoder on single pairs, 55.5
    without a context, and 44.3 with that of a network of the other rule (means of four networks never seen, three
    seeds, 23 solved pairs). The wrong context inverts forecasts, to less than 50, on three of the four networks and not
    on ``hot_60`` (62.3). Without t-norm nothing is learnt that carries over (53.7); without t-shuffle as much (83.4),
    with a loss on the last pair only a little less (81.7).

    On real networks at quick (width 48, 20 passes over 12,000 events of each of four networks), the paper's gain is not
    seen. With its own context the model is at 92.0 on Enron, 92.8 on UCI, 67.5 on Ubuntu and 75.8 on Mathoverflow; the
    same encoder on single pairs at 91.6, 92.3, 68.9 and 74.7; DyGFormer, twice as wide, at 92.2, 93.9, 71.2 and 76.1. A
    context is worth 0.4 to 2.7 points; another network's is worth as much but on Mathoverflow (crosslink_contexts). A
    loss on all pairs is worth most (without it 89.1, 89.1, 64.9, 68.4), t-norm nothing, and t-shuffle costs: without it
    93.1, 94.3, 73.2 and 77.0 (crosslink_table8; one seed). The paper's sizes and networks were not tried: a seed of its
    pre-training takes some 59 days of one core (``scripts/bench_crosslink.py --sizes paper`` tells of others).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dynbench.contract import Examples, Selector
from dynbench.engine.trainer import Trainer
from dynbench.errors import ConfigError, RunError
from dynbench.graph import TemporalGraph
from dynbench.graph.collection import plain_graph
from dynbench.models.stream.base import distinct
from dynbench.models.stream.dygformer import DyGFormer
from dynbench.nn.causal_decoder import CausalDecoder
from dynbench.nn.transformer import PreNormBlock
from dynbench.ranges import Count, CountOrZero, Dropout, NonNegative, Positive, Several, Share, Width
from dynbench.sampling.mixture import grouped, in_time


class CrossLink(DyGFormer):
    """DyGFormer on pairs, and a causal decoder over solved pairs.

    Args:
        width: Of embeddings and tokens, of the time encoding, and of the node and edge features that are zero.
        channel: Width of each channel of the encoder.
        length: Tokens of a node's history in the encoder: itself and its latest events.
        patch: Tokens of a patch.
        layers: Blocks of the encoder.
        heads: Of each of them.
        pad: As of :class:`~dynbench.models.stream.dygformer.DyGFormer`.
        drop_zero_channels: Leave out the encoder's two channels that only read zeros.
        decoder: ``transformer``, or ``none`` for a network on each pair alone, which knows no context.
        sequence: Pairs of a training sequence, S; at most S - 1 solved ones can be shown.
        blocks: Of the decoder.
        decoder_heads: Of each of them.
        positions: Tokens that there are positions for.
        types: Whether the three kinds of tokens have an embedding each.
        initial: Values that the decoder starts from.
        t_norm: Whether times are shares of a network's age instead of differences.
        alpha: Size of a whole age.
        t_shuffle: Whether the scale of times is drawn anew for each training sequence.
        beta: Largest factor of that; the smallest is its inverse.
        gamma: Largest shift, as a share of alpha.
        inference_shuffle: Draw such a scale for all that is asked, too.
        multi_task: Whether all pairs of a sequence count in the loss, or the last one only.
        partner_in_group: Allow a positive and its own negative in one sequence, which gives answers away.
        dropout: Share of units dropped in training, in encoder and decoder.
        learning_rate: Of AdamW, at its peak.
        schedule: What follows the warm-up: ``linear`` decay to 0, or ``constant``.
        warm_up: Share of the steps in which the rate grows from 0.
        weight_decay: Of AdamW.
        clip: Largest norm of a gradient; null for no clipping.
        batch_size: Events of each network in a step.
        epochs: Passes over the training events.
    """

    selects = False
    studies = True
    whole_batches = True

    def __init__(
        self,
        *,
        width: Width = 128,
        channel: Width = 50,
        length: Several = 32,
        patch: Count = 1,
        layers: Count = 2,
        heads: Count = 2,
        pad: Literal["masked", "batch_max", "fixed"] = "masked",
        drop_zero_channels: bool = False,
        decoder: Literal["transformer", "none"] = "transformer",
        sequence: Count = 120,
        blocks: Count = 12,
        decoder_heads: Count = 8,
        positions: Count = 1024,
        types: bool = False,
        initial: Literal["gpt2", "torch"] = "gpt2",
        t_norm: bool = True,
        alpha: Positive = 1e6,
        t_shuffle: bool = True,
        beta: Positive = 2.0,
        gamma: Share = 0.1,
        inference_shuffle: bool = False,
        multi_task: bool = True,
        partner_in_group: bool = False,
        dropout: Dropout = 0.1,
        learning_rate: Positive = 1e-4,
        schedule: Literal["linear", "constant"] = "linear",
        warm_up: Share = 0.05,
        weight_decay: NonNegative = 0.01,
        clip: Positive | None = 1.0,
        batch_size: Count = 480,
        epochs: CountOrZero = 50,
    ):
        super().__init__(
            length=length, patch=patch, layers=layers, heads=heads, channel=channel, pad=pad, node_dim=width,
            edge_dim=width, time_dim=width, dropout=dropout, learning_rate=learning_rate, batch_size=batch_size,
            epochs=epochs,
        )  # fmt: skip
        if beta < 1:
            raise ConfigError(f"model.beta is {beta}; it is the largest factor and must be at least 1")
        if decoder != "none" and 3 * sequence > positions:
            raise ConfigError(
                f"model.sequence={sequence} pairs are {3 * sequence} tokens, and model.positions={positions} has fewer"
            )
        self.drop_zero_channels, self.decoder_kind, self.sequence = drop_zero_channels, decoder, sequence
        self.decoder_sizes: dict[str, Any] = {
            "layers": blocks, "heads": decoder_heads, "share": dropout, "positions": positions, "initial": initial,
        }  # fmt: skip
        self.types, self.t_norm, self.alpha = types, t_norm, alpha
        self.t_shuffle, self.beta, self.gamma, self.inference_shuffle = t_shuffle, beta, gamma, inference_shuffle
        self.multi_task, self.partner_in_group = multi_task, partner_in_group
        self.schedule, self.warm_up, self.weight_decay, self.clip = schedule, warm_up, weight_decay, clip
        self._beginning = None

    # ---- parameters -----------------------------------------------------------------------------------------

    def sizes_of(self, train: TemporalGraph) -> dict[str, int]:
        """Features are zero, whatever the graph has."""
        return {"node_features": 0, "edge_features": 0}

    def build(self, **sizes: int) -> None:
        """Create encoder, decoder and head."""
        super().build(**sizes)
        if self.drop_zero_channels:
            del self.node, self.edge
            inner = 2 * self.channel
            self.blocks = nn.ModuleList(PreNormBlock(inner, self.heads, self.dropout) for _ in range(self.layers))
            self.out = nn.Linear(inner, self.node_dim)
        if self.decoder_kind == "none":
            return
        del self.predictor
        self.decoder = CausalDecoder(self.node_dim, **self.decoder_sizes)
        self.answer, self.head = nn.Embedding(2, self.node_dim), nn.Linear(self.node_dim, 1)
        self.kind = nn.Embedding(3, self.node_dim) if self.types else None
        if self.decoder_sizes["initial"] == "gpt2":
            for part in filter(None, (self.answer, self.kind, self.head)):
                nn.init.normal_(part.weight, std=0.02)

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW, whose rate grows and then falls."""
        chosen = [parameter for parameter in self.parameters() if parameter.requires_grad]
        fused = not self._scaled()
        optimizer = torch.optim.AdamW(chosen, lr=self.learning_rate, weight_decay=self.weight_decay, fused=fused)
        total = self.epochs * self._mixed.steps
        rising = max(1, round(self.warm_up * total))

        def rate(step: int) -> float:
            if step < rising:
                return (step + 1) / rising
            return 1.0 if self.schedule == "constant" else max(0.0, (total - step) / max(1, total - rising))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self, optimizer: torch.optim.Optimizer, gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:  # fmt: skip
        """Clip as the trainer says, or else as the model does."""
        most = self.clip if gradient_clip_val is None else gradient_clip_val
        if most is None:
            return
        if self._scaled():
            self.clip_gradients(optimizer, gradient_clip_val=most, gradient_clip_algorithm="norm")
        else:  # Lightning does not clip for fused optimisers, which matters only where gradients are scaled
            nn.utils.clip_grad_norm_(self.parameters(), most)

    def _scaled(self) -> bool:
        """Whether gradients are scaled, as in half precision."""
        plugin = None if self._trainer is None else self.trainer.precision_plugin
        return getattr(plugin, "scaler", None) is not None

    # ---- learning -------------------------------------------------------------------------------------------

    def fit(
        self, train: TemporalGraph | Mapping[str, TemporalGraph], selector: Selector | None, trainer: Trainer
    ) -> None:
        """Train anew on one graph or several, and to the end."""
        self._fit_several(train if isinstance(train, Mapping) else {"": train}, trainer)

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """Loss of the sequences of a step."""
        pairs = self.share(*self.sequences(batch_idx))
        if len(pairs[0]) == 0:  # fewer sequences than devices
            return sum(parameter.sum() for parameter in self.parameters() if parameter.requires_grad) * 0.0
        src, dst, time, labels, beta, gamma = pairs
        rows = torch.arange(len(src))[:, None].expand_as(src)
        ends = self.encode(*(part.flatten() for part in (src, dst, time, rows)), (beta, gamma))
        labels = labels.to(ends[0].device)
        logits = self.answers_of(*(part.unflatten(0, src.shape) for part in ends), labels).float()
        if not self.multi_task:
            logits, labels = logits[:, -1:], labels[:, -1:]
        return F.binary_cross_entropy_with_logits(logits, labels.float())

    def sequences(self, step: int) -> tuple[Tensor, ...]:
        """The sequences of a step, alike on all devices and when resumed.

        Returns:
            ``(R, S)`` sources, destinations, times and labels, and ``(R,)`` beta and gamma.
        """
        events, others = self._mixed.at(step)
        generator = torch.Generator().manual_seed((int(self.seed) + 7919 * step + 1) % 2**63)
        size = self.sequence
        items = grouped(events, size, generator, self.partner_in_group)
        flat = items.flatten(1)
        event = torch.cat([events, events], 1).gather(1, flat).view(-1, size)
        other = torch.cat([others, others], 1).gather(1, flat).view(-1, size)
        labels = (items < events.shape[1]).view(-1, size)
        union = self._mixed.union
        order = in_time(union.time[event], generator)
        event, other, labels = (part.gather(1, order) for part in (event, other, labels))
        drawn = torch.rand(2, len(event), generator=generator)
        beta, gamma = self._drawn_scale(drawn) if self.t_shuffle else (torch.ones_like(drawn[0]), 0 * drawn[1])
        dst = torch.where(labels, union.dst[event], other)
        return union.src[event], dst, union.time[event], labels, beta, gamma

    def _drawn_scale(self, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """``beta`` and ``gamma`` from ``(2, R)`` uniform numbers."""
        return ((2 * uniform[0] - 1) * math.log(self.beta)).exp(), self.alpha * self.gamma * uniform[1]

    # ---- pairs and sequences --------------------------------------------------------------------------------

    def encode(
        self, src: Tensor, dst: Tensor, time: Tensor, rows: Tensor | None = None,
        scale: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """``(Q, width)`` embeddings of both ends of pairs, wherever these are.

        Args:
            src, dst, time: ``(Q,)``.
            rows: ``(Q,) long`` sequence of each pair, where each has a scale of its own.
            scale: ``(R,)`` beta and gamma of the sequences.
        """
        nodes, ends, count = torch.cat([src, dst]), time.repeat(2), self.known.num_nodes
        if rows is not None:
            nodes = nodes + rows.repeat(2) * count
        # What depends on the content is found out where the pairs are: waiting for an accelerator takes longer.
        nodes, times, back = (part.to(self.device, non_blocking=True) for part in distinct(nodes, ends))
        sequences = self._sequences(nodes % count, times)
        age = (times - self.known.origin).double()[:, None]
        since = sequences.since
        if self.t_norm:
            since = torch.where(age > 0, self.alpha * since.double() / age.clamp(min=1e-300), 0.0).float()
        if rows is not None:
            beta, gamma = (part.to(self.device)[nodes // count][:, None] for part in scale)
            since = beta * (since + gamma)
        elif self.inference_shuffle:
            since = self._scale[0] * (since + self._scale[1])
        return self.encoded(sequences._replace(since=since), *back.chunk(2))

    def _channels(self, nodes: Tensor, rows: Tensor, since: Tensor, held: Tensor) -> tuple[Tensor, ...]:
        if not self.drop_zero_channels:
            return super()._channels(nodes, rows, since, held)
        return (self.moment(self.time(since) * held[..., None]),)

    def answers_of(self, src: Tensor, dst: Tensor, labels: Tensor) -> Tensor:
        """Forecast the answer of every pair of a sequence from the pairs before it.

        Args:
            src, dst: ``(R, S, width)`` embeddings of both ends.
            labels: ``(R, S)`` true answers.

        Returns:
            ``(R, S)`` logits.
        """
        if self.decoder_kind == "none":
            return self.predictor(src.flatten(0, 1), dst.flatten(0, 1)).view(labels.shape)
        hidden = self.decoder(self._tokens(src, dst, labels)[:, :-1])
        return self.head(hidden[:, 1::3]).squeeze(2)

    def _tokens(self, src: Tensor, dst: Tensor, labels: Tensor) -> Tensor:
        """``(R, 3 S, width)`` three tokens for every pair."""
        tokens = torch.stack([src, dst, self.answer(labels.long()).to(src.dtype)], dim=2)
        return (tokens if self.kind is None else tokens + self.kind.weight).flatten(1, 2)

    # ---- being asked ----------------------------------------------------------------------------------------

    @property
    def at_once(self) -> int:
        """Pairs that are worked on at once where no gradient is needed."""
        return 500 if self.device.type == "cpu" else 8000

    def condition(self, context: TemporalGraph) -> None:
        """Know the events of a graph, without features.

        Raises:
            RunError: If the model has not been trained.
        """
        if not self.sizes:
            raise RunError("the model has not been trained, nor was a trained one loaded; run its pre-training first")
        super().condition(plain_graph(context))
        self._beginning = None
        if self.inference_shuffle:
            generator = torch.Generator().manual_seed(int(self.seed) % 2**63)
            self._scale = self._drawn_scale(torch.rand(2, 1, generator=generator).to(self.device))

    @torch.no_grad()
    def study(self, examples: Examples | None) -> None:
        """Read solved pairs once, for all questions that follow.

        Raises:
            ConfigError: If there are more than the model was trained on.
        """
        self._beginning = None
        if examples is None or self.decoder_kind == "none":
            return
        count = len(examples.queries)
        if count >= self.sequence:
            raise ConfigError(
                f"{count} solved pairs are shown to a model that was trained on sequences of {self.sequence} pairs, of "
                f"which {self.sequence - 1} are solved when the last one is asked; lower protocol.context_length, or "
                "train with a longer model.sequence"
            )
        self.eval()
        asked, graph = examples.queries, plain_graph(examples.graph)
        held, self._asked = self._asked, self.knowing(graph)
        try:
            ends = self.encode(asked.src, asked.dst, asked.time)
        finally:
            self._asked = held
        labels = examples.answers.to(self.device)[None]
        self._beginning = self.decoder.begin(self._tokens(*(part[None] for part in ends), labels)[0])

    def logits(self, src: Tensor, dst: Tensor, time: Tensor) -> Tensor:
        """``(Q,)`` logits of pairs, each as the last one of a sequence that begins with the solved pairs."""
        ends = self.encode(src, dst, time)
        if self.decoder_kind == "none":
            return self.predictor(*ends).squeeze(1)
        tokens = torch.stack(ends, dim=1)
        if self.kind is not None:
            tokens = tokens + self.kind.weight[:2]
        start = self._beginning
        hidden = self.decoder(tokens) if start is None else self.decoder.follow(tokens, start)
        return self.head(hidden[:, 1]).squeeze(1)

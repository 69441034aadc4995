"""Nodes of snapshots as event-stream models see them: the rows JODIE, DyRep, TGN and DyGFormer of ULSE's Table 1.

Paper:
    Unfolded Laplacian spectral embedding. arXiv 2025, Table 1. The models are those of Kumar et al. (KDD 2019), Trivedi
    et al. (ICLR 2019), Rossi et al. (2020) and Yu et al. (NeurIPS 2023).

Idea:
    Every link of a snapshot is an event within the snapshot's time, one after the other. A model of events learns to
    predict them, and is then shown all of them once more: a node's vector at a time is the mean over its events of the
    embeddings that it had when they came.

Equations:
    With E_t the links of snapshot t in both directions, each once, and z the embedding of an end of an event::

        y_i(t) = mean over events e in E_t that touch i of z_i(e, t)

    A node without a link at t has no events, and the vector zero.

Deviations:
    * Features of nodes are one random normal number each, as the paper's are on synthetic networks and School. Events
      have none; the paper's are random as well.
    * The width of an embedding is that of the features, 1, as in the paper: there is little room for classes.
    * The paper's time encoding has 32 cosines. There are 31 here, so that its four heads share 1 + 31 columns evenly.
    * DyGFormer's sequences are as long as its one patch, 16; the paper cuts them at 6 and fills the patch up.
    * The events of a snapshot have times of their own, in the order of the data, so that attention sees the earlier
      ones among them. The paper's are at the same time, and only memories know of those in earlier batches.

Reproduction:
    Accuracy and NMI in ULSE's Table 1 after 2 passes of 50, one run, and in brackets the paper's, ``model=jodie
    data=synthetic_1 protocol=node_clustering`` and so on, School under ``node_clustering_first``::

                   Synthetic 1                Synthetic 2                School
        JODIE      0.533 0.003 (0.512 0.007)  0.570 0.005 (0.532 0.003)  0.216 0.085 (0.194 0.089)
        DyRep      0.577 0.016 (0.497 0.013)  0.612 0.013 (0.522 0.057)  0.204 0.085 (0.194 0.085)
        TGN        0.702 0.278 (0.510 0.023)  0.637 0.000 (0.575 0.104)  0.213 0.070 (0.216 0.108)
        DyGFormer  0.550 0.029 (0.500 0.011)  0.547 0.027 (0.478 0.004)  0.204 0.094 (0.176 0.056)

    These are near chance, as the paper's are, but for TGN's on Synthetic 1, which tell more.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from dynbench.errors import ConfigError, DataError
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model
from dynbench.models.stream.base import StreamModel
from dynbench.models.stream.dygformer import DyGFormer
from dynbench.models.stream.dyrep import DyRep
from dynbench.models.stream.jodie import JODIE
from dynbench.models.stream.tgn import TGN
from dynbench.ranges import Count, Dropout, NonNegative, Positive, Several, Width

if TYPE_CHECKING:
    from dynbench.contract import Selector
    from dynbench.engine.trainer import Trainer

_SYSTEMS: dict[str, type[StreamModel]] = {"jodie": JODIE, "dyrep": DyRep, "tgn": TGN, "dygformer": DyGFormer}


class EventEmbedding(Model):
    """Learns from the links of all snapshots as events, and embeds nodes by the events they take part in.

    Args:
        system: Which model of events.
        dim: Width of the embeddings and of the random features of nodes, D.
        neighbors: Earlier events that a node attends to, drawn uniformly (DyRep, TGN).
        layers: Attention layers, or transformer blocks.
        heads: Of each of them.
        length: Tokens of a sequence, and of its patches (DyGFormer).
        channel: Width of each of the four channels (DyGFormer).
        time_dim: Cosines of the time encoding.
        dropout: Share of units dropped in training.
        learning_rate, weight_decay: Of Adam.
        batch_size: Consecutive events of a training step.
        epochs: Passes over all events.
        at_once: Consecutive events that are embedded together; memories are a batch behind.
    """

    answers = frozenset({"embed"})
    needs = frozenset({"snapshots"})
    learns = "context"

    def __init__(
        self,
        *,
        system: Literal["jodie", "dyrep", "tgn", "dygformer"],
        dim: Width = 1,
        neighbors: Count = 5,
        layers: Count = 2,
        heads: Count = 4,
        length: Several = 16,
        channel: Width = 12,
        time_dim: Width = 31,
        dropout: Dropout = 0.1,
        learning_rate: Positive = 1e-3,
        weight_decay: NonNegative = 5e-4,
        batch_size: Count = 32,
        epochs: Count = 50,
        at_once: Count = 128,
    ):
        if system in ("dyrep", "tgn") and (dim + time_dim) % heads:
            raise ConfigError(f"model.heads={heads} must divide model.dim + model.time_dim = {dim + time_dim}")
        own: dict[str, Any] = {
            "jodie": {},
            "dygformer": {"length": length, "patch": length, "channel": channel, "layers": layers, "heads": heads},
        }.get(system, {"neighbors": neighbors, "layers": layers, "heads": heads, "sampling": "uniform"})
        self.system, self.dim, self.weight_decay, self.at_once = system, dim, weight_decay, at_once
        self.settings = {
            "node_dim": dim, "edge_dim": 1, "time_dim": time_dim, "dropout": dropout, "learning_rate": learning_rate,
            "batch_size": batch_size, "epochs": epochs, **own,
        }  # fmt: skip
        self.model: StreamModel | None = None
        self._features: Tensor | None = None  # (N, D)
        self._events: TemporalGraph | None = None

    def fit(self, train: TemporalGraph, selector: Selector | None, trainer: Trainer) -> None:
        """Draw the features of nodes, and learn to predict the events."""
        if not len(train):
            raise DataError("there is no link to embed; every snapshot is empty")
        self._features = torch.randn(train.num_nodes, self.dim)
        self.model = self._new()
        self.model.fit(self.as_events(train), None, trainer)

    def condition(self, context: TemporalGraph) -> None:
        """Take in the snapshots that are embedded."""
        self._events = self.as_events(context)

    def as_events(self, graph: TemporalGraph) -> TemporalGraph:
        """The links of snapshots in both directions, each once, one after the other within the snapshot's time."""
        links = torch.stack([graph.time, graph.src, graph.dst], dim=1).cpu()
        both = torch.stack([links, links[:, [0, 2, 1]]], dim=1).flatten(0, 1)
        distinct, place = both.unique(dim=0, return_inverse=True)
        first = torch.full((len(distinct),), len(both)).scatter_reduce_(0, place, torch.arange(len(both)), "amin")
        step, src, dst = both[first.sort().values].T.contiguous()
        sizes = torch.bincount(step)
        begins = (sizes.cumsum(0) - sizes)[step]
        time = step + (torch.arange(len(step)) - begins).double() / sizes[step]
        return TemporalGraph(src, dst, time, graph.num_nodes, directed=True, node_features=self._features)

    @torch.no_grad()
    def embed(self, times: Tensor) -> Tensor:
        """``(T, N, D)`` means over the events of each node at snapshot indices; zero where it has none."""
        self.model.eval()
        events, nodes = self._events, self._events.num_nodes
        total = torch.zeros(int(times.max()) + 1, nodes, self.dim)
        self.model.condition(events.events(0, 0))
        for step, start, stop in _steps(events.time, len(total)):
            for place in range(start, stop, self.at_once):
                own = events.events(place, min(place + self.at_once, stop))
                # A model of events looks at strictly earlier ones only, and remembers none of a batch within it.
                self.model.observe(own)
                for ends, vectors in zip((own.src, own.dst), self.model.ends(own.src, own.dst, own.time), strict=True):
                    total[step].index_add_(0, ends, vectors.float().cpu())
            now = events.events(start, stop)
            total[step] /= torch.bincount(torch.cat([now.src, now.dst]), minlength=nodes).clamp(min=1)[:, None]
        return total[times.cpu().long()]

    def _new(self) -> StreamModel:
        model = _SYSTEMS[self.system](**self.settings)
        model.weight_decay = self.weight_decay
        return model

    def num_parameters(self) -> int:
        """Those of the model of events."""
        return 0 if self.model is None else self.model.num_parameters()

    def state_dict(self) -> dict[str, Any]:
        """The model of events, and the features of nodes."""
        if self.model is None:
            return {}
        return {"features": self._features} | {f"model.{name}": part for name, part in self.model.state_dict().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore both."""
        prefix = "model."
        self._features, self.model = state["features"], self._new()
        self.model.load_state_dict({n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)})


def _steps(time: Tensor, count: int) -> list[tuple[int, int, int]]:
    """Each of the first ``count`` steps that has events, and the positions at which these begin and end."""
    bounds = torch.searchsorted(time, torch.arange(count + 1)).tolist()
    return [(step, start, stop) for step, (start, stop) in enumerate(pairwise(bounds)) if stop > start]

"""What the trained models of knowledge graphs share: what they know, how they are kept, and how they are judged."""

from __future__ import annotations

from collections.abc import Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor

from dynbench.contract import Block, Queries
from dynbench.graph import TemporalGraph
from dynbench.models.base import Model

# Queries answered at once where a model is judged; bounds memory at 512 x N scores.
_JUDGED_AT_ONCE = 512
_KNOWN = ("known_src", "known_dst", "known_time", "known_relation", "known_weight")


class KnowledgeGraphModel(pl.LightningModule, Model):
    """Keeps the facts that it may know, with its parameters; a subclass implements ``build``, ``fit`` and ``rank``.

    What is known changes by :meth:`know` only, after which :meth:`forget_state` drops whatever was derived from it.
    """

    answers = frozenset({"rank"})
    needs = frozenset({"snapshots"})

    def __init__(self) -> None:
        super().__init__()
        self.num_nodes = self.num_relations = 0
        self.register_buffer("sizes", torch.zeros(3, dtype=torch.long))
        for name in _KNOWN:
            self.register_buffer(name, torch.zeros(0, dtype=torch.float if name == "known_weight" else torch.long))

    def build(self, num_nodes: int, num_relations: int) -> None:
        """Create the parameters."""
        raise NotImplementedError

    def forget_state(self) -> None:
        """Drop what was derived from the known facts or from the parameters."""

    # ---- what is known --------------------------------------------------------------------------------------

    def know(self, graph: TemporalGraph) -> None:
        """Replace the known facts."""
        relation = torch.zeros_like(graph.src) if graph.relation is None else graph.relation
        weight = torch.ones(len(graph), device=graph.src.device) if graph.weight is None else graph.weight
        for name, part in zip(_KNOWN, (graph.src, graph.dst, graph.time, relation, weight), strict=True):
            setattr(self, name, part.clone().to(self.device))
        self.sizes = torch.tensor([graph.num_nodes, graph.num_relations, graph.require_steps()], device=self.device)
        self.forget_state()

    def known_graph(self) -> TemporalGraph:
        """The known facts as a graph, on the device of the model."""
        nodes, relations, steps = self.sizes.tolist()
        src, dst, time, relation, weight = (getattr(self, name) for name in _KNOWN)
        return TemporalGraph(
            src, dst, time, nodes, relations, num_steps=steps, relation=relation, weight=weight
        )  # fmt: skip

    def observe(self, events: TemporalGraph) -> None:
        """Know what was revealed as well."""
        mine = self.known_graph()
        relation = torch.zeros_like(events.src) if events.relation is None else events.relation
        weight = torch.ones(len(events)) if events.weight is None else events.weight
        more = TemporalGraph(
            events.src, events.dst, events.time, mine.num_nodes, mine.num_relations, relation=relation, weight=weight
        )
        self.know(mine.extended(more.to(self.device)))

    # ---- choosing a state ------------------------------------------------------------------------------------

    def before_validation(self, history: TemporalGraph, validation: Sequence[Block]) -> TemporalGraph:
        """What parameters are fitted to: the facts before the ones on which they are selected."""
        starts = [int(block.queries.time.min()) for block in validation]
        return history.before(min(starts)) if starts else history

    @torch.no_grad()
    def mean_reciprocal_rank(self, validation: Sequence[Block]) -> float:
        """Unfiltered, over all queries of the blocks; ties at the mean of the best and the worst place."""
        total, count = 0.0, 0
        for block in validation:
            for queries, answers in _portions(block.queries.to(self.device), block.answers.to(self.device)):
                scores = self.rank(queries)
                if not bool(torch.isfinite(scores).all()):
                    return float("nan")
                target = scores.gather(1, answers[:, None])
                above, level = (scores > target).sum(1), (scores == target).sum(1)
                total += float((1 / (above + (level + 1) / 2)).sum())
                count += len(answers)
        return total / max(count, 1)

    # ---- keeping ---------------------------------------------------------------------------------------------

    def load_state_dict(self, state: dict[str, Tensor], strict: bool = True, assign: bool = False):
        """Restore a fitted model, creating its parameters first if it was never fitted."""
        nodes, relations, _ = state["sizes"].tolist()
        if nodes and not self.num_nodes:
            self.build(nodes, relations)
        for name in _KNOWN:
            setattr(self, name, torch.zeros_like(state[name], device=self.device))
        loaded = super().load_state_dict(state, strict=strict, assign=assign)
        self.forget_state()
        return loaded

    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


def _portions(queries: Queries, answers: Tensor):
    for start in range(0, len(answers), _JUDGED_AT_ONCE):
        part = slice(start, start + _JUDGED_AT_ONCE)
        yield queries[part], answers[part]

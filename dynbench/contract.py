"""Ask, then reveal: the words in which protocols question models.

Every protocol tells the same story. A model *learns* from some history, is *asked* about the future in blocks,
and after a block was answered its truth may be *revealed*. A protocol says the story as :class:`Episode` objects;
the runner plays them; a model sees histories and queries, never answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dynbench.graph import TemporalGraph

if TYPE_CHECKING:
    from dynbench.graph.facts import FoundAnswers, KnownAnswers


@dataclass(frozen=True, eq=False)
class Queries:
    """``Q`` questions about the future.

    Attributes:
        src: ``(Q,) long`` source nodes; empty when embeddings of all nodes are asked for.
        dst: ``(Q,) long`` destination nodes, or ``None`` when every node is a candidate (ranking).
        time: ``(Q,)`` times asked about, in the unit of the graph.
        relation: ``(Q,) long`` relation ids, or ``None``. For a ranking of sources, ``src`` is the destination and the
            relation ``r`` is asked about as its inverse, ``r + R``.
    """

    src: Tensor
    dst: Tensor | None
    time: Tensor
    relation: Tensor | None = None

    def __len__(self) -> int:
        """Number of questions."""
        return len(self.time)

    def to(self, device: torch.device | str) -> Queries:
        """The same queries on another device."""
        return Queries(*(None if part is None else part.to(device) for part in self._parts()))

    def __getitem__(self, index) -> Queries:
        """The queries chosen by a slice, index or mask."""
        return Queries(*(None if part is None else part[index] for part in self._parts()))

    def _parts(self):
        return self.src, self.dst, self.time, self.relation

    @classmethod
    def pairs(cls, src: Tensor, dst: Tensor, time: float) -> Queries:
        """Queries about pairs that share one time."""
        dtype = torch.double if isinstance(time, float) else torch.long
        return cls(src, dst, torch.full((len(src),), time, dtype=dtype))


@dataclass(frozen=True, eq=False)
class Block:
    """Queries that are answered together, with what the protocol keeps for itself.

    Attributes:
        step: Where the block stands in the story; the key of per-step results.
        queries: What the model is asked; may be none, and then the block only reveals.
        answers: ``(Q,)`` the truth: 0/1 labels, or the true targets of a ranking; ``(Q, N)`` classes of all nodes.
        support: Further labelled queries of the same step for the protocol's own read-out (a logistic regression
            on embeddings, say). Never shown to a model.
        reveal: Events that the model may observe after it answered, or ``None``.
        groups: ``(Q,) long`` kind of each query, for results by kind; the protocol's metrics know what they mean.
        filters: For a ranking, what else is known to be true, by the name of the filter. Never shown to a model.
    """

    step: int
    queries: Queries
    answers: Tensor
    support: tuple[Queries, Tensor] | None = None
    reveal: TemporalGraph | None = None
    groups: Tensor | None = None
    filters: Mapping[str, KnownAnswers | FoundAnswers] | None = None


Stream = Iterable[Block]


@dataclass(frozen=True, eq=False)
class Episode:
    """One round of learning and answering.

    Attributes:
        name: What is being forecast, for the progress bar: ``"snapshot 7 of 15"``.
        history: What the model may learn from.
        test: The blocks it is asked.
        validation: Blocks for model selection; empty where the protocol offers none.
    """

    name: str
    history: TemporalGraph
    test: Stream
    validation: Sequence[Block] = ()

"""Exact ranks among all nodes: raw and filtered, ties by name, from one score matrix that is never written to.

Filtering only takes candidates away, so the filtered counts are the raw ones less what the filtered entries
contributed, and those few are gathered. All counts are whole numbers and do not depend on the size of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from dynbench.errors import RunError
from dynbench.graph.facts import FactIndex
from dynbench.metrics.base import BlockMetric

if TYPE_CHECKING:
    from dynbench.contract import Block

Ties = Literal["realistic", "optimistic", "pessimistic"]
SIDES = ("object", "subject")
HITS = (1, 3, 10)

# Bytes are added up eight at a time as lanes of a word; a lane holds 255 at most.
_LANES, _WORDS = 8, 255


def rank_counts(scores: Tensor, targets: Tensor, filters: Sequence[tuple[Tensor, Tensor]] = ()) -> Tensor:
    """Count the candidates above each target and level with it, without and with filters.

    Args:
        scores: ``(Q, N)`` scores of all nodes; higher is better. Not changed.
        targets: ``(Q,) long`` the true nodes.
        filters: Pairs of rows and nodes, each ``(K,) long``: candidates to leave out. A target is never left out, and
            no pair may occur twice.

    Returns:
        ``(Q, 1 + F, 2) long`` counts above and level (the target itself included), first without a filter.

    Raises:
        RunError: If a score is NaN, or a target is no node.
    """
    _check(scores, targets)
    threshold = scores.gather(1, targets[:, None])
    counts = scores.new_empty((len(targets), 1 + len(filters), 2), dtype=torch.long)
    counts[:, 0] = _count(scores, threshold)
    if filters:
        counts[:, 1:] = counts[:, :1] - _count_left_out(scores, targets, threshold[:, 0], filters)
    return counts


def _count_left_out(scores: Tensor, targets: Tensor, threshold: Tensor, filters: Sequence) -> Tensor:
    """``(Q, F, 2) long`` candidates above and level that each filter leaves out; all filters in one pass."""
    queries, nodes = scores.shape
    row = torch.cat([row for row, _ in filters])
    node = torch.cat([node for _, node in filters])
    sizes = torch.tensor([len(row) for row, _ in filters], device=row.device)
    place = row * len(filters) + torch.repeat_interleave(sizes, output_size=len(row))
    value, level = scores.reshape(-1)[row * nodes + node], threshold[row]
    # Bins: above, level, and a last one for those below and for targets themselves, which stay.
    kind = torch.where(value > level, 0, torch.where((value == level) & (node != targets[row]), 1, 2))
    return torch.bincount(place * 3 + kind, minlength=3 * queries * len(filters)).view(queries, len(filters), 3)[
        ..., :2
    ]


def _check(scores: Tensor, targets: Tensor) -> None:
    nodes = scores.shape[1]
    absent = (targets < 0) | (targets >= nodes)
    if bool(absent.any()):
        bad = int(absent.nonzero()[0])
        raise RunError(
            f"query {bad} has no true answer: its target is {int(targets[bad])}, and there are {nodes} nodes"
        )
    # The largest value is NaN if any value is, and costs a tenth of looking for it. A NaN compares as "not above", so
    # that one in the target's place would pass for rank 1.
    if bool(torch.isnan(scores.amax())):
        rows = torch.isnan(scores).any(1)
        raise RunError(f"the scores of {int(rows.sum())} of {len(rows)} queries hold NaN; the model has diverged")


def _count(scores: Tensor, threshold: Tensor) -> Tensor:
    """``(Q, 2) long`` number of entries of each row above and level with the row's threshold."""
    if scores.device.type != "cpu":
        return torch.stack([(scores > threshold).sum(1), (scores == threshold).sum(1)], dim=1)
    # NumPy compares thrice as fast as torch does here, and packing its bytes into words makes the sum free.
    rows, nodes = scores.shape
    blocks = -(-nodes // (_LANES * _WORDS))
    flags = np.empty((rows, blocks * _LANES * _WORDS), dtype=bool)
    flags[:, nodes:] = False
    sums = []
    for compare in (np.greater, np.equal):
        compare(scores.numpy(), threshold.numpy(), out=flags[:, :nodes])
        lanes = flags.view(np.uint64).reshape(rows, blocks, _WORDS).sum(axis=2, dtype=np.uint64)
        sums.append(lanes.view(np.uint8).sum(axis=1, dtype=np.int64))
    return torch.from_numpy(np.stack(sums, axis=1))


def ranks(counts: Tensor, ties: Ties = "realistic") -> Tensor:
    """``(...) double`` ranks from ``(..., 2)`` counts: the mean of best and worst place, or one of these."""
    above, equal = counts.unbind(-1)
    places = {"realistic": (equal + 1) / 2, "optimistic": torch.ones_like(equal), "pessimistic": equal}
    return above + places[ties].double()


def expected(counts: Tensor, hits: Sequence[int] = HITS) -> tuple[Tensor, Tensor]:
    """What is to be expected of places drawn at random among equals, as where ties are broken by sorting or by chance.

    With ``a`` candidates above and ``e`` level, and harmonic numbers H, the mean of one over the rank is
    ``(H(a + e) - H(a)) / e``, which is more than one over the mean rank.

    Args:
        counts: ``(Q, 2)`` candidates above and level.
        hits: Places that count as hits, k.

    Returns:
        ``(Q,) double`` expected one over the rank, and ``(Q, len(hits)) double`` odds of a rank of k at most.
    """
    above, level = counts.double().unbind(-1)
    reciprocal = (torch.digamma(above + level + 1) - torch.digamma(above + 1)) / level
    odds = (torch.tensor(hits, dtype=torch.double) - above[:, None]).clamp(min=0)
    return reciprocal, torch.minimum(odds, level[:, None]) / level[:, None]


class RankMetrics(BlockMetric):
    """Accumulates the ranks of all queries; every metric is read off that table at the end.

    Args:
        filters: What else is known to be true, by the name of the filter; such candidates are left out.
        num_relations: Relations of the graph; from there on a query's relation is an inverse one.
        ties: How tied candidates share places.
        brief: Whether the overall metrics are those of all queries only: no shares of ties, nothing by side.
    """

    def __init__(
        self, filters: Mapping[str, FactIndex], num_relations: int = 1, ties: Ties = "realistic", brief: bool = False
    ):
        super().__init__("rows")
        self.brief = brief
        self._known, self.num_relations = dict(filters), num_relations
        self.filters, self.ties = ("raw", *filters), ties

    def update(self, block: Block, answer: Tensor) -> None:
        """Add the ``(Q, N)`` scores of all nodes as answers to a block's queries.

        Raises:
            RunError: If a score is NaN, or a target is no node.
        """
        asked = block.queries
        found = [index.answers(asked.src, asked.relation, asked.time) for index in self._known.values()]
        known = [tuple(part.to(answer.device) for part in pair) for pair in found]
        counts = rank_counts(answer, block.answers.to(answer.device), known).cpu()
        side, relation = asked.relation.div(self.num_relations, rounding_mode="floor"), asked.relation
        columns = [torch.full_like(relation, block.step), side, relation % self.num_relations]
        self.rows.append(torch.cat([torch.stack(columns, dim=1), counts.flatten(1)], dim=1).int())

    def compute(self) -> dict[str, float]:
        """Overall metrics as fractions, over queries: for each filter ``mrr``, ``hits@k`` and the share of ties.

        Beside them, as ``raw_mrr_expected`` and so on, those of ties broken at random, which some published
        evaluations are; those of one side only follow, as ``raw_mrr_object``.

        Raises:
            RunError: If nothing was asked.
        """
        table = self._table()
        if not len(table):
            raise RunError("no query was asked; the test part of the data is empty")
        result = self._metrics(table)
        if self.brief:
            return result
        for name, counts in zip(self.filters, self._counts(table), strict=True):
            result[f"{name}_ties"] = float((counts[:, 1] > 1).double().mean())
            reciprocal, odds = (part.mean(0).tolist() for part in expected(counts))
            result[f"{name}_mrr_expected"] = reciprocal
            result |= {f"{name}_hits@{k}_expected": share for k, share in zip(HITS, odds, strict=True)}
        return result | self._by_side(table)

    def per_step(self) -> list[dict[str, float]]:
        """One mapping per step: ``step``, ``n``, the metrics of all its queries, mean ranks, and those of each side."""
        table, result = self._table(), []
        for step in table[:, 0].unique().tolist():
            now = table[table[:, 0] == step]
            row = {"step": step, "n": len(now), **self._metrics(now)}
            for name, counts in zip(self.filters, self._counts(now), strict=True):
                row[f"{name}_mean_rank"] = float(ranks(counts, self.ties).mean())
            result.append(row | self._by_side(now))
        return result

    def _by_side(self, table: Tensor) -> dict[str, float]:
        """The metrics of each side that was asked about."""
        sides = {side: table[table[:, 1] == number] for number, side in enumerate(SIDES)}
        return {f"{n}_{side}": v for side, part in sides.items() if len(part) for n, v in self._metrics(part).items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """The table itself: a row per query, whole numbers only; ``columns`` names its columns."""
        pairs = (f"{name}_{what}" for name in self.filters for what in ("above", "level"))
        return {"ranks": self._table().numpy(), "columns": np.array(["step", "side", "relation", *pairs])}

    def _table(self) -> Tensor:
        return torch.cat(list(self.rows)) if len(self.rows) else torch.zeros(0, 3 + 2 * len(self.filters)).int()

    def _counts(self, table: Tensor) -> tuple[Tensor, ...]:
        """``(Q, 2)`` counts for each filter."""
        return table[:, 3:].unflatten(1, (len(self.filters), 2)).unbind(1)

    def _metrics(self, table: Tensor) -> dict[str, float]:
        found = {}
        for name, counts in zip(self.filters, self._counts(table), strict=True):
            rank = ranks(counts, self.ties)
            found[f"{name}_mrr"] = float((1 / rank).mean())
            found |= {f"{name}_hits@{k}": float((rank <= k).double().mean()) for k in HITS}
        return found

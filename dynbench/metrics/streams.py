"""Metrics of event streams: average precision and AUC of every batch, of every time, or of all pairs; and ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from dynbench.errors import RunError
from dynbench.metrics.base import BlockMetric, or_none, require_finite
from dynbench.metrics.grouped import ap_by_group, auc_by_group

if TYPE_CHECKING:
    from dynbench.contract import Block

Aggregate = Literal["per_batch", "per_time", "pooled"]


class StreamMetrics(BlockMetric):
    """AP and AUC as means over batches or times, each of which counts alike however small, and over all pairs.

    Args:
        aggregate: Which of them are called ``ap`` and ``auc``. Those of all pairs are told as ``pooled_…``, too.
    """

    def __init__(self, aggregate: Aggregate = "per_batch"):
        super().__init__("scores", "labels", "steps", "times")
        self.aggregate = aggregate

    def update(self, block: Block, answer: Tensor) -> None:
        """Add the ``(Q,)`` scores of a batch.

        Raises:
            RunError: If a score is NaN or infinite.
        """
        require_finite(answer, block.step)
        self.scores.append(answer.detach().double().cpu())
        self.labels.append(block.answers.cpu().to(torch.int8))
        self.steps.append(torch.full((len(answer),), block.step))
        self.times.append(block.queries.time.cpu())

    def compute(self) -> dict[str, float]:
        """``ap``, ``auc``, ``pooled_ap`` and ``pooled_auc``; groups that lack a class count in no mean.

        Raises:
            RunError: If nothing was asked, or no group has both classes.
        """
        if not len(self.scores):
            raise RunError("no pair was asked about; the part of the data has no events")
        everything = self._means("pooled")
        own = everything if self.aggregate == "pooled" else self._means(self.aggregate)
        return own | {f"pooled_{name}": value for name, value in everything.items()}

    def per_step(self) -> list[dict[str, float]]:
        """One mapping per batch: ``step``, ``n``, ``ap``, ``auc``."""
        if not len(self.scores):
            return []
        group, names = self._groups("per_batch")
        count = np.bincount(group, minlength=len(names))
        ap, auc = self._measured(group, len(names))
        rows = zip(names.tolist(), count.tolist(), ap.tolist(), auc.tolist(), strict=True)
        return [{"step": step, "n": n, "ap": or_none(p), "auc": or_none(a)} for step, n, p, a in rows]

    def _means(self, aggregate: Aggregate) -> dict[str, float]:
        group, names = self._groups(aggregate)
        values = self._measured(group, len(names))
        if any(np.isnan(part).all() for part in values):
            raise RunError(f"no group of pairs ({aggregate}) has both events and negatives, so that AUC is undefined")
        return {name: float(np.nanmean(part)) for name, part in zip(("ap", "auc"), values, strict=True)}

    def _measured(self, group: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
        scores, labels = torch.cat(list(self.scores)).numpy(), torch.cat(list(self.labels)).numpy()
        return ap_by_group(scores, labels, group, groups), auc_by_group(scores, labels, group, groups)

    def _groups(self, aggregate: Aggregate) -> tuple[np.ndarray, np.ndarray]:
        """``(Q,)`` group of each pair, and what the groups are called."""
        if aggregate == "pooled":
            return np.zeros(sum(map(len, self.scores)), dtype=np.int64), np.zeros(1)
        values = torch.cat(list(self.steps if aggregate == "per_batch" else self.times)).numpy()
        names, group = np.unique(values, return_inverse=True)
        return group, names


class ManyMetrics(BlockMetric):
    """Rank of each true destination among its negatives; ties share the mean of the best and the worst place.

    A block's ``groups`` number its events; ``answers`` is 1 for the true destination, which stands once in each group.
    """

    def __init__(self):
        super().__init__("ranks", "steps")

    def update(self, block: Block, answer: Tensor) -> None:
        """Add the ``(Q,)`` scores of a batch of events with their negatives.

        Raises:
            RunError: If a score is NaN or infinite: one in the place of a true destination would pass for rank 1.
        """
        require_finite(answer, block.step)
        score, group, true = answer.detach().cpu(), block.groups, block.answers == 1
        bar = torch.empty(int(true.sum()), dtype=score.dtype)
        bar[group[true]] = score[true]
        others, own = score[~true], group[~true]
        above, level = (
            torch.bincount(own, weights=compared.double(), minlength=len(bar))
            for compared in (others > bar[own], others == bar[own])
        )
        self.ranks.append(1 + above + level / 2)
        self.steps.append(torch.full((len(bar),), block.step))

    def compute(self) -> dict[str, float]:
        """``mrr``, ``hits@1``, ``hits@3`` and ``hits@10``, over events.

        Raises:
            RunError: If nothing was asked.
        """
        if not len(self.ranks):
            raise RunError("no event was asked about; the part of the data has none")
        return _ranking(torch.cat(list(self.ranks)))

    def per_step(self) -> list[dict[str, float]]:
        """One mapping per batch: ``step``, ``n`` and the metrics."""
        rows = zip(self.steps, self.ranks, strict=True)
        return [{"step": int(step[0]), "n": len(rank), **_ranking(rank)} for step, rank in rows if len(rank)]


def _ranking(rank: Tensor) -> dict[str, float]:
    hits = {f"hits@{k}": float((rank <= k).double().mean()) for k in (1, 3, 10)}
    return {"mrr": float((1 / rank).mean()), **hits}

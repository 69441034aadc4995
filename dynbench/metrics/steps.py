"""AUC and average precision of link forecasts, pooled over steps (micro) and averaged over them (macro)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dynbench.errors import RunError
from dynbench.metrics.base import BlockMetric, or_none, require_finite
from dynbench.metrics.grouped import ap_by_group, auc_by_group

if TYPE_CHECKING:
    from dynbench.contract import Block


def auc(scores: Tensor, labels: Tensor) -> float:
    """Area under the ROC curve: the Mann-Whitney statistic, ties counted one half.

    Args:
        scores: ``(Q,) float``, any monotone scale.
        labels: ``(Q,)`` zeros and ones; both must occur.
    """
    return float(auc_by_group(*_arrays(scores, labels), 1)[0])


def average_precision(scores: Tensor, labels: Tensor) -> float:
    """Average precision, tied scores entering together; arguments as in :func:`auc`."""
    return float(ap_by_group(*_arrays(scores, labels), 1)[0])


def _arrays(scores: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return scores.double().numpy(), labels.numpy(), np.zeros(len(labels), np.int64)


class LinkMetrics(BlockMetric):
    """Accumulates scored pairs of several steps (section 4 of the snapshot protocols).

    ``macro_*`` averages over the steps that have both classes; ``micro_*`` pools the scores of all steps, whose models
    may differ, so it also rewards scores that mean the same at all times.

    Args:
        pooled: Whether to keep all scores for the micro metrics; for all-pairs protocols they are too many. Then a step
            is measured when the next one begins, and must come in one piece.
        precise: Whether to keep scores as doubles. Those of a classifier of short vectors differ in places that single
            precision drops.
    """

    def __init__(self, pooled: bool = True, precise: bool = False):
        super().__init__("scores", "labels", "steps", "measured")
        self.pooled, self.precise = pooled, precise

    def update(self, block: Block, answer: Tensor) -> None:
        """Add the ``(Q,)`` scores of a block.

        Raises:
            RunError: If a score is NaN or infinite.
        """
        scores = answer.detach().cpu().to(torch.double if self.precise else torch.float)
        require_finite(scores, block.step)
        if not self.pooled and len(self.steps) and block.step not in self.steps[-1]:
            self._reduce()
        self.scores.append(scores)
        self.labels.append(block.answers.cpu().to(torch.int8))
        self.steps.append(torch.full((len(scores),), block.step))

    def compute(self) -> dict[str, float]:
        """Overall metrics as fractions: ``macro_auc``, ``macro_ap`` and, when pooled, ``micro_auc``, ``micro_ap``.

        Raises:
            RunError: If no step had both classes.
        """
        aucs, aps = self._table()[:, 2:].T
        if np.isnan(aucs).all():
            raise RunError("no step has both links and non-links among its test pairs; the data are too small for this")
        macro = {"macro_auc": float(np.nanmean(aucs)), "macro_ap": float(np.nanmean(aps[~np.isnan(aucs)]))}
        if not self.pooled:
            return macro
        scores, labels = torch.cat(list(self.scores)), torch.cat(list(self.labels))
        return {"micro_auc": auc(scores, labels), "micro_ap": average_precision(scores, labels), **macro}

    def arrays(self) -> dict[str, np.ndarray]:
        """When pooled, ``test_scores`` and ``test_labels`` of all steps and their ``scale``, for figures."""
        if not self.pooled:
            return {}
        scores, labels = torch.cat(list(self.scores)), torch.cat(list(self.labels))
        return {"scale": np.array(self.scale), "test_scores": scores.numpy(), "test_labels": labels.numpy()}

    def per_step(self) -> list[dict[str, float]]:
        """One mapping per step: ``step``, ``n``, ``auc``, ``ap`` (``None`` where a class is missing)."""
        return [
            {"step": int(step), "n": int(n), "auc": or_none(float(a)), "ap": or_none(float(p))}
            for step, n, a, p in self._table()
        ]

    def _reduce(self) -> None:
        """Measure what was kept and forget the scores."""
        self.measured.append(torch.from_numpy(self._kept()))
        for state in (self.scores, self.labels, self.steps):
            state.clear()

    def _table(self) -> np.ndarray:
        """``(steps, 4) double``: step, number of pairs, AUC, AP; both metrics NaN where a class is missing."""
        rows = [part.numpy() for part in self.measured]
        return np.concatenate([*rows, self._kept()])

    def _kept(self) -> np.ndarray:
        if not len(self.scores):
            return np.zeros((0, 4))
        scores, labels = (torch.cat(list(part)).numpy() for part in (self.scores, self.labels))
        # Steps keep the order in which they came.
        steps, first, group = np.unique(torch.cat(list(self.steps)).numpy(), return_index=True, return_inverse=True)
        aucs = auc_by_group(scores.astype(float), labels, group, len(steps))
        aps = ap_by_group(scores.astype(float), labels, group, len(steps))
        table = np.stack([steps, np.bincount(group), aucs, np.where(np.isnan(aucs), np.nan, aps)], axis=1)
        return table[np.argsort(first)]

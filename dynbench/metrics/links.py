"""Metrics of link forecasts that are scored in two folds: a threshold is chosen on validation and judged on test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dynbench.errors import RunError
from dynbench.metrics.base import StepMetrics
from dynbench.metrics.steps import auc, average_precision, or_none, require_finite

FOLDS = ("validation", "test")


class Confusion(NamedTuple):
    """Counts of right and wrong decisions."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are."""
        return 2 * self.tp / max(2 * self.tp + self.fp + self.fn, 1)


class Bins(NamedTuple):
    """A reliability diagram: per non-empty bin the mean probability, the share of links, and the number of pairs."""

    predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray


def confusion(probabilities: Tensor, labels: Tensor, threshold: float) -> Confusion:
    """Decisions at a threshold: a pair is called a link from the threshold upwards.

    Args:
        probabilities: ``(Q,) float``.
        labels: ``(Q,)`` zeros and ones.
        threshold: On the scale of ``probabilities``.
    """
    called, links = probabilities >= threshold, labels.bool()
    counts = ((called & links), (called & ~links), (~called & links), (~called & ~links))
    return Confusion(*(int(part.sum()) for part in counts))


def best_threshold(probabilities: Tensor, labels: Tensor) -> tuple[float, float]:
    """The threshold with the highest F1 among all distinct scores, the smallest of several, and that F1.

    Args:
        probabilities: ``(Q,) float``.
        labels: ``(Q,)`` zeros and ones with at least one 1.
    """
    scores, order = torch.sort(probabilities.double(), descending=True)
    hits = labels[order].long().cumsum(0)
    last = torch.cat([scores[1:] != scores[:-1], torch.ones(1, dtype=torch.bool)])  # of each run of equal scores
    called = torch.arange(1, len(scores) + 1)[last]
    f1 = 2 * hits[last] / (called + hits[-1])
    best = int((f1 == f1.max()).nonzero().max())
    return float(scores[last][best]), float(f1[best])


def precision_at_k(scores: Tensor, labels: Tensor, k: int | None = None) -> float:
    """Share of links among the ``k`` highest scores; scores tied at the cut count by their average.

    Args:
        scores: ``(Q,) float``.
        labels: ``(Q,)`` zeros and ones.
        k: Number of links when ``None``.
    """
    k = int(labels.sum()) if k is None else k
    cut = scores.topk(k).values[-1]
    above, tied = scores > cut, scores == cut
    share = labels[tied].double().mean()
    return float((labels[above].double().sum() + (k - int(above.sum())) * share) / k)


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 10) -> Bins:
    """Group pairs into bins of equal width on [0, 1]; the last bin includes 1.

    Args:
        probabilities: ``(Q,) float`` in [0, 1].
        labels: ``(Q,)`` zeros and ones.
        bins: Number of bins.
    """
    values, truth = probabilities.double().numpy(), labels.double().numpy()
    # The edges, not a multiplication, decide: 0.3 * 10 would fall short of 3.
    group = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], values)
    count = np.bincount(group, minlength=bins)
    filled = count > 0
    sums = (np.bincount(group, weights=part, minlength=bins)[filled] / count[filled] for part in (values, truth))
    return Bins(*sums, count[filled])


def calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 10) -> float:
    """Expected calibration error: mean distance of predicted and observed share over bins, weighted by their size."""
    predicted, observed, count = reliability(probabilities, labels, bins)
    return float((np.abs(predicted - observed) * count).sum() / count.sum())


def to_probabilities(scores: Tensor, scale: str) -> Tensor:
    """Scores on [0, 1], order kept.

    Args:
        scores: ``(Q,) float``, all scores of one fold.
        scale: ``logit`` takes the sigmoid; ``free`` stretches lowest and highest to 0 and 1.
    """
    scores = scores.double()
    if scale == "logit":
        return torch.sigmoid(scores)
    width = scores.max() - scores.min()
    return (scores - scores.min()) / width if width > 0 else torch.full_like(scores, 0.5)


class FoldMetrics(StepMetrics):
    """Accumulates scored pairs of a validation and a test fold, and measures the pooled folds.

    Args:
        bins: Bins of the calibration error.
        groups: Names of the kinds of links by their number in ``Block.groups``; each gets an average precision of its
            own, against all non-links.
    """

    full_state_update = False

    def __init__(self, bins: int = 10, groups: Mapping[int, str] | None = None):
        super().__init__(sync_on_compute=False)
        self.bins, self.groups = bins, dict(groups or {})
        self.scale = "free"
        for name in ("scores", "labels", "steps", "folds", "kinds"):
            self.add_state(name, default=[], dist_reduce_fx="cat", persistent=True)

    def update(
        self, step: int, scores: Tensor, labels: Tensor, fold: str = "test", groups: Tensor | None = None
    ) -> None:
        """Add the answers of one block.

        Args:
            step: The block's step.
            scores: ``(Q,) float``.
            labels: ``(Q,)`` zeros and ones.
            fold: ``validation`` or ``test``.
            groups: ``(Q,)`` kinds of the pairs, or ``None``.

        Raises:
            RunError: If a score is NaN or infinite.
        """
        scores, labels = scores.detach().float().cpu(), labels.cpu().to(torch.int8)
        require_finite(scores, step)
        self.scores.append(scores)
        self.labels.append(labels)
        self.steps.append(torch.tensor([step]))
        self.folds.append(torch.tensor([FOLDS.index(fold)]))
        self.kinds.append(torch.zeros_like(labels) if groups is None else groups.cpu().to(torch.int8))

    def fold(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, labels and kinds of one fold, all blocks in order.

        Raises:
            RunError: If the fold is empty or has one class only.
        """
        chosen = [i for i, fold in enumerate(self.folds) if int(fold) == FOLDS.index(name)]
        parts = [[states[i] for i in chosen] for states in (self.scores, self.labels, self.kinds)]
        if not chosen:
            raise RunError(f"no pair of the {name} fold was asked about; the data are too small for this split")
        scores, labels, kinds = (torch.cat(part) for part in parts)
        links = int(labels.sum())
        if links in (0, len(labels)):
            raise RunError(
                f"the {name} fold has {links} links and {len(labels) - links} non-links; both are needed to measure a "
                "forecast: take other windows, or a graph that is neither empty nor complete"
            )
        return scores, labels, kinds

    def compute(self) -> dict[str, float]:
        """Overall metrics.

        Of the test fold: ``auc``, ``ap``, ``f1`` with ``tp``, ``fp``, ``fn`` and ``tn`` at the ``threshold`` that is
        best on validation, ``precision_at_k`` with as many pairs as there are links, ``calibration_error``,
        ``macro_ap`` (the mean of the steps) and ``ap_<group>``. Of the validation fold: ``val_auc``, ``val_ap``,
        ``val_f1``.
        """
        scores, labels, kinds = self.fold("test")
        val_scores, val_labels, _ = self.fold("validation")
        probabilities = to_probabilities(scores, self.scale)
        threshold, val_f1 = best_threshold(to_probabilities(val_scores, self.scale), val_labels)
        counts = confusion(probabilities, labels, threshold)
        steps = [row["ap"] for row in self.per_step() if row["ap"] is not None]
        return {
            "auc": auc(scores, labels),
            "ap": average_precision(scores, labels),
            "f1": counts.f1,
            "precision_at_k": precision_at_k(scores, labels),
            "threshold": threshold,
            **{name: float(value) for name, value in counts._asdict().items()},
            "calibration_error": calibration_error(probabilities, labels, self.bins),
            "macro_ap": float(np.mean(steps)),
            **self._by_group(scores, labels, kinds),
            "val_auc": auc(val_scores, val_labels),
            "val_ap": average_precision(val_scores, val_labels),
            "val_f1": val_f1,
        }

    def _by_group(self, scores: Tensor, labels: Tensor, kinds: Tensor) -> dict[str, float]:
        found = {}
        for number, name in self.groups.items():
            kept = (labels == 0) | (kinds == number)
            if bool((labels[kept] == 1).any()):
                found[f"ap_{name}"] = average_precision(scores[kept], labels[kept])
        return found

    def per_step(self) -> list[dict[str, float]]:
        """One mapping per test block: ``step``, ``n``, ``auc``, ``ap`` (``None`` where a class is missing)."""
        rows = []
        for step, fold, scores, labels in zip(self.steps, self.folds, self.scores, self.labels, strict=True):
            if FOLDS[int(fold)] == "test":
                both = 0 < int(labels.sum()) < len(labels)
                values = (metric(scores, labels) if both else float("nan") for metric in (auc, average_precision))
                rows.append({"step": int(step), "n": len(labels), **dict(zip(("auc", "ap"), values, strict=True))})
        return [{key: or_none(value) for key, value in row.items()} for row in rows]

    def arrays(self) -> dict[str, np.ndarray]:
        """Scores and labels of both folds, for figures: ``<fold>_scores``, ``<fold>_labels``, and their ``scale``."""
        kept: dict[str, np.ndarray] = {"scale": np.array(self.scale)}
        for name in FOLDS:
            scores, labels, _ = self.fold(name)
            kept |= {f"{name}_scores": scores.numpy(), f"{name}_labels": labels.numpy()}
        return kept

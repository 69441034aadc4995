"""Metrics of link forecasts that are scored in two folds: a threshold is chosen on validation and judged on test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dynbench.errors import RunError
from dynbench.metrics.base import BlockMetric, or_none, require_finite
from dynbench.metrics.grouped import ap_by_group, auc_by_group
from dynbench.metrics.steps import auc, average_precision

if TYPE_CHECKING:
    from dynbench.contract import Block

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


class PooledMetrics(BlockMetric):
    """AUC and average precision over all pairs of all blocks."""

    def __init__(self):
        super().__init__("scores", "labels", "steps")

    def update(self, block: Block, answer: Tensor) -> None:
        """Add the ``(Q,)`` scores of a block; ones that are no numbers make the metrics NaN."""
        self.scores.append(answer.detach().float().cpu())
        self.labels.append(block.answers.cpu().to(torch.int8))
        self.steps.append(torch.full((len(answer),), block.step))

    def compute(self) -> dict[str, float]:
        """``auc`` and ``ap``."""
        scores, labels = torch.cat(list(self.scores)), torch.cat(list(self.labels))
        if not bool(scores.isfinite().all()):
            return {"auc": float("nan"), "ap": float("nan")}
        return {"auc": auc(scores, labels), "ap": average_precision(scores, labels)}

    def per_step(self) -> list[dict[str, float]]:
        """Nothing: pairs are measured together."""
        return []


class PairMetrics(PooledMetrics):
    """AUC and average precision over all pairs of all blocks, of a model that has not diverged."""

    def update(self, block: Block, answer: Tensor) -> None:
        """Add the ``(Q,)`` scores of a block.

        Raises:
            RunError: If a score is NaN or infinite.
        """
        require_finite(answer, block.step)
        super().update(block, answer)


class FoldMetrics(BlockMetric):
    """Accumulates scored pairs of a validation and a test fold, and measures the pooled folds.

    Args:
        bins: Bins of the calibration error.
        groups: Names of the kinds of links by their number in ``Block.groups``; each gets an average precision of its
            own, against all non-links.
    """

    def __init__(self, bins: int = 10, groups: Mapping[int, str] | None = None):
        super().__init__("scores", "labels", "steps", "folds", "kinds")
        self.bins, self.groups = bins, dict(groups or {})

    def update(self, block: Block, answer: Tensor) -> None:
        """Add the ``(Q,)`` scores of a block, to the fold that it belongs to.

        Raises:
            RunError: If a score is NaN or infinite.
        """
        scores, labels = answer.detach().float().cpu(), block.answers.cpu().to(torch.int8)
        require_finite(scores, block.step)
        self.scores.append(scores)
        self.labels.append(labels)
        self.steps.append(torch.full((len(labels),), block.step))
        self.folds.append(torch.full_like(labels, FOLDS.index(block.fold)))
        self.kinds.append(torch.zeros_like(labels) if block.groups is None else block.groups.cpu().to(torch.int8))

    def fold(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, labels and kinds of one fold, all blocks in order.

        Raises:
            RunError: If the fold is empty or has one class only.
        """
        folds = torch.cat([*self.folds, torch.zeros(0, dtype=torch.int8)])
        chosen = folds == FOLDS.index(name)
        if not bool(chosen.any()):
            raise RunError(f"no pair of the {name} fold was asked about; the data are too small for this split")
        scores, labels, kinds = (torch.cat(list(part))[chosen] for part in (self.scores, self.labels, self.kinds))
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
        scores, labels, _ = self.fold("test")
        chosen = torch.cat(list(self.folds)) == FOLDS.index("test")
        steps, group = np.unique(torch.cat(list(self.steps))[chosen].numpy(), return_inverse=True)
        pairs = (scores.double().numpy(), labels.numpy(), group, len(steps))
        aucs, aps, counts = auc_by_group(*pairs), ap_by_group(*pairs), np.bincount(group)
        aps[np.isnan(aucs)] = np.nan
        rows = zip(steps.tolist(), counts.tolist(), aucs.tolist(), aps.tolist(), strict=True)
        return [{"step": step, "n": n, "auc": or_none(a), "ap": or_none(p)} for step, n, a, p in rows]

    def arrays(self) -> dict[str, np.ndarray]:
        """Scores and labels of both folds, for figures: ``<fold>_scores``, ``<fold>_labels``, and their ``scale``."""
        kept: dict[str, np.ndarray] = {"scale": np.array(self.scale)}
        for name in FOLDS:
            scores, labels, _ = self.fold(name)
            kept |= {f"{name}_scores": scores.numpy(), f"{name}_labels": labels.numpy()}
        return kept

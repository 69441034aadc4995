"""AUC and average precision of link forecasts, pooled over steps (micro) and averaged over them (macro)."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from dynbench.errors import RunError
from dynbench.metrics.base import StepMetrics


def auc(scores: Tensor, labels: Tensor) -> float:
    """Area under the ROC curve: the Mann-Whitney statistic, ties counted one half.

    Args:
        scores: ``(Q,) float``, any monotone scale.
        labels: ``(Q,)`` zeros and ones; both must occur.
    """
    return float(roc_auc_score(labels.numpy(), scores.double().numpy()))


def average_precision(scores: Tensor, labels: Tensor) -> float:
    """Average precision, tied scores entering together; arguments as in :func:`auc`."""
    return float(average_precision_score(labels.numpy(), scores.double().numpy()))


class LinkMetrics(StepMetrics):
    """Accumulates scored pairs of several steps (section 4 of the snapshot protocols).

    ``macro_*`` averages over the steps that have both classes; ``micro_*`` pools the scores of all steps, whose models
    may differ, so it also rewards scores that mean the same at all times.

    Args:
        pooled: Whether to keep all scores for the micro metrics; for all-pairs protocols they are too many.
    """

    full_state_update = False

    def __init__(self, pooled: bool = True):
        super().__init__(sync_on_compute=False)
        self.pooled = pooled
        for name in ("scores", "labels", "steps", "counts", "aucs", "aps"):
            self.add_state(name, default=[], dist_reduce_fx="cat", persistent=True)

    def update(self, step: int, scores: Tensor, labels: Tensor) -> None:
        """Add the answers of one block.

        Args:
            step: The block's step; blocks of one step must come as one.
            scores: ``(Q,) float``.
            labels: ``(Q,)`` zeros and ones.

        Raises:
            RunError: If a score is NaN or infinite.
        """
        scores, labels = scores.detach().float().cpu(), labels.cpu().to(torch.int8)
        require_finite(scores, step)
        positives = int(labels.sum())
        both = 0 < positives < len(labels)
        self.steps.append(torch.tensor([step]))
        self.counts.append(torch.tensor([len(labels)]))
        self.aucs.append(torch.tensor([auc(scores, labels) if both else float("nan")], dtype=torch.double))
        self.aps.append(torch.tensor([average_precision(scores, labels) if both else float("nan")], dtype=torch.double))
        if self.pooled:
            self.scores.append(scores)
            self.labels.append(labels)

    def compute(self) -> dict[str, float]:
        """Overall metrics as fractions: ``macro_auc``, ``macro_ap`` and, when pooled, ``micro_auc``, ``micro_ap``.

        Raises:
            RunError: If no step had both classes.
        """
        aucs, aps = (np.array([float(v) for v in values]) for values in (self.aucs, self.aps))
        if np.isnan(aucs).all():
            raise RunError("no step has both links and non-links among its test pairs; the data are too small for this")
        macro = {"macro_auc": float(np.nanmean(aucs)), "macro_ap": float(np.nanmean(aps))}
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
        rows = zip(self.steps, self.counts, self.aucs, self.aps, strict=True)
        return [
            {"step": int(step), "n": int(n), "auc": or_none(float(a)), "ap": or_none(float(p))}
            for step, n, a, p in rows
        ]


def require_finite(scores: Tensor, step: int) -> None:
    """Refuse scores that are no numbers.

    Raises:
        RunError: If a score is NaN or infinite.
    """
    if not bool(torch.isfinite(scores).all()):
        bad = int((~torch.isfinite(scores)).sum())
        raise RunError(f"{bad} of {len(scores)} scores of step {step} are NaN or infinite; the model has diverged")


def or_none(value: float) -> float | None:
    """``None`` for NaN, which JSON cannot hold."""
    return None if np.isnan(value) else value

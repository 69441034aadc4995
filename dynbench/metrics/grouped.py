"""AUC and average precision of many groups of scored pairs at once: blocks of a stream, steps of a forecast.

A call of scikit-learn per block of 200 events costs more than answering it; here all groups share one sort.
"""

from __future__ import annotations

import numpy as np


def auc_by_group(scores: np.ndarray, labels: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Area under the ROC curve of every group: the Mann-Whitney statistic, ties counted one half.

    Args:
        scores: ``(Q,) float``, any monotone scale.
        labels: ``(Q,)`` zeros and ones.
        group: ``(Q,) int`` group of each pair, below ``groups``.
        groups: How many there are.

    Returns:
        ``(groups,)``, NaN where a class is missing.
    """
    order = np.lexsort((scores, group))
    score, label, own = scores[order], labels[order] == 1, group[order]
    first = _run_starts(score, own)
    size = np.diff(np.append(first, len(score)))
    # Mean place of each run of ties, counted from 1 over all groups; what precedes a group is taken off below.
    place = np.repeat(first + (size + 1) / 2, size)
    total = np.bincount(own, minlength=groups)
    links = np.bincount(own, weights=label, minlength=groups)
    before = np.cumsum(total) - total
    sums = np.bincount(own, weights=label * (place - before[own]), minlength=groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (sums - links * (links + 1) / 2) / (links * (total - links))


def ap_by_group(scores: np.ndarray, labels: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Average precision of every group, tied scores entering together; arguments as in :func:`auc_by_group`.

    Returns:
        ``(groups,)``, NaN where there is no link.
    """
    order = np.lexsort((-scores, group))
    score, label, own = scores[order], labels[order] == 1, group[order]
    first = _run_starts(score, own)
    hits = np.add.reduceat(label.astype(np.int64), first) if len(first) else np.zeros(0, np.int64)
    run_group = own[first]
    total = np.bincount(own, minlength=groups)
    links = np.bincount(own, weights=label, minlength=groups)
    taken = np.append(first[1:], len(score)) - (np.cumsum(total) - total)[run_group]
    found = np.cumsum(hits) - (np.cumsum(links) - links)[run_group]
    sums = np.bincount(run_group, weights=hits * found / taken, minlength=groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / links


def _run_starts(score: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Where runs of equal scores of one group begin, in sorted order."""
    if not len(score):
        return np.zeros(0, np.int64)
    change = (score[1:] != score[:-1]) | (own[1:] != own[:-1])
    return np.concatenate([[0], np.flatnonzero(change) + 1])

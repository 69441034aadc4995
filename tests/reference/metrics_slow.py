"""Ranking metrics by definition, pair by pair and threshold by threshold."""

from __future__ import annotations


def auc(scores: list[float], labels: list[int]) -> float:
    """The share of (positive, negative) pairs in the right order, ties counted one half."""
    positives = [s for s, label in zip(scores, labels, strict=True) if label]
    negatives = [s for s, label in zip(scores, labels, strict=True) if not label]
    won = sum(1.0 if p > n else 0.5 if p == n else 0.0 for p in positives for n in negatives)
    return won / (len(positives) * len(negatives))


def average_precision(scores: list[float], labels: list[int]) -> float:
    """Precision at every distinct threshold, weighted by the recall that it adds."""
    total, recall, area = sum(labels), 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = [label for s, label in zip(scores, labels, strict=True) if s >= threshold]
        now = sum(taken) / total
        area += (now - recall) * sum(taken) / len(taken)
        recall = now
    return area

"""Curves of link forecasts from the scores that a run kept: of a test fold and, where there is one, of validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dynbench.errors import DataError
from dynbench.metrics import links, steps

# A curve with more points than pixels is thinned.
_MOST_POINTS = 400


@dataclass(frozen=True)
class Fold:
    """Probabilities, best first, and ``(Q,)`` labels of one fold."""

    probabilities: np.ndarray
    labels: np.ndarray


def read_folds(path: str | Path) -> dict[str, Fold]:
    """The test fold of the scores that a run kept, and the validation fold if the protocol has one.

    Raises:
        DataError: If there are none, or the file is not such a one.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            folds = {}
            for name in links.FOLDS if "validation_scores" in kept else ("test",):
                scores, labels = torch.from_numpy(kept[f"{name}_scores"]), kept[f"{name}_labels"]
                values = links.to_probabilities(scores, str(kept["scale"])).numpy()
                order = np.argsort(-values, kind="stable")
                folds[name] = Fold(values[order], labels[order].astype(np.int64))
            return folds
    except FileNotFoundError as error:
        raise DataError(f"{path}: this run kept no scores; run it again with force=true") from error
    except Exception as error:  # numpy has a dozen words for a file that is damaged or of another kind
        raise DataError(f"{path} does not hold the scores of a run ({error})") from error


def points(folds: Mapping[str, Fold], bins: int = 10) -> dict[str, Any]:
    """All that the figures show, as plain lists.

    A threshold is chosen on validation; without one there is no ``threshold`` and no ``confusion``.

    Args:
        folds: From :func:`read_folds`.
        bins: Bins of the reliability diagram; the histogram has three times as many.
    """
    test = folds["test"]
    found = links.reliability(*_tensors(test), bins)
    edges = np.linspace(0, 1, 3 * bins + 1)
    result = {
        **(_decided(folds["validation"], test) if "validation" in folds else {}),
        "roc": {name: _roc(fold) for name, fold in folds.items()},
        "precision_recall": {name: _precision_recall(fold) for name, fold in folds.items()},
        "scores": {
            "edges": edges,
            **{
                name: np.histogram(test.probabilities[test.labels == label], edges)[0]
                for label, name in ((0, "non_links"), (1, "links"))
            },
        },
        "calibration": {"predicted": found.predicted, "observed": found.observed, "count": found.count},
        "thresholds": _by_threshold(test),
        "precision_at_k": _precision_at_k(test),
        "gain": _gain(test),
    }
    return _plain(result)


def over_seeds(folds: Sequence[Fold]) -> dict[str, Any]:
    """Mean curves of several runs of one model and their spread, as plain lists.

    Runs have thresholds of their own: true positive rates are averaged at equal false positive rates, precisions at
    equal recalls, where the precision is that of the shortest list which reaches the recall.

    Args:
        folds: The test fold of each run.

    Returns:
        ``roc`` and ``precision_recall`` with ``x``, ``mean`` and ``sd`` (the sample's; zeros for one run), and ``auc``
        and ``ap``, the score of each run.
    """
    grid = np.linspace(0, 1, 201)
    rises, precisions = [], []
    for fold in folds:
        roc, found = _roc(fold), _precision_recall(fold)
        rates, last = np.unique(roc["false_positive_rate"][::-1], return_index=True)
        rises.append(np.interp(grid, rates, roc["true_positive_rate"][::-1][last]))
        # A list that reaches no link has no precision to speak of.
        place = np.searchsorted(found["recall"], np.maximum(grid, 2e-12) - 1e-12).clip(max=len(found["recall"]) - 1)
        precisions.append(found["precision"][place])
    result = {
        "roc": {"x": grid, **_mean_and_sd(rises)},
        "precision_recall": {"x": grid, **_mean_and_sd(precisions)},
        "auc": np.array([steps.auc(*_tensors(fold)) for fold in folds]),
        "ap": np.array([steps.average_precision(*_tensors(fold)) for fold in folds]),
    }
    return _plain(result)


def _mean_and_sd(values: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    table = np.stack(values)
    return {"mean": table.mean(0), "sd": table.std(0, ddof=1) if len(table) > 1 else np.zeros(table.shape[1])}


def _decided(validation: Fold, test: Fold) -> dict[str, Any]:
    threshold, _ = links.best_threshold(*_tensors(validation))
    counts = links.confusion(*_tensors(test), threshold)
    return {"threshold": threshold, "confusion": [[counts.tn, counts.fp], [counts.fn, counts.tp]]}


def _tensors(fold: Fold) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(fold.probabilities), torch.from_numpy(fold.labels)


def _ends(fold: Fold) -> np.ndarray:
    """Last position of every run of equal probabilities, thinned."""
    last = np.flatnonzero(np.append(np.diff(fold.probabilities) != 0, True))
    return last if len(last) <= _MOST_POINTS else last[np.linspace(0, len(last) - 1, _MOST_POINTS).round().astype(int)]


def _roc(fold: Fold) -> dict[str, np.ndarray]:
    ends, hits = _ends(fold), np.cumsum(fold.labels)
    false = (np.arange(1, len(hits) + 1) - hits)[ends] / max(len(hits) - hits[-1], 1)
    return {"false_positive_rate": np.append(0, false), "true_positive_rate": np.append(0, hits[ends] / hits[-1])}


def _precision_recall(fold: Fold) -> dict[str, np.ndarray]:
    ends, hits = _ends(fold), np.cumsum(fold.labels)
    return {"recall": hits[ends] / hits[-1], "precision": hits[ends] / (ends + 1)}


def _by_threshold(fold: Fold) -> dict[str, np.ndarray]:
    grid = np.linspace(0, 1, 101)
    called = np.searchsorted(-fold.probabilities, -grid, side="right")  # at or above each threshold
    hits = np.append(0, np.cumsum(fold.labels))[called]
    precision, recall = hits / np.maximum(called, 1), hits / fold.labels.sum()
    f1 = 2 * hits / (called + fold.labels.sum())
    return {"threshold": grid, "precision": precision, "recall": recall, "f1": f1}


def _precision_at_k(fold: Fold) -> dict[str, np.ndarray]:
    k = np.unique(np.linspace(1, len(fold.labels), _MOST_POINTS).round().astype(int))
    return {"k": k, "precision": np.cumsum(_expected(fold))[k - 1] / k}


def _gain(fold: Fold) -> dict[str, np.ndarray]:
    k = np.unique(np.linspace(0, len(fold.labels), _MOST_POINTS).round().astype(int))
    return {
        "asked": k / len(fold.labels),
        "found": np.append(0, np.cumsum(_expected(fold)))[k] / fold.labels.sum(),
        "ideal": np.minimum(k / fold.labels.sum(), 1),
    }


def _expected(fold: Fold) -> np.ndarray:
    """Labels in order of the scores; within a tie each counts as the tie's mean."""
    group = np.append(0, np.cumsum(np.diff(fold.probabilities) != 0))
    return (np.bincount(group, weights=fold.labels) / np.bincount(group))[group]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return np.round(value, 6).tolist() if isinstance(value, np.ndarray) else value

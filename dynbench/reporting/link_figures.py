"""Figures of link forecasts with a validation and a test fold, for any record whose scores were kept.

The points of every curve are computed by :func:`points`, which needs no plotting library, and drawn by :func:`draw`;
both end up in files, so that a figure can be read as numbers, too. matplotlib is the optional extra ``plots``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dynbench.errors import ConfigError, DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A curve with more points than pixels is thinned.
_MOST_POINTS = 400
_FOLDS = (("validation", "C0"), ("test", "C1"))


@dataclass(frozen=True)
class Fold:
    """Probabilities, best first, and ``(Q,)`` labels of one fold."""

    probabilities: np.ndarray
    labels: np.ndarray


def read_folds(path: str | Path) -> dict[str, Fold]:
    """Both folds of the scores that a run kept.

    Raises:
        DataError: If there are none, or the file is not such a one.
    """
    import torch

    from dynbench.metrics.links import FOLDS, to_probabilities

    try:
        with np.load(path, allow_pickle=False) as kept:
            folds = {}
            for name in FOLDS:
                scores, labels = torch.from_numpy(kept[f"{name}_scores"]), kept[f"{name}_labels"]
                values = to_probabilities(scores, str(kept["scale"])).numpy()
                order = np.argsort(-values, kind="stable")
                folds[name] = Fold(values[order], labels[order].astype(np.int64))
            return folds
    except FileNotFoundError as error:
        raise DataError(f"{path}: this run kept no scores; run it again with force=true") from error
    except (KeyError, ValueError, OSError) as error:
        raise DataError(f"{path} does not hold the scores of a run ({error})") from error


# ---- numbers ------------------------------------------------------------------------------------------------


def points(folds: Mapping[str, Fold], bins: int = 10) -> dict[str, Any]:
    """All that the figures show, as plain lists.

    Args:
        folds: From :func:`read_folds`.
        bins: Bins of the reliability diagram; the histogram has three times as many.
    """
    import torch

    from dynbench.metrics import links

    val, test = folds["validation"], folds["test"]
    threshold, _ = links.best_threshold(torch.from_numpy(val.probabilities), torch.from_numpy(val.labels))
    counts = links.confusion(torch.from_numpy(test.probabilities), torch.from_numpy(test.labels), threshold)
    found = links.reliability(torch.from_numpy(test.probabilities), torch.from_numpy(test.labels), bins)
    edges = np.linspace(0, 1, 3 * bins + 1)
    result = {
        "threshold": threshold,
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
        "confusion": [[counts.tn, counts.fp], [counts.fn, counts.tp]],
    }
    return _plain(result)


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


# ---- drawing ------------------------------------------------------------------------------------------------


def _draw_roc(axes: Axes, data: dict) -> None:
    for name, color in _FOLDS:
        curve = data["roc"][name]
        axes.plot(curve["false_positive_rate"], curve["true_positive_rate"], color, label=name)
    axes.plot([0, 1], [0, 1], "k:", label="chance")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.legend()


def _draw_precision_recall(axes: Axes, data: dict) -> None:
    for name, color in _FOLDS:
        curve = data["precision_recall"][name]
        axes.plot(curve["recall"], curve["precision"], color, label=name)
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    axes.legend()


def _draw_scores(axes: Axes, data: dict) -> None:
    for name in ("non_links", "links"):
        axes.stairs(data["scores"][name], data["scores"]["edges"], fill=True, alpha=0.5, label=name.replace("_", "-"))
    _mark(axes, data)
    axes.set(xlabel="score", ylabel="pairs of the test fold")
    axes.legend()


def _draw_calibration(axes: Axes, data: dict) -> None:
    curve = data["calibration"]
    axes.plot([0, 1], [0, 1], "k:", label="perfect")
    axes.plot(curve["predicted"], curve["observed"], "C1o-", label="test")
    axes.set(xlabel="mean score of a bin", ylabel="share of links")
    axes.legend()


def _draw_thresholds(axes: Axes, data: dict) -> None:
    for name in ("precision", "recall", "f1"):
        axes.plot(data["thresholds"]["threshold"], data["thresholds"][name], label=name)
    _mark(axes, data)
    axes.set(xlabel="threshold", ylabel="test fold", ylim=(0, 1.02))
    axes.legend()


def _draw_precision_at_k(axes: Axes, data: dict) -> None:
    axes.plot(data["precision_at_k"]["k"], data["precision_at_k"]["precision"], "C1")
    axes.set(xlabel="K", ylabel="precision of the K highest scores", ylim=(0, 1.02))


def _draw_gain(axes: Axes, data: dict) -> None:
    gain = data["gain"]
    axes.plot(gain["asked"], gain["found"], "C1", label="test")
    axes.plot(gain["asked"], gain["ideal"], "k--", label="ideal")
    axes.plot([0, 1], [0, 1], "k:", label="random")
    axes.set(xlabel="share of pairs, best first", ylabel="share of links found")
    axes.legend()


def _draw_confusion(axes: Axes, data: dict) -> None:
    _matrix(axes, np.array(data["confusion"]), "{:,.0f}")


def _draw_confusion_shares(axes: Axes, data: dict) -> None:
    counts = np.array(data["confusion"], dtype=float)
    _matrix(axes, counts / counts.sum(1, keepdims=True), "{:.3f}")


def _mark(axes: Axes, data: dict) -> None:
    axes.axvline(data["threshold"], color="k", ls="--", lw=1, label=f"threshold {data['threshold']:.3f}")


def _matrix(axes: Axes, values: np.ndarray, form: str) -> None:
    axes.imshow(values, cmap="Blues", vmin=0)
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value > 0.6 * values.max() else "black"
        axes.text(column, row, form.format(value), ha="center", va="center", color=color)
    names = ["non-link", "link"]
    axes.set(xlabel="called", ylabel="is", xticks=[0, 1], yticks=[0, 1], xticklabels=names, yticklabels=names)


# In the order of the NGLP paper's Figures 3 to 11.
FIGURES: dict[str, Callable[[Axes, dict], None]] = {
    "roc": _draw_roc,
    "precision_recall": _draw_precision_recall,
    "scores": _draw_scores,
    "calibration": _draw_calibration,
    "thresholds": _draw_thresholds,
    "precision_at_k": _draw_precision_at_k,
    "gain": _draw_gain,
    "confusion": _draw_confusion,
    "confusion_shares": _draw_confusion_shares,
}


def draw(
    scores: str | Path, folder: str | Path, title: str, names: Mapping[str, str] | None = None,
    formats: Sequence[str] = ("png",),
) -> list[Path]:  # fmt: skip
    """Draw the figures of one run.

    Args:
        scores: Where the run kept its scores.
        folder: Where to write.
        title: Above every figure.
        names: File names without ending, by kind of figure; all kinds under their own names when ``None``.
        formats: Endings: ``png``, ``svg``, ``pdf``.

    Returns:
        What was written: the figures and their numbers, ``points.json``.

    Raises:
        ConfigError: If matplotlib is missing or a kind of figure is unknown.
        DataError: If the scores are missing.
    """
    names = dict(names) if names is not None else {kind: kind for kind in FIGURES}
    if unknown := [kind for kind in names if kind not in FIGURES]:
        raise ConfigError(f"there is no figure '{unknown[0]}' of link forecasts; choose among {', '.join(FIGURES)}")
    data = points(read_folds(scores))
    pyplot = _pyplot()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "points.json"]
    written[0].write_text(json.dumps(data) + "\n", encoding="utf-8")
    for kind, name in names.items():
        figure, axes = pyplot.subplots(figsize=(4.8, 3.6), layout="constrained")
        FIGURES[kind](axes, data)
        axes.set_title(title, fontsize=9)
        for ending in formats:
            written.append(folder / f"{name}.{ending}")
            # No date and no version: the same numbers give the same file.
            metadata = {"Software": None} if ending == "png" else {"Date": None} if ending == "svg" else {}
            figure.savefig(written[-1], dpi=120, metadata=metadata)
        pyplot.close(figure)
    return written


def _pyplot():
    try:
        import matplotlib
    except ImportError as error:
        raise ConfigError("figures need matplotlib; install it with pip install 'dynbench[plots]'") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot

"""Figures of link forecasts, for any record whose scores were kept.

A protocol with a validation fold gives all of them; without one there is no threshold, and so no confusion. The points
of every curve come from :mod:`dynbench.metrics.curves`, are drawn by :func:`draw`, and are written beside the figures,
which can be read as numbers, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dynbench.errors import ConfigError
from dynbench.reporting.plotting import pyplot, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FOLDS = (("validation", "C0"), ("test", "C1"))


# ---- drawing ------------------------------------------------------------------------------------------------


def _draw_roc(axes: Axes, data: dict) -> None:
    for name, color in _folds(data):
        curve = data["roc"][name]
        axes.plot(curve["false_positive_rate"], curve["true_positive_rate"], color, label=name)
    axes.plot([0, 1], [0, 1], "k:", label="chance")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.legend()


def _draw_precision_recall(axes: Axes, data: dict) -> None:
    for name, color in _folds(data):
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


def _folds(data: dict) -> list[tuple[str, str]]:
    return [(name, color) for name, color in _FOLDS if name in data["roc"]]


def _mark(axes: Axes, data: dict) -> None:
    if "threshold" in data:
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
_WITH_A_THRESHOLD = ("confusion", "confusion_shares")


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
    from dynbench.metrics.curves import points, read_folds

    data = points(read_folds(scores))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "points.json"]
    written[0].write_text(json.dumps(data) + "\n", encoding="utf-8")
    for kind in _WITH_A_THRESHOLD if "threshold" not in data else ():
        names.pop(kind, None)
    for kind, name in names.items():
        figure, axes = pyplot().subplots(figsize=(4.8, 3.6), layout="constrained")
        FIGURES[kind](axes, data)
        axes.set_title(title, fontsize=9)
        written += save(figure, folder, name, formats)
    return written

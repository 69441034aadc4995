"""ROC and precision-recall curves of several models in one picture: means over seeds, their spread, and the scores."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynbench.errors import ConfigError
from dynbench.reporting.plotting import pyplot, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of each curve: its score, how that is called, the axes, and what telling nothing apart looks like.
_PANELS = {
    "roc": ("auc", "AUC", "false positive rate", "true positive rate"),
    "precision_recall": ("ap", "AP", "recall", "precision"),
}


def draw(
    scores: Mapping[str, Sequence[str | Path]], folder: str | Path, title: str,
    names: Mapping[str, str] | None = None, formats: Sequence[str] = ("png", "pdf"),
) -> list[Path]:  # fmt: skip
    """Draw the curves of several models.

    Args:
        scores: By label of a model, where its runs kept their scores, one for each seed.
        folder: Where to write.
        title: Above the figure.
        names: ``{"curves": NAME}``, the file name without ending.
        formats: Endings.

    Returns:
        What was written: the figure, and its numbers beside it.

    Raises:
        ConfigError: If there is nothing to draw, or matplotlib is missing.
        DataError: If scores are missing.
    """
    from dynbench.metrics.curves import over_seeds, read_folds

    if not scores:
        raise ConfigError("there is no run whose curves could be drawn")
    name = (names or {}).get("curves", "curves")
    folds = {label: [read_folds(path)["test"] for path in paths] for label, paths in scores.items()}
    data = {label: over_seeds(own) for label, own in folds.items()}
    share = statistics.fmean(float(fold.labels.mean()) for own in folds.values() for fold in own)
    figure, panels = pyplot().subplots(1, 2, figsize=(7.2, 3.4), layout="constrained")
    figure.suptitle(title)
    for axes, kind in zip(panels, _PANELS, strict=True):
        _draw(axes, kind, data)
    panels[0].plot([0, 1], [0, 1], "k:", lw=0.8)
    panels[1].axhline(share, color="k", ls=":", lw=0.8)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = folder / f"{name}.json"
    numbers.write_text(json.dumps(data) + "\n", encoding="utf-8")
    return [*save(figure, folder, name, formats), numbers]


def _draw(axes: Axes, kind: str, data: Mapping[str, Any]) -> None:
    """A panel: the best model comes first in the legend."""
    score, called, across, up = _PANELS[kind]
    order = sorted(data, key=lambda label: -statistics.fmean(data[label][score]))
    colours = {label: f"C{number % 10}" for number, label in enumerate(data)}
    for label in order:
        x, mean, sd = (data[label][kind][part] for part in ("x", "mean", "sd"))
        axes.plot(x, mean, color=colours[label], label=f"{label}, {called} {told(data[label][score])}")
        if any(sd):
            low, high = ([max(0, min(1, m + sign * s)) for m, s in zip(mean, sd, strict=True)] for sign in (-1, 1))
            axes.fill_between(x, low, high, color=colours[label], alpha=0.2, lw=0)
    axes.set(xlabel=across, ylabel=up, xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="lower right" if kind == "roc" else "lower left")


def told(values: Sequence[float]) -> str:
    """A score over seeds in percent.

    >>> told([0.91, 0.93]), told([0.5])
    ('92.00 ± 1.41', '50.00')
    """
    mean = f"{100 * statistics.fmean(values):.2f}"
    return f"{mean} ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else mean

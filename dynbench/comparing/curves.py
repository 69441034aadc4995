"""Several models in one picture: a metric step by step, the mean over seeds with its spread, scores in the legend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dynbench.comparing.matrix import Matrix
from dynbench.config.compose import choices, read_choice
from dynbench.reporting.plotting import pyplot, save
from dynbench.reporting.words import metric_words

# More lines than this cannot be told apart.
MOST = 8


def draw(matrix: Matrix, folder: Path, formats: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Draw one picture per dataset whose runs kept the values of their steps; the best rows where there are many.

    Args:
        matrix: What to draw.
        folder: Where to write ``steps-<dataset>.png`` and so on.
        formats: Endings.

    Raises:
        ConfigError: If matplotlib is missing.
    """
    written = []
    for column in matrix.columns:
        curves = {row: found for row in matrix.rows if (found := _curve(matrix, row, column)) is not None}
        sign = 1 if matrix.lower else -1
        best = sorted(curves, key=lambda row, column=column: sign * (matrix.mean(row, column) or 0.0))[:MOST]
        if not best:
            continue
        figure, axes = pyplot().subplots(figsize=(5.2, 3.4), layout="constrained")
        for number, row in enumerate(best):
            steps, mean, sd = curves[row]
            sd_text = matrix.sd(row, column)
            spread = "" if sd_text is None else f" ± {sd_text * matrix.scale:.2f}"
            label = f"{row.replace('_', ' ')}, {matrix.mean(row, column) * matrix.scale:.2f}{spread}"
            axes.plot(steps, mean * matrix.scale, color=f"C{number}", marker=".", label=label)
            if sd is not None:
                low, high = ((mean + side * sd) * matrix.scale for side in (-1, 1))
                axes.fill_between(steps, low, high, color=f"C{number}", alpha=0.18, linewidth=0)
        unit = " (%)" if matrix.scale == 100 else ""
        axes.set(
            xlabel="snapshot that is forecast", ylabel=f"{metric_words(matrix.metric)}{unit}", title=_title(column)
        )
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(title="mean ± standard deviation over seeds")
        folder.mkdir(parents=True, exist_ok=True)
        name = "steps-" + "".join(sign if sign.isalnum() else "_" for sign in column)
        written += save(figure, folder, name, formats)
    return written


def _title(column: str) -> str:
    """The name of a dataset in tables, where it has one, and the settings that tell it from others."""
    name, sign, settings = column.partition(" (")
    card = read_choice("data", name).get("card") if name in choices("data") else None
    return f"{(card or {}).get('title') or name.replace('_', ' ')}{sign}{settings}"


def _curve(matrix: Matrix, row: str, column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None] | None:
    """Steps that all seeds have, with mean and standard deviation over seeds; ``None`` without at least two steps."""
    own = [steps for (r, c, _), steps in matrix.steps.items() if (r, c) == (row, column)]
    common = sorted(set.intersection(*map(set, own))) if own else []
    if len(common) < 2:
        return None
    values = np.array([[part[step] for step in common] for part in own])
    return np.array(common), values.mean(0), values.std(0, ddof=1) if len(own) > 1 else None

"""What all figures share: matplotlib (the extra ``plots``), asked for late, and how a figure is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynbench.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Told apart by colour-blind readers too (Okabe and Ito, 2008), and in print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000", "#8C564B", "#BCBD22")
# One style for all figures: sizes for a column of a paper, text that stays text.
STYLE = {
    "svg.hashsalt": "dynbench",
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "figure.titlesize": 10,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
}


def pyplot() -> Any:
    """``matplotlib.pyplot`` without a window.

    Raises:
        ConfigError: If matplotlib is missing.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ConfigError("figures need matplotlib; install it with pip install 'dynbench[plots]'") from error
    matplotlib.use("Agg")
    matplotlib.rcParams.update(STYLE)
    from cycler import cycler
    from matplotlib import pyplot

    matplotlib.rcParams["axes.prop_cycle"] = cycler(color=COLOURS)

    return pyplot


def save(figure: Figure, folder: str | Path, name: str, formats: Sequence[str]) -> list[Path]:
    """Write a figure in every format (``png``, ``svg``, ``pdf``) and close it; equal numbers give equal files.

    Raises:
        ConfigError: If matplotlib cannot write a format.
    """
    written = [Path(folder) / f"{name}.{ending}" for ending in formats]
    # No date and no version in the file.
    metadata = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    for path, ending in zip(written, formats, strict=True):
        try:
            figure.savefig(path, dpi=160, metadata=metadata.get(ending))
        except ValueError as error:
            raise ConfigError(f"figures cannot be written as '{ending}': {error}") from error
    pyplot().close(figure)
    return written

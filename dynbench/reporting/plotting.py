"""What all figures share: matplotlib (the extra ``plots``), asked for late, and how a figure is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynbench.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    matplotlib.rcParams["svg.hashsalt"] = "dynbench"
    from matplotlib import pyplot

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
            figure.savefig(path, dpi=120, metadata=metadata.get(ending))
        except ValueError as error:
            raise ConfigError(f"figures cannot be written as '{ending}': {error}") from error
    pyplot().close(figure)
    return written

"""Figures of NLSM: interaction matrices, attributes of nodes, and how far both drift from snapshot to snapshot.

Drawn from the trajectories of the last fit, ``psi (T, N, K)`` and ``theta (T, K, P)``, which any run of NLSM or BAS
keeps; a run of iELSM has no matrices. The numbers of the drift are written beside the figures.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dynbench.errors import ConfigError, DataError
from dynbench.reporting.plotting import pyplot, save

KINDS = ("interactions", "attributes", "drift")
# Attributes whose matrices are shown at most.
_SHOWN = 16


def read(arrays: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Trajectories ``psi (T, N, K)`` and ``theta (T, K, P)`` of a run, the latter ``None`` where it has none.

    Raises:
        DataError: If none were kept.
    """
    try:
        with np.load(arrays) as kept:
            return kept["psi"], kept["theta"] if "theta" in kept.files else None
    except FileNotFoundError as error:
        raise DataError(f"{arrays}: the run kept nothing; run it again with force=true") from error
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{arrays} holds no trajectories; choose model=nlsm, bas or ielsm on a graph that is not too large"
        ) from error


def matrices(theta: np.ndarray) -> np.ndarray:
    """``(..., K, 2, 2)`` interaction matrices from their free entries ``(..., K, P)``.

    The first index belongs to the source. An undirected graph's have three entries, ``Theta01 = Theta10``.

    >>> matrices(np.array([[1.0, 2.0, 3.0]])).tolist()
    [[[1.0, 2.0], [2.0, 3.0]]]
    """
    entries = theta if theta.shape[-1] == 4 else theta[..., [0, 1, 1, 2]]
    return entries.reshape(*entries.shape[:-1], 2, 2)


def importance(theta: np.ndarray) -> np.ndarray:
    """``(K,)`` how much an attribute decides: the spread of its matrix's entries, averaged over time.

    Args:
        theta: ``(T, K, P)``.
    """
    whole = matrices(theta)
    return whole.reshape(*whole.shape[:2], 4).std(-1).mean(0)


def drift(values: np.ndarray) -> np.ndarray:
    """``(T - 1, R)`` lengths of the moves of every row from one snapshot to the next.

    Args:
        values: ``(T, R, D)``.
    """
    return np.linalg.norm(np.diff(values, axis=0), axis=-1)


def draw(
    arrays: str | Path,
    folder: str | Path,
    title: str,
    names: Mapping[str, str] | None = None,
    formats: Sequence[str] = ("png",),
    shown: int = _SHOWN,
) -> list[Path]:
    """Draw the figures of one run.

    Args:
        arrays: Where the run kept its trajectories.
        folder: Where to write.
        title: Above every figure.
        names: File names without ending, by kind of figure; all kinds under their own names when ``None``.
        formats: Endings: ``png``, ``svg``, ``pdf``.
        shown: Attributes whose matrices are shown, those that decide most.

    Returns:
        What was written: ``drift.json``, then the figures.

    Raises:
        ConfigError: If matplotlib is missing, or a kind of figure is unknown.
        DataError: If no trajectories were kept.
    """
    psi, theta = read(arrays)
    names = dict(names) if names is not None else {kind: kind for kind in KINDS}
    if unknown := [kind for kind in names if kind not in KINDS]:
        raise ConfigError(f"there is no figure '{unknown[0]}' of trajectories; choose among {', '.join(KINDS)}")
    if theta is None:
        names.pop("interactions", None)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    moves = {"psi": drift(psi)} | ({} if theta is None else {"theta": drift(theta)})
    quantiles = {
        name: np.round(np.quantile(move, (0.25, 0.5, 0.75), axis=1), 5).tolist() for name, move in moves.items()
    }
    written = [folder / "drift.json"]
    written[0].write_text(json.dumps({"quantiles": [0.25, 0.5, 0.75], **quantiles}) + "\n", encoding="utf-8")
    drawings = {
        "interactions": lambda: _interactions(theta, title, shown),
        "attributes": lambda: _attributes(psi, theta, title),
        "drift": lambda: _drift(moves, title),
    }
    for kind, name in names.items():
        written += save(drawings[kind](), folder, name, formats)
    return written


def _interactions(theta: np.ndarray, title: str, shown: int):
    """The matrices of the attributes that decide most, at the first, the middle and the last snapshot."""
    chosen = np.argsort(-importance(theta), kind="stable")[:shown]
    times = sorted({0, len(theta) // 2, len(theta) - 1})
    whole = matrices(theta)
    limit = float(np.abs(whole[:, chosen]).max())
    figure, axes = pyplot().subplots(
        len(times), len(chosen), figsize=(1.0 + 0.75 * len(chosen), 0.6 + 1.0 * len(times)), layout="constrained",
        squeeze=False,
    )  # fmt: skip
    for row, time in zip(axes, times, strict=True):
        for panel, attribute in zip(row, chosen, strict=True):
            image = panel.imshow(whole[time, attribute], cmap="RdBu_r", vmin=-limit, vmax=limit)
            panel.set(xticks=[], yticks=[])
            if time == times[0]:
                panel.set_title(f"k = {attribute}", fontsize=7)
        row[0].set_ylabel(f"t = {time + 1}", fontsize=7)
    figure.colorbar(image, ax=axes, label="Theta (rows: source lacks, has)")
    figure.suptitle(title, fontsize=9)
    return figure


def _attributes(psi: np.ndarray, theta: np.ndarray | None, title: str):
    """Attributes of all nodes at the first, the middle and the last snapshot; iELSM's places as they are."""
    times = sorted({0, len(psi) // 2, len(psi) - 1})
    values = psi if theta is None else 1 / (1 + np.exp(-psi))
    columns = np.argsort(-values.std(1).mean(0), kind="stable")
    rows = np.argsort(values[-1][:, columns].argmax(1), kind="stable")
    low, high = (0.0, 1.0) if theta is not None else (float(values.min()), float(values.max()))
    figure, axes = pyplot().subplots(
        1, len(times), figsize=(1.0 + 2.8 * len(times), 4.0), layout="constrained", squeeze=False
    )  # fmt: skip
    for panel, time in zip(axes[0], times, strict=True):
        image = panel.imshow(
            values[time][np.ix_(rows, columns)], aspect="auto", vmin=low, vmax=high, interpolation="nearest"
        )
        panel.set_title(f"t = {time + 1}", fontsize=9)
        panel.set(xlabel="attribute")
    axes[0][0].set_ylabel("node")
    figure.colorbar(image, ax=axes, label="z" if theta is not None else "place")
    figure.suptitle(title, fontsize=9)
    return figure


def _drift(moves: Mapping[str, np.ndarray], title: str):
    """Median and quartiles of the moves of nodes and of matrices."""
    labels = {"psi": "nodes, |m(t) - m(t-1)|", "theta": "matrices"}
    figure, axes = pyplot().subplots(figsize=(5.0, 3.2), layout="constrained")
    for number, (name, move) in enumerate(moves.items()):
        steps = np.arange(2, len(move) + 2)
        low, middle, high = np.quantile(move, (0.25, 0.5, 0.75), axis=1)
        axes.plot(steps, middle, f"C{number}o-", markersize=3, label=labels[name])
        axes.fill_between(steps, low, high, color=f"C{number}", alpha=0.25, linewidth=0)
    axes.set(xlabel="snapshot", ylabel="length of the move", ylim=(0, None))
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=7)
    return figure

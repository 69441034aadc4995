"""Figures of the communities of one graph: a map of strengths, and the graph's blocks as it is and as it is generated.

Drawn from what a run of a model of communities keeps: ``z (N, K)``, the links that it learnt from and, where the model
has them, ``codes`` whose products are the logits of links. Columns are ordered by their total strength, rows by their
strongest column. The members of every community are written beside the figures.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dynbench.errors import ConfigError, DataError
from dynbench.reporting.plotting import pyplot, save

KINDS = ("strengths", "blocks")
# Strengths beyond these limits look like those at the limits, as in the paper.
_LIMIT = 4.0
# A community is large with this share of the nodes.
_LARGE = 0.01


class Kept(NamedTuple):
    """What a run kept: ``z (N, K)``, ``links (2, E)`` and ``codes (N, D)`` or ``None``."""

    z: np.ndarray
    links: np.ndarray
    codes: np.ndarray | None


def read(arrays: str | Path) -> Kept:
    """What a run kept.

    Raises:
        DataError: If it kept no communities.
    """
    try:
        with np.load(arrays) as kept:
            codes = kept["codes"] if "codes" in kept.files else None
            return Kept(kept["z"], kept["links"][1:], codes)
    except FileNotFoundError as error:
        raise DataError(f"{arrays}: the run kept nothing; run it again with force=true") from error
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{arrays} holds no communities; choose a model of one graph, such as model=dglfrm") from error


def order(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns in the order of a block plot.

    Columns by total strength, the largest first; rows by the column in which they are strongest, and within it by that
    strength.

    Args:
        z: ``(N, K)``.

    >>> rows, columns = order(np.array([[0.0, 1.0], [3.0, 0.0], [2.0, 0.0]]))
    >>> rows.tolist(), columns.tolist()
    ([1, 2, 0], [0, 1])
    """
    columns = np.argsort(-z.sum(0), kind="stable")
    z = z[:, columns]
    strongest = z.argmax(1)
    return np.lexsort((-z[np.arange(len(z)), strongest], strongest)), columns


def members(z: np.ndarray, top: int = 10) -> list[dict[str, Any]]:
    """Communities with a member, in the order of :func:`order`.

    Since links go with products, large negative strengths make up a second community on the same column.

    Args:
        z: ``(N, K)``.
        top: Members listed at either end.

    Returns:
        For each: ``column``, ``size``, ``large`` (whether it has a hundredth of the nodes), and ``top`` and ``bottom``,
        node and strength from the strongest on.
    """
    found = []
    for column in order(z)[1].tolist():
        strength = z[:, column]
        size = int((strength != 0).sum())
        if not size:
            continue
        ranked = np.argsort(-strength, kind="stable")
        ends = {
            "top": [node for node in ranked[:top] if strength[node] > 0],
            "bottom": [node for node in ranked[::-1][:top] if strength[node] < 0],
        }
        listed = {
            end: [[int(node), round(float(strength[node]), 3)] for node in nodes] for end, nodes in ends.items()
        }  # fmt: skip
        found.append({"column": column, "size": size, "large": size > _LARGE * len(z), **listed})
    return found


def draw(
    arrays: str | Path,
    folder: str | Path,
    title: str,
    names: Mapping[str, str] | None = None,
    formats: Sequence[str] = ("png",),
    top: int = 10,
) -> list[Path]:
    """Draw the figures of one run.

    Args:
        arrays: Where the run kept what it found.
        folder: Where to write.
        title: Above every figure.
        names: File names without ending, by kind of figure; all kinds under their own names when ``None``.
        formats: Endings: ``png``, ``svg``, ``pdf``.
        top: Members listed at either end of a community.

    Returns:
        What was written: ``communities.json``, then the figures.

    Raises:
        ConfigError: If matplotlib is missing, or a kind of figure is unknown.
        DataError: If no communities were kept.
    """
    names = dict(names) if names is not None else {kind: kind for kind in KINDS}
    if unknown := [kind for kind in names if kind not in KINDS]:
        raise ConfigError(f"there is no figure '{unknown[0]}' of communities; choose among {', '.join(KINDS)}")
    kept = read(arrays)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "communities.json"]
    sizes = (kept.z != 0).sum(1)
    content = {
        "nodes": len(kept.z),
        "columns": kept.z.shape[1],
        "active_communities": float(sizes.mean()),
        "communities": members(kept.z, top),
    }
    written[0].write_text(json.dumps(content) + "\n", encoding="utf-8")
    drawings = {"strengths": _strengths, "blocks": _blocks}
    for kind, name in names.items():
        written += save(drawings[kind](kept, title), folder, name, formats)
    return written


def _strengths(kept: Kept, title: str):
    """A map of the strengths, rows and columns in order."""
    rows, columns = order(kept.z)
    used = columns[(kept.z != 0).any(0)[columns]]
    figure, axes = pyplot().subplots(figsize=(5.0, 5.0), layout="constrained")
    image = axes.imshow(
        kept.z[np.ix_(rows, used)], aspect="auto", cmap="RdBu_r", vmin=-_LIMIT, vmax=_LIMIT, interpolation="nearest"
    )
    axes.set(xlabel="community, by total strength", ylabel="node, by its strongest community")
    axes.set_title(title, fontsize=9)
    figure.colorbar(image, label="strength")
    return figure


def _blocks(kept: Kept, title: str):
    """The links that were learnt from and, where there are codes, the chances of the model, rows in order."""
    rows, _ = order(kept.z)
    place = np.argsort(rows)
    panels = 1 if kept.codes is None else 2
    figure, axes = pyplot().subplots(
        1, panels, figsize=(0.5 + 4.0 * panels, 4.3), layout="constrained", squeeze=False
    )  # fmt: skip
    src, dst = place[kept.links]
    axes[0][0].scatter(
        np.concatenate([src, dst]), np.concatenate([dst, src]), s=0.4, c="black", marker="s", linewidths=0
    )
    axes[0][0].set(xlim=(0, len(rows)), ylim=(len(rows), 0), aspect="equal", title="links learnt from")
    if kept.codes is not None:
        codes = kept.codes[rows].astype(np.float32)
        chance = 1 / (1 + np.exp(-np.clip(codes @ codes.T, -30, 30)))
        axes[0][1].imshow(chance, cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
        axes[0][1].set(title="chances of the model")
    for panel in axes[0]:
        panel.set(xticks=[], yticks=[])
        panel.title.set_fontsize(9)
    figure.suptitle(title, fontsize=9)
    return figure

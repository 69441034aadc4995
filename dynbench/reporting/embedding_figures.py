"""Figures of an embedding, a panel per snapshot: two of its columns, or a t-SNE picture of each snapshot.

Drawn from the embedding and classes that a run under ``protocol=stability`` keeps. Colours and markers are those of a
node's class at the first snapshot, so that one can see where the members of a community go. The points of every figure
are written beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from dynbench.errors import ConfigError, DataError
from dynbench.reporting.plotting import pyplot, save

# The first three as in the ULSE paper.
_STYLES = (("tab:blue", "o"), ("tab:green", "^"), ("tab:red", "X"), *((f"C{n}", "osvD*P"[n % 6]) for n in range(3, 10)))
_PERPLEXITY, _SEED = 30, 42


def read(scores: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """``(T, N, D)`` embedding and ``(T, N)`` classes of a run.

    Raises:
        DataError: If they were not kept.
    """
    try:
        with np.load(scores) as kept:
            return kept["embedding"], kept["labels"]
    except FileNotFoundError as error:
        raise DataError(f"{scores}: the run kept no embedding; run it again with force=true") from error
    except Exception as error:  # numpy has a dozen words for a file that is damaged or of another kind
        raise DataError(f"{scores} does not hold an embedding; choose protocol=stability") from error


def columns(embedding: np.ndarray, chosen: Sequence[int] = (0, 1)) -> np.ndarray:
    """``(T, N, 2)`` two columns as they are.

    Raises:
        ConfigError: If there is no such column.
    """
    if max(chosen) >= embedding.shape[-1]:
        raise ConfigError(f"columns {list(chosen)} of an embedding with {embedding.shape[-1]}; raise model.dim")
    return embedding[..., list(chosen)]


def tsne(embedding: np.ndarray) -> np.ndarray:
    """``(T, N, 2)`` t-SNE pictures (van der Maaten and Hinton, 2008), one fit per snapshot, as in the ULSE paper.

    Since the fits know nothing of each other, places can be compared within a snapshot only.
    """
    from sklearn.manifold import TSNE

    nodes, width = embedding.shape[1:]
    perplexity = min(_PERPLEXITY, (nodes - 1) / 3)
    start = "pca" if width >= 2 else "random"
    fits = (TSNE(perplexity=perplexity, random_state=_SEED, init=start) for _ in embedding)
    return np.stack([fit.fit_transform(now.astype(np.float64)) for fit, now in zip(fits, embedding, strict=True)])


FIGURES: dict[str, Callable[..., np.ndarray]] = {"columns": columns, "tsne": tsne}


def draw(
    scores: str | Path,
    folder: str | Path,
    title: str,
    names: Mapping[str, str] | None = None,
    formats: Sequence[str] = ("png",),
    snapshots: Sequence[int] | None = None,
    chosen: Sequence[int] = (0, 1),
) -> list[Path]:
    """Draw the figures of one run.

    Args:
        scores: Where the run kept its embedding.
        folder: Where to write.
        title: Above every figure.
        names: File names without ending, by kind of figure; all kinds under their own names when ``None``.
        formats: Endings: ``png``, ``svg``, ``pdf``.
        snapshots: Which are shown; all when ``None``.
        chosen: The columns that ``columns`` shows.

    Returns:
        What was written: the figures and their numbers, ``points.json``.

    Raises:
        ConfigError: If matplotlib is missing, or a kind of figure, a snapshot or a column is unknown.
        DataError: If the embedding is missing.
    """
    names = dict(names) if names is not None else {kind: kind for kind in FIGURES}
    if unknown := [kind for kind in names if kind not in FIGURES]:
        raise ConfigError(f"there is no figure '{unknown[0]}' of embeddings; choose among {', '.join(FIGURES)}")
    embedding, labels = read(scores)
    shown = list(range(len(embedding))) if snapshots is None else list(snapshots)
    if max(shown) >= len(embedding):
        raise ConfigError(f"snapshot {max(shown)} of {len(embedding)} (they count from 0)")
    points = {"columns": lambda: columns(embedding[shown], chosen), "tsne": lambda: tsne(embedding[shown])}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = {kind: np.round(points[kind](), 5).tolist() for kind in names}
    written = [folder / "points.json"]
    content = {"snapshots": shown, "classes": labels[0].tolist(), **data}
    written[0].write_text(json.dumps(content) + "\n", encoding="utf-8")
    for kind, name in names.items():
        written += save(
            _panels(np.array(data[kind]), labels[0], shown, title, kind == "columns"), folder, name, formats
        )
    return written


def _panels(points: np.ndarray, classes: np.ndarray, shown: Sequence[int], title: str, shared: bool):
    """A panel per snapshot; axes are shared where positions can be compared across snapshots."""
    figure, axes = pyplot().subplots(
        1, len(points), figsize=(0.4 + 2.6 * len(points), 3.0), layout="constrained", squeeze=False,
        sharex=shared, sharey=shared,
    )  # fmt: skip
    for panel, now, snapshot in zip(axes[0], points, shown, strict=True):
        for number, name in enumerate(np.unique(classes[classes >= 0])):
            color, marker = _STYLES[number % len(_STYLES)]
            members = now[classes == name]
            panel.scatter(*members.T, s=14, c=color, marker=marker, alpha=0.6, linewidths=0, label=f"class {name}")
        panel.set_title(f"t = {snapshot + 1}", fontsize=9)
        if not shared:
            panel.set(xticks=[], yticks=[])
    axes[0][0].legend(fontsize=6)
    figure.suptitle(title, fontsize=9)
    return figure

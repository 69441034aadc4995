"""``RawEvents``: what every reader returns, whatever the format it reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dynbench.errors import DataError


@dataclass
class RawEvents:
    """Events as read from files, before anything is cut or merged.

    Attributes:
        src, dst: ``(E,) int64`` node ids from 0.
        time: ``(E,) int64`` or ``float64``.
        num_nodes: Node count; the largest id plus one when ``None``.
        weight: ``(E,) float`` or ``None``.
        relation: ``(E,) int64`` relation ids or ``None``.
        num_relations: Relation count; the largest id plus one when ``None``.
        snapshot: ``(E,) int64`` step of each event in the published cut, -1 for events outside it, or ``None``.
        num_steps: Number of snapshots of that cut; the largest step plus one when ``None``.
        part: ``(E,)`` 0, 1 or 2 for the published train, validation and test parts, which follow each other in time,
            or ``None``.
        node_labels: ``(N,)`` or ``(T, N) int64`` classes, -1 where unknown, or ``None``.
        node_features: ``(N, F) float`` or ``None``.
        edge_features: ``(E, F) float``, a row per event, or ``None``.
    """

    src: np.ndarray
    dst: np.ndarray
    time: np.ndarray
    num_nodes: int | None = None
    weight: np.ndarray | None = None
    relation: np.ndarray | None = None
    num_relations: int | None = None
    snapshot: np.ndarray | None = None
    num_steps: int | None = None
    part: np.ndarray | None = None
    node_labels: np.ndarray | None = None
    node_features: np.ndarray | None = None
    edge_features: np.ndarray | None = None


# Ids that a small graph may leave out, and how many times as many as are used: beyond both it is a slip.
_SPARE, _TIMES = 100_000, 100
# Snapshots of a graph: a guard against slips such as window=1s over ten years, or times in the place of steps.
MAX_STEPS = 100_000


def require_used(highest: int, listed: int, what: str, path: Path) -> None:
    """Refuse ids far beyond what is used: every one of them takes memory in models.

    Args:
        highest: The largest id.
        listed: How many ids there can be, each counted as often as it is listed.
        what: Whose ids.
        path: File, for the message.

    Raises:
        DataError: Saying that they are to be numbered from 0.
    """
    if highest >= max(_SPARE, _TIMES * listed):
        raise DataError(
            f"{path}: {what} {highest:,} is far beyond the at most {listed:,} {what}s that are listed; number them 0, "
            f"1, 2, … without large gaps"
        )


def require_steps(highest: int, path: Path) -> None:
    """Refuse more snapshots than make sense.

    Raises:
        DataError: Naming the file and the step.
    """
    if highest >= MAX_STEPS:
        raise DataError(f"{path}: snapshot {highest:,}; at most {MAX_STEPS:,} can be, counted from 0")


def number_by_appearance(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number values 0, 1, 2, … in the order in which they first occur.

    Args:
        ids: ``(M,)`` values of any sortable type.

    Returns:
        ``(M,) int64`` new numbers, and the ``(U,)`` old values in the order of their numbers.

    >>> number_by_appearance(np.array([7, 3, 7, 9]))[0].tolist()
    [0, 1, 0, 2]
    """
    values, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values))
    return rank[inverse], values[order]


def number_ends(src: np.ndarray, dst: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the nodes of events by first appearance, source before destination."""
    numbers, _ = number_by_appearance(np.stack([src, dst], axis=1).ravel())
    return numbers[0::2], numbers[1::2]

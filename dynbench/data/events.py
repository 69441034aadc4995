"""``RawEvents``: what every reader returns, whatever the format it reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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

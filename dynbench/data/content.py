"""What a dataset says, whatever format it is written in: a checksum of its rows in one order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from dynbench.data.events import RawEvents
from dynbench.errors import DataError


def content_sums(raw: RawEvents, snapshots: bool = False) -> dict[str, str]:
    """SHA-256 of each part of a dataset: ``events`` (or ``snapshots``), ``features`` of events, ``nodes``, ``labels``.

    Rows are taken in ascending order of their columns. A missing weight counts as one and a missing relation as none,
    so that formats with and without such a column agree.

    Args:
        raw: What was read.
        snapshots: Whether these are the pairs of each snapshot and not events.

    >>> one = RawEvents(np.array([0, 1]), np.array([1, 2]), np.array([5, 7]))
    >>> two = RawEvents(np.array([1, 0]), np.array([2, 1]), np.array([7.0, 5.0]), weight=np.ones(2))
    >>> content_sums(one) == content_sums(two)
    True
    """
    time = raw.snapshot if snapshots else raw.time
    optional = ((raw.weight, 1.0), (raw.relation, 0.0), (None if snapshots else raw.part, 0.0))
    columns = [raw.src, raw.dst, time, *(np.full(len(raw.src), usual) if c is None else c for c, usual in optional)]
    table = np.stack([np.asarray(column, dtype=np.float64) for column in columns])
    found = {"snapshots" if snapshots else "events": _sum(table[:, np.lexsort(table[::-1])])}
    if snapshots:
        return found
    if raw.edge_features is not None:
        rows = np.concatenate([table, _row_keys(raw.edge_features)])
        found["features"] = _sum(rows[:, np.lexsort(rows[::-1])])
    if raw.node_features is not None:
        found["nodes"] = _sum(np.asarray(raw.node_features, dtype=np.float32))
    if raw.node_labels is not None:
        found["labels"] = _sum(np.asarray(raw.node_labels, dtype=np.int64))
    return found


def require_content(raw: RawEvents, name: str, expected: Mapping[str, str], cure: str, snapshots: bool = False) -> None:
    """Compare what was read with its card, as far as that knows it.

    Args:
        raw: What was read.
        name: Dataset, for the message.
        expected: The card's checksums by part. Parts that were not read are not compared.
        cure: What a mismatch means, for the message.
        snapshots: As of :func:`content_sums`.

    Raises:
        DataError: If they differ.
    """
    found = content_sums(raw, snapshots) if expected else {}
    for part, value in found.items():
        if part in expected and value != expected[part]:
            sums = f"{value[:16]}…, the card expects {expected[part][:16]}…"
            raise DataError(f"dataset '{name}': the {part} have the checksum {sums}; {cure}")


def _sum(table: np.ndarray) -> str:
    digest = hashlib.sha256(f"{table.shape}".encode())
    digest.update(np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()


def _row_keys(features: np.ndarray) -> np.ndarray:
    """``(2, E)`` numbers below 2^32 from each row's bits: a change of any value changes them."""
    bits = np.ascontiguousarray(features, dtype=np.float32).view(np.uint32).astype(np.uint64)
    factors = np.random.default_rng(20).integers(1, 2**63, bits.shape[1], dtype=np.uint64) | np.uint64(1)
    with np.errstate(over="ignore"):
        keys = (bits * factors).sum(axis=1, dtype=np.uint64)
    return np.stack([keys >> np.uint64(32), keys & np.uint64(0xFFFFFFFF)])

"""Random numbers from counters: a number depends on a seed and on its place alone, not on what was drawn before."""

from __future__ import annotations

import numpy as np

# The constants of SplitMix64 (Steele, Lea, Flood, 2014).
_STEP, _FIRST, _SECOND = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def hashed(seed: int, row: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Uniform 64-bit numbers, one for each pair of places; the two arrays are broadcast."""
    with np.errstate(over="ignore"):
        state = _mixed(np.asarray(row).astype(np.uint64) + _mixed(np.uint64(seed & (2**64 - 1)) + _STEP))
        return _mixed(state + (np.asarray(place).astype(np.uint64) + np.uint64(1)) * _STEP)


def hashed_below(seed: int, row: np.ndarray, place: np.ndarray, bound: int) -> np.ndarray:
    """``int64`` uniform whole numbers below ``bound``, which must be less than 2^32."""
    high = hashed(seed, row, place) >> np.uint64(32)
    return ((high * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)


def _mixed(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))

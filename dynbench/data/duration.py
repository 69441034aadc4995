"""Durations such as ``10d``: how window and span are written in a config."""

from __future__ import annotations

import math
import re

from dynbench.errors import DataError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PATTERN = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z]*)\s*")


def parse_duration(value: str | float, key: str = "data.window") -> tuple[float, str | None]:
    """Split a duration into amount and unit.

    Args:
        value: ``10d``, ``12h``, ``2w``, ``90m``, ``30s``, or a plain number (in units of the dataset's time).
        key: Setting that holds it, for the message.

    Returns:
        The amount and the unit letter, ``None`` for a plain number.

    Raises:
        DataError: If it is no number, not positive, or has an unknown unit.

    >>> parse_duration("1.5h")
    (1.5, 'h')
    >>> parse_duration(7)
    (7.0, None)
    """
    match = None if isinstance(value, bool) else _PATTERN.fullmatch(str(value))
    if match is None:
        raise DataError(f"{key}={value} is not a duration; write a number and a unit, e.g. 10d, 12h or 90m")
    amount, unit = float(match[1]), match[2] or None
    if unit is not None and unit not in SECONDS:
        raise DataError(f"{key}={value} has the unknown unit '{unit}'; use s, m, h, d or w (seconds to weeks)")
    if not math.isfinite(amount) or amount <= 0:
        raise DataError(f"{key}={value} is not positive; write e.g. 10d")
    return amount, unit


def in_units(value: str | float, seconds: float | None, key: str = "data.window") -> float:
    """Convert a duration to units of a dataset's time.

    Args:
        value: As in :func:`parse_duration`.
        seconds: Seconds per unit of time, or ``None`` if the unit is not a duration.
        key: Setting that holds it, for the message.

    Raises:
        DataError: As :func:`parse_duration`, or if ``seconds`` is ``None`` and the duration has a unit.
    """
    amount, unit = parse_duration(value, key)
    if unit is None:
        return amount
    if seconds is None:
        raise DataError(
            f"{key}={value} has a unit, but the time of this dataset is not measured in seconds; "
            "give a plain number of time steps, or set data.seconds"
        )
    return amount * SECONDS[unit] / seconds


def describe(units: float, seconds: float | None) -> str:
    """A duration in words for messages: days where the unit is known."""
    if seconds is None:
        return f"{units:g} time units"
    total = units * seconds
    unit = next((u for u in ("d", "h", "m") if total >= SECONDS[u]), "s")
    return f"{total / SECONDS[unit]:.4g}{unit}"

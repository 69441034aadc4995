"""Times in whatever way they are written: numbers as they are, dates as seconds since 1970 (UTC)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import numpy as np

from dynbench.errors import DataError

# Tried in this order, on all values of a column: a day above 12 decides between the first two.
_PATTERNS = tuple(
    day + clock
    for day in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%d-%m-%Y", "%d %b %Y", "%b %d %Y")
    for clock in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
)
_AMBIGUOUS = ("%d/%m/%Y", "%m/%d/%Y")


def as_times(values: Any) -> tuple[np.ndarray, float | None]:
    """Times as numbers.

    Args:
        values: ``(E,)`` numbers, ``datetime64``, dates, or text: numbers, or dates in ISO 8601, RFC 2822 or a usual
            order of day, month and year. A date without a time zone is taken as UTC.

    Returns:
        ``(E,) int64``, or ``float64`` where a value is not whole, and the seconds per unit: 1.0 for dates, ``None`` for
        plain numbers, whose unit nobody told.

    Raises:
        DataError: If a value is neither, naming the first one, or if day and month cannot be told apart.
    """
    array = np.asarray(values)
    if array.dtype.kind == "M":
        return _seconds(array), 1.0
    if array.dtype.kind in "iub":
        return array.astype(np.int64), None
    if array.dtype.kind == "f":
        return _whole(array.astype(np.float64)), None
    listed = [text.strip() if isinstance(text, str) else text for text in array.tolist()]
    try:
        return _whole(np.array(listed, dtype=np.float64)), None
    except (TypeError, ValueError):
        return _whole(_dates(listed)), 1.0


def as_dates(time: np.ndarray, seconds: float | None) -> np.ndarray:
    """Times as ``datetime64[us]``, the way back from seconds since 1970.

    Raises:
        DataError: If the unit of time is no duration.
    """
    if seconds is None:
        raise DataError("these times only count steps; they are no dates")
    return (np.asarray(time, dtype=np.float64) * seconds * 1e6).round().astype(np.int64).astype("datetime64[us]")


def _seconds(array: np.ndarray) -> np.ndarray:
    if np.isnat(array).any():
        raise DataError(f"the time of event {int(np.argmax(np.isnat(array)))} is missing")
    return _whole(array.astype("datetime64[us]").astype(np.int64) / 1e6)


def _whole(time: np.ndarray) -> np.ndarray:
    if not np.isfinite(time).all():
        row = int(np.argmax(~np.isfinite(time)))
        raise DataError(f"the time of event {row} is {time[row]}; times must be finite numbers")
    return time.astype(np.int64) if bool((time == np.floor(time)).all()) else time


def _dates(values: list[Any]) -> np.ndarray:
    """Seconds since 1970; each distinct value is read once."""
    distinct = list(dict.fromkeys(values))
    for read in (_iso, _mail):
        found = _try(distinct, read)
        if found is not None:
            break
    else:
        found = _by_pattern(distinct)
    table = dict(zip(distinct, found, strict=True))
    return np.array([table[value] for value in values], dtype=np.float64)


def _try(values: Sequence[Any], read) -> list[float] | None:
    try:
        return [read(value) for value in values]
    except (TypeError, ValueError):
        return None


def _iso(value: Any) -> float:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value.removesuffix(" UTC"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _mail(value: str) -> float:
    moment = parsedate_to_datetime(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _by_pattern(values: Sequence[Any]) -> list[float]:
    fits: dict[str, list[float]] = {}
    for pattern in _PATTERNS:
        found = _try(values, lambda text, pattern=pattern: _iso(datetime.strptime(text, pattern)))
        if found is not None:
            fits[pattern] = found
    if not fits:
        odd = next((value for value in values if _try([value], _iso) is None), values[0])
        raise DataError(
            f"the time {odd!r} is neither a number nor a date; write e.g. 2004-03-15 or 2004-03-15T09:30:00"
        )
    if sum(pattern.startswith(_AMBIGUOUS) for pattern in fits) > 1 and len({tuple(one) for one in fits.values()}) > 1:
        raise DataError(f"in dates such as {values[0]!r} day and month cannot be told apart; write e.g. 2004-03-15")
    return next(iter(fits.values()))

"""Unix time as naive local time, which some published cuts were made in."""

from __future__ import annotations

import datetime
import zoneinfo

import numpy as np

from dynbench.errors import DataError

DAY = 86_400


def to_local(time: np.ndarray, zone: str = "America/Los_Angeles") -> np.ndarray:
    """Shift Unix seconds to the reading of a clock on the wall.

    Args:
        time: ``(E,) int64`` Unix seconds.
        zone: Time zone; the default is the one in which DySAT's notebooks were run.

    Returns:
        ``(E,) int64`` seconds since 1970-01-01 00:00 local time, daylight saving included.

    Raises:
        DataError: If the system has no time zone data.
    """
    try:
        tz = zoneinfo.ZoneInfo(zone)
    except zoneinfo.ZoneInfoNotFoundError as error:
        raise DataError(f"no time zone '{zone}' on this system; install the package tzdata") from error
    # Clocks change on full hours of Unix time, so one look-up per distinct hour serves all its events.
    hours, inverse = np.unique(time // 3600, return_inverse=True)
    moments = (datetime.datetime.fromtimestamp(int(hour) * 3600, tz) for hour in hours)
    offsets = np.array([int(moment.utcoffset().total_seconds()) for moment in moments], dtype=np.int64)
    return time + offsets[inverse]

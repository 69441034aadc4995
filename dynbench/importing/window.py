"""A length of snapshots to begin with."""

from __future__ import annotations

import math

from dynbench.data.duration import in_units
from dynbench.graph import TemporalGraph

_LENGTHS = ("1s", "10s", "30s", "1m", "5m", "15m", "30m", "1h", "2h", "6h", "12h", "1d", "2d", "5d", "7d", "14d", "30d",
            "60d", "90d", "180d", "365d", "730d", "1825d", "3650d")  # fmt: skip
# Snapshots that a history should have at most.
MOST = 20


def suggest(graph: TemporalGraph) -> str | float | None:
    """The shortest usual length that gives at most :data:`MOST` snapshots; ``None`` without times that pass."""
    if graph.num_steps is not None or len(graph) < 2:
        return None
    span = float(graph.time[-1] - graph.time[0])
    if span <= 0:
        return None
    if graph.seconds is None:
        usual = [factor * 10**power for power in range(15) for factor in (1, 2, 5)]
        return next(length for length in usual if math.floor(span / length) + 1 <= MOST)
    fitting = [one for one in _LENGTHS if math.floor(span / in_units(one, graph.seconds)) + 1 <= MOST]
    return next((one for one in fitting if in_units(one, graph.seconds) <= span), None)

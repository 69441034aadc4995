"""Whether a measured value reproduces a published one.

The test is one of spreads, since a paper's deviation over runs is what its readers have: *reproduced* means that the
two means lie no further apart than single runs of the two would in 95 of 100 cases,

    |measured − published| ≤ t · sqrt(s² + s'²) + r,

where s is the standard deviation of the measured runs, s' the published one, t the two-sided 95 % quantile of Student's
distribution with the degrees of freedom of Welch and Satterthwaite, and r half a unit of the last digit printed. What
is not known is not made up: a spread that the paper does not print, and one of fewer than three measured runs, counts
as none. With neither, *reproduced* means equal to the digits printed. A p-value is reproduced if it lies on the same
side of 0.05.
"""

from __future__ import annotations

import math

LEVEL = 0.95
# Fewer runs say too little about their spread: with two, t would be 12.7.
LEAST_RUNS = 3
# The published deviation of a paper that does not say over how many runs.
_RUNS = 10
SIGNIFICANT = 0.05

REPRODUCED, ABOVE, BELOW, NOT_COMPARABLE = "reproduced", "above", "below", "not comparable"
VERDICTS = (REPRODUCED, ABOVE, BELOW, NOT_COMPARABLE)


def tolerance(
    sd: float | None, runs: int, published_sd: float | None, published_runs: int | None, unit: float
) -> float:
    """How far the means may lie apart.

    Args:
        sd: Sample standard deviation of the measured runs.
        runs: Number of measured runs.
        published_sd: As printed.
        published_runs: Runs behind the published value, if the paper says.
        unit: The last digit printed: 0.01 for two decimals.

    >>> round(tolerance(0.44, 3, 0.3, 10, 0.01), 2)
    1.47
    >>> tolerance(None, 1, None, None, 0.01)
    0.005
    """
    known = [(sd**2, runs - 1)] if sd is not None and runs >= LEAST_RUNS else []
    if published_sd is not None:
        known.append((published_sd**2, max(published_runs or _RUNS, LEAST_RUNS) - 1))
    variance = sum(part for part, _ in known)
    if not variance:
        return unit / 2
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in known)
    return _quantile(freedom) * math.sqrt(variance) + unit / 2


def judge(difference: float, allowed: float) -> str:
    """The verdict on a difference, measured minus published."""
    # A value exactly at the limit may be pushed over it by the arithmetic.
    if abs(difference) <= allowed * (1 + 1e-9):
        return REPRODUCED
    return ABOVE if difference > 0 else BELOW


def judge_p(measured: float, published: float) -> str:
    """The verdict on a p-value."""
    if (measured < SIGNIFICANT) == (published < SIGNIFICANT):
        return REPRODUCED
    return ABOVE if measured > published else BELOW


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2))

"""Whether one row of a table does better than another: p-values from the values of single steps or graphs.

A record lists its metrics per step; under ``protocol=repeated_clustering`` a step is a graph, and both rows have met
the same graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, pstdev

from dynbench.records import Record


def welch(better: Sequence[float], other: Sequence[float]) -> float:
    """Welch's t-test as the ULSE paper does it: from means and *population* deviations, two-sided p halved.

    The p-value is small if the means differ, whichever is larger; equal samples give 0.5.
    """
    from scipy.stats import ttest_ind_from_stats

    if pstdev(better) == pstdev(other) == 0:
        return 0.5 if fmean(better) == fmean(other) else 0.0
    stats = [part(values) for values in (better, other) for part in (fmean, pstdev, len)]
    return float(ttest_ind_from_stats(*stats, equal_var=False).pvalue) / 2


def paired(better: Sequence[float], other: Sequence[float]) -> float:
    """One-sided paired t-test of whether the first is larger on the same graphs; equal samples give 0.5."""
    from scipy.stats import ttest_rel

    difference = [one - two for one, two in zip(better, other, strict=True)]
    if max(difference) - min(difference) < 1e-12:
        return 0.5 if abs(difference[0]) < 1e-12 else float(difference[0] < 0)
    return float(ttest_rel(better, other, alternative="greater").pvalue)


TESTS: dict[str, Callable[[Sequence[float], Sequence[float]], float]] = {"welch": welch, "paired": paired}


def p_value(test: str, metric: str, record: Record, reference: Record) -> float | None:
    """A test on what two records have at the same steps, or ``None`` where that is less than two values."""
    ours, theirs = ({row["step"]: row.get(metric) for row in one.steps} for one in (record, reference))
    pairs = [(ours[step], theirs[step]) for step in ours if ours[step] is not None and theirs.get(step) is not None]
    if len(pairs) < 2:
        return None
    return TESTS[test](*map(list, zip(*pairs, strict=True)))

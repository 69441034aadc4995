"""Ranks and tests over blocks: what was measured on the same dataset, with the same seed, or in the same step.

After Demšar, Statistical comparisons of classifiers over multiple data sets, JMLR 2006: Friedman's test of whether all
rows are alike, the critical difference of Nemenyi's test, and Wilcoxon's signed-rank test of every pair, corrected by
Holm's method for the number of pairs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dynbench.comparing.matrix import Matrix
from dynbench.errors import ConfigError

BLOCKS = ("datasets", "seeds", "steps")
# From so many datasets on, they are what is tested over unless the user says otherwise.
ENOUGH = 5
# Blocks up to which Wilcoxon's test is counted out.
_COUNTED = 14


@dataclass(frozen=True)
class Comparison:
    """What the tests say.

    Attributes:
        rows: Labels, best rank first.
        ranks: Mean rank of each, 1 is best.
        blocks: Of what kind the blocks are.
        count: How many blocks there are.
        friedman: p-value of all rows being alike; ``None`` for two rows.
        critical: Ranks further apart than this differ (Nemenyi).
        pairs: By pair of rows, better rank first: mean difference in favour of the first, p-value, corrected p-value.
        alpha: Level of the tests.
    """

    rows: tuple[str, ...]
    ranks: tuple[float, ...]
    blocks: str
    count: int
    friedman: float | None
    critical: float
    pairs: dict[tuple[str, str], tuple[float, float, float]]
    alpha: float

    def groups(self) -> list[tuple[int, int]]:
        """First and last position of rows whose ranks are within the critical difference; none within another."""
        found = []
        for first in range(len(self.rows)):
            last = max(k for k in range(first, len(self.rows)) if self.ranks[k] - self.ranks[first] <= self.critical)
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return found

    @property
    def least(self) -> float:
        """The smallest p-value that so many blocks can give, after correction."""
        return min(1.0, 2.0 ** (1 - self.count) * len(self.pairs))


def table_of(matrix: Matrix, blocks: str) -> np.ndarray:
    """``(B, R)`` values of all rows in every block that all rows have.

    Raises:
        ConfigError: If there are less than two such blocks.
    """
    if blocks == "datasets":
        found = [[matrix.mean(row, column) for row in matrix.rows] for column in matrix.columns]
    elif blocks == "seeds":
        found = []
        for column in matrix.columns:
            common = set.intersection(*(set(matrix.values[row, column]) for row in matrix.rows))
            found += [[matrix.values[row, column][seed] for row in matrix.rows] for seed in sorted(common)]
    else:
        found = []
        for column in matrix.columns:
            common = set.intersection(*(set(matrix.values[row, column]) for row in matrix.rows))
            for seed in sorted(common)[:1]:
                own = [matrix.steps.get((row, column, seed), {}) for row in matrix.rows]
                found += [[part[step] for part in own] for step in sorted(set.intersection(*map(set, own)))]
    if len(found) < 2:
        raise ConfigError(
            f"there are {len(found)} {blocks} that all rows have; tests need two, and more to say anything"
        )
    return np.array(found, dtype=float)


def choose_blocks(matrix: Matrix) -> str:
    """Datasets where there are enough of them, else seeds or steps of a single dataset, whichever are more."""
    if len(matrix.columns) > 1:
        return "datasets"
    sizes = {}
    for kind in ("seeds", "steps"):
        try:
            sizes[kind] = len(table_of(matrix, kind))
        except ConfigError:
            sizes[kind] = 0
    return "seeds" if sizes["seeds"] >= min(ENOUGH, sizes["steps"]) else "steps"


def compare(matrix: Matrix, blocks: str | None = None, alpha: float = 0.05) -> Comparison:
    """Rank the rows of a matrix in every block, and test whether they differ.

    Args:
        matrix: In which every row has every column, see :meth:`Matrix.complete`.
        blocks: One of :data:`BLOCKS`; chosen by :func:`choose_blocks` when omitted.
        alpha: Level of the tests.

    Raises:
        ConfigError: If there are less than two rows or blocks.
    """
    if len(matrix.rows) < 2:
        raise ConfigError(f"there is nothing to compare: {len(matrix.rows)} rows have what is asked for")
    blocks = blocks or choose_blocks(matrix)
    values = table_of(matrix, blocks)
    values = -values if matrix.lower else values
    ranks = np.stack([rank(-row) for row in values]).mean(0)
    order = sorted(range(len(ranks)), key=lambda k: (ranks[k], matrix.rows[k]))
    pairs = {(a, b): wilcoxon(values[:, a] - values[:, b]) for a, b in itertools.combinations(order, 2)}
    corrected = holm(list(pairs.values()))
    names = matrix.rows
    found = {
        (names[a], names[b]): (float((values[:, a] - values[:, b]).mean()), p, q)
        for ((a, b), p), q in zip(pairs.items(), corrected, strict=True)
    }
    return Comparison(
        tuple(names[k] for k in order), tuple(float(ranks[k]) for k in order), blocks, len(values),
        friedman(values), critical_difference(len(names), len(values), alpha), found, alpha,
    )  # fmt: skip


def rank(values: Sequence[float]) -> np.ndarray:
    """Ranks from 1 for the smallest; equal values share the mean of theirs."""
    from scipy.stats import rankdata

    return rankdata(values)


def friedman(values: np.ndarray) -> float | None:
    """Friedman's test of ``(B, R)`` values; ``None`` for two rows, 1 where all blocks tie."""
    from scipy.stats import friedmanchisquare

    if values.shape[1] < 3:
        return None
    p = float(friedmanchisquare(*values.T).pvalue)
    return 1.0 if math.isnan(p) else p


def wilcoxon(differences: np.ndarray) -> float:
    """Two-sided signed-rank test of ``(B,)`` differences.

    Up to 14 blocks every way of giving signs to the ranks is counted, ties or not; beyond that the normal
    approximation serves. A difference of 0 has a rank and no sign.
    """
    from scipy.stats import wilcoxon as test

    if not np.any(differences):
        return 1.0
    if len(differences) > _COUNTED:
        return float(test(differences, zero_method="zsplit", method="approx").pvalue)
    ranks = rank(np.abs(differences))[differences != 0]
    observed = abs(float(np.sign(differences[differences != 0]) @ ranks))
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(ranks))))
    return float((np.abs(signs @ ranks) >= observed - 1e-9).mean())


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: the smallest is multiplied by their number, the next by one less, and none may fall below."""
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    corrected, highest = [0.0] * len(p_values), 0.0
    for place, k in enumerate(order):
        highest = max(highest, min(1.0, p_values[k] * (len(p_values) - place)))
        corrected[k] = highest
    return corrected


def critical_difference(rows: int, blocks: int, alpha: float) -> float:
    """Of Nemenyi's test: ``q sqrt(R (R + 1) / 6 B)``, with q of the studentised range over the square root of 2."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, rows, math.inf)) / math.sqrt(2)
    return q * math.sqrt(rows * (rows + 1) / (6 * blocks))

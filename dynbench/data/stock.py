"""A network of stocks for every quarter, built from a panel of prices as the ULSE paper describes."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import logging
import re
from pathlib import Path
from typing import Annotated

import numpy as np
import torch

from dynbench.data import cache
from dynbench.data.base import Dataset, View, check_expected, check_view, plain
from dynbench.data.download import sha256_of
from dynbench.data.locations import DataUnavailable, Locations
from dynbench.data.textfiles import read_text
from dynbench.errors import DataError
from dynbench.graph import TemporalGraph
from dynbench.ranges import Name, Place, Positive, Text

log = logging.getLogger(__name__)

# Part of every cache key. Raise it when the recipe changes its result.
RECIPE_VERSION = 2

Quarter = Annotated[str, Text("[0-9]{4}Q[1-4]", "a quarter, such as 2015Q3")]


class Stock(Dataset):
    """Partial correlations of returns, a snapshot per quarter.

    Daily logarithmic returns; within a quarter the ranks of each stock's returns become Gaussian scores
    (nonparanormal transform), and a graphical lasso with one penalty for all quarters estimates the precision matrix.
    Two stocks are linked where it is not 0. Stocks are those that have a price on every day and a sector.

    Args:
        name: Name of the dataset, and the first folder looked for.
        path: Folder with ``prices.csv`` (``date`` and a column per stock) and ``nodes.csv`` (``ticker`` and its
            sector), packed or not; looked for below ``data_dir`` when ``None``.
        folders: Names of further folders below ``data_dir`` to look in.
        sector: Column of ``nodes.csv`` with the sector; the sectors are numbered in alphabetical order.
        first: First quarter, e.g. ``2015Q3``.
        last: Last quarter.
        penalty: Of the graphical lasso.
        expected: Statistics that the graph must have.
        card: Title, origin, licence and citation; for people.
        where: Folders to look in.
    """

    def __init__(
        self,
        name: Name,
        path: Place | None = None,
        folders: list[Name] | None = None,
        sector: str = "sector",
        first: Quarter = "2015Q3",
        last: Quarter = "2025Q2",
        penalty: Positive = 0.4,
        expected: dict | None = None,
        card: dict | None = None,
        where: Locations | None = None,
    ) -> None:
        self.name, self.path, self.sector, self.penalty = name, path, sector, penalty
        self.folders, self.first, self.last = plain(folders or []), first, last
        self.expected, self.card = plain(expected or {}), plain(card or {})
        self.where = where if where is not None else Locations.from_settings()

    def load(self, view: View = "snapshots") -> TemporalGraph:
        """Build the graph, or read it from the cache.

        Args:
            view: ``snapshots``, or ``events`` with the quarter as time.

        Raises:
            DataUnavailable: If there is no panel of prices.
            DataError: If the panel cannot be used, naming the file and what is wrong.
        """
        check_view(view)
        prices, nodes = self._files()
        sums = {file.name: sha256_of(file) for file in (prices, nodes)}
        arguments = {key: getattr(self, key) for key in ("sector", "first", "last", "penalty")}
        key = hashlib.sha256(json.dumps([RECIPE_VERSION, arguments, sums], sort_keys=True).encode()).hexdigest()[:20]
        kept = self.where.graphs() / f"{self.name}-{key}.npz"
        graph = cache.load(kept)
        if graph is None:
            graph = self._built(prices, nodes)
            cache.store(graph, kept)
        check_expected(graph, self.name, self.expected, "snapshots", True)
        self._origin = {"source": "rebuilt from prices", "files": sums, "arguments": {"view": view, **arguments}}
        return graph if view == "snapshots" else dataclasses.replace(graph, num_steps=None)

    def _files(self) -> tuple[Path, Path]:
        names = [self.name, *self.folders]
        folders = (
            [Path(self.path).expanduser()] if self.path else [f for n in names for f in self.where.user_folders(n)]
        )
        for folder in folders:
            found = [next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None) for name in _NAMES]
            if None not in found:
                return found[0], found[1]
        looked = ", ".join(map(str, folders)) or "no folder; set data_dir or DYNBENCH_DATA"
        raise DataUnavailable(
            f"dataset '{self.name}' is not available; looked in {looked}. Prices may not be passed on: put prices.csv "
            f"(date and a column per stock) and nodes.csv (ticker,{self.sector}) into <data_dir>/{self.name}/, or name "
            "their folder with data.path"
        )

    def _built(self, prices: Path, nodes: Path) -> TemporalGraph:
        if not self.penalty > 0:
            raise DataError(f"dataset '{self.name}': data.penalty={self.penalty} must be above 0")
        days, tickers, values = read_prices(prices)
        sectors = read_sectors(nodes, self.sector)
        quarter = np.array([quarter_of(day) for day in days])
        steps = quarters(self.first, self.last)
        used = (quarter >= steps[0]) & (quarter <= steps[-1])
        chosen = [i for i, t in enumerate(tickers) if t in sectors and not np.isnan(values[used, i]).any()]
        if len(chosen) < 2:
            raise DataError(f"{prices}: fewer than two stocks with a sector have a price on all days of the period")
        returns = log_returns(values[:, chosen])
        parts = []
        for step, name in enumerate(steps):
            rows = returns[(quarter == name)[1:]]
            if len(rows) < 3:
                raise DataError(f"{prices}: quarter {name} has {len(rows)} returns; choose data.first and data.last")
            src, dst = links(rows, self.penalty)
            parts.append((src, dst, np.full(len(src), step)))
            log.info("dataset '%s': %s has %d links", self.name, name, len(src))
        src, dst, time = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        kinds = sorted({sectors[tickers[i]] for i in chosen})
        labels = torch.tensor([kinds.index(sectors[tickers[i]]) for i in chosen])
        return TemporalGraph.from_events(
            src, dst, time, len(chosen), directed=False, num_steps=len(steps), node_labels=labels
        )


_NAMES = ("prices.csv", "nodes.csv")


def read_prices(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Days, tickers and ``(days, tickers)`` prices, NaN where there is none."""
    rows = list(csv.reader(io.StringIO(read_text(path))))
    if len(rows) < 3 or rows[0][:1] != ["date"]:
        raise DataError(f"{path}: the first line must be date and the tickers, followed by a line per day")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]):
            raise DataError(f"{path}, line {number}: {len(row)} columns instead of {len(rows[0])}")
    try:
        values = np.array([[float(cell) if cell else np.nan for cell in row[1:]] for row in rows[1:]])
    except ValueError as error:
        raise DataError(f"{path}: a price is no number ({error})") from error
    if (values <= 0).any():
        raise DataError(f"{path}: a price is 0 or negative; leave it empty where there is none")
    days = [row[0] for row in rows[1:]]
    if days != sorted(set(days)):
        raise DataError(f"{path}: days must ascend, as in 2015-07-01")
    return days, rows[0][1:], values


def read_sectors(path: Path, column: str) -> dict[str, str]:
    """Sector by ticker; stocks without one are left out."""
    rows = list(csv.DictReader(io.StringIO(read_text(path))))
    if not rows or column not in rows[0] or "ticker" not in rows[0]:
        known = ", ".join(rows[0]) if rows else "none"
        raise DataError(f"{path}: needs the columns ticker and {column} (data.sector); it has {known}")
    return {row["ticker"]: row[column] for row in rows if row[column]}


def quarter_of(day: str) -> str:
    """``2015Q3`` of ``2015-07-01``."""
    return f"{day[:4]}Q{(int(day[5:7]) + 2) // 3}"


def quarters(first: str, last: str) -> list[str]:
    """All quarters from ``first`` to ``last``.

    >>> quarters("2015Q3", "2016Q1")
    ['2015Q3', '2015Q4', '2016Q1']
    """
    if not all(re.fullmatch(r"\d{4}Q[1-4]", name) for name in (first, last)) or first > last:
        raise DataError(f"data.first={first} and data.last={last} must be quarters such as 2015Q3, in this order")
    ends = [int(name[:4]) * 4 + int(name[5]) - 1 for name in (first, last)]
    return [f"{number // 4}Q{number % 4 + 1}" for number in range(ends[0], ends[1] + 1)]


def log_returns(prices: np.ndarray) -> np.ndarray:
    """``(days - 1, stocks)``."""
    return np.diff(np.log(prices), axis=0)


def gaussian_scores(returns: np.ndarray) -> np.ndarray:
    """Nonparanormal transform: each column's ranks as quantiles of a standard Gaussian; ties share a rank."""
    from scipy.stats import norm, rankdata

    return norm.ppf(rankdata(returns, axis=0) / (len(returns) + 1))


def links(returns: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs ``i < j`` whose entry of the estimated precision matrix is not 0."""
    scores = gaussian_scores(returns)
    moving = np.flatnonzero(scores.std(axis=0) > 0)  # a price that stands still is correlated with none
    correlation = np.corrcoef(scores[:, moving], rowvar=False).reshape(len(moving), -1)
    src, dst = np.nonzero(np.triu(sparse_precision(correlation, penalty), 1))
    return moving[src], moving[dst]


def sparse_precision(
    covariance: np.ndarray, penalty: float, tolerance: float = 1e-4, max_iterations: int = 2000
) -> np.ndarray:
    """Graphical lasso: the ``(p, p)`` minimiser of ``tr(S P) - log det P + penalty * sum of |P_ij| off the diagonal``.

    Alternating directions (Boyd et al., 2011, section 6.5). scikit-learn's coordinate descent gives up on many
    quarters, which have fewer days than stocks; here each step takes all eigenvalues, so that a singular ``S`` does no
    harm.

    Args:
        covariance: ``S``, symmetric with no negative eigenvalue.
        penalty: Above 0.
        tolerance: Root mean square of both residuals at the end.
        max_iterations: Steps at most.

    Raises:
        DataError: If the tolerance is not reached.
    """
    size = len(covariance)
    sparse, dual, weight = np.eye(size), np.zeros((size, size)), 1.0
    for _ in range(max_iterations):
        values, vectors = np.linalg.eigh(weight * (sparse - dual) - covariance)
        smooth = (vectors * ((values + np.sqrt(values**2 + 4 * weight)) / (2 * weight))) @ vectors.T
        before, shifted = sparse, smooth + dual
        sparse = np.sign(shifted) * np.maximum(np.abs(shifted) - penalty / weight, 0)
        np.fill_diagonal(sparse, np.diag(shifted))
        dual = shifted - sparse
        primal, moved = np.linalg.norm(smooth - sparse) / size, weight * np.linalg.norm(sparse - before) / size
        if max(primal, moved) <= tolerance:
            return sparse
        # Keep both residuals of one size; the dual is scaled by the weight.
        factor = 2.0 if primal > 10 * moved else 0.5 if moved > 10 * primal else 1.0
        weight, dual = weight * factor, dual / factor
    raise DataError(f"the graphical lasso did not converge at data.penalty={penalty}; choose a larger one")

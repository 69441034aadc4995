"""Fixtures of the spectral tests: the paper's networks, and noise-free ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from dynbench.data import Locations, cards
from dynbench.graph import TemporalGraph

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Callable[..., TemporalGraph]:
    """Draw a synthetic network of the catalogue."""
    where = Locations([], tmp_path_factory.mktemp("cache"), offline=True)

    def draw(name: str, **settings) -> TemporalGraph:
        return cards.build(cards.read_card(CONF / "data" / f"{name}.yaml"), where, **settings).load()

    return draw


@pytest.fixture(scope="session")
def school_folder() -> Path:
    """Where the School data lie, or skip the test."""
    for folder in Locations.from_settings(offline=True).user_folders("school"):
        if (folder / "snapshots.csv.gz").is_file():
            return folder
    pytest.skip("the School data are not at hand")


def expected(sizes: list[int], blocks: list[np.ndarray]) -> list[sparse.csr_array]:
    """Noise-free snapshots: one ``(K, K)`` block matrix per time over static communities of the given sizes."""
    static = np.repeat(np.arange(len(sizes)), sizes)
    return [sparse.csr_array(block[np.ix_(static, static)]) for block in blocks]


def merging(sizes: list[int], p: float = 0.4, q: float = 0.2) -> tuple[list[sparse.csr_array], np.ndarray]:
    """The paper's three communities, of which two merge: noise-free snapshots and ``(T, N)`` classes."""
    merges = np.array([[0, 1, 2], [0, 0, 1], [0, 1, 1]])
    blocks = [np.where(merge[:, None] == merge[None, :], p, q) for merge in merges]
    return expected(sizes, blocks), merges[:, np.repeat(np.arange(3), sizes)]

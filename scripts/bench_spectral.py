"""Time spectral embeddings beside scipy's ``svds``, and random walks: ``python scripts/bench_spectral.py``.

Both sides embed the same drawn networks, in this process, with the same number of threads. ``svds`` gets the unfolded
matrix in double precision and the same tolerance; singular values of both are compared before a time is printed.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import svds

from dynbench.models.spectral.eigen import Eigenpairs, start_vector
from dynbench.models.spectral.ulse_n1 import laplacians
from dynbench.models.spectral.unfolding import Unfolding, anchor, left_singular, project
from dynbench.nn.skip_gram import skip_gram
from dynbench.sampling.walks import random_walks

# Nodes, snapshots, entries of all snapshots together (both directions).
FULL = {"uase": (100_000, 10, 10_800_000), "ulse_n1": (20_000, 12, 7_000_000)}
TOLERANCE = 1e-6


def draw_snapshots(nodes: int, steps: int, entries: int, classes: int = 40, seed: int = 0) -> list[sparse.csr_array]:
    """Symmetric matrices of zeros and ones: communities of unequal size, half of the links inside them."""
    draw = np.random.default_rng(seed)
    share = draw.dirichlet(np.full(classes, 3.0))
    class_of = np.sort(draw.choice(classes, nodes, p=share))
    first, last = (np.searchsorted(class_of, np.arange(classes), side) for side in ("left", "right"))
    result = []
    for _ in range(steps):
        src = draw.integers(0, nodes, entries // steps // 2)
        begin, end = first[class_of[src]], last[class_of[src]]
        inside = begin + (draw.random(len(src)) * (end - begin)).astype(np.int64)
        dst = np.where(draw.random(len(src)) < 0.5, inside, draw.integers(0, nodes, len(src)))
        rows, columns = (np.concatenate(pair).astype(np.int32) for pair in ((src, dst), (dst, src)))
        matrix = sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(nodes, nodes))
        matrix.sum_duplicates()
        matrix.data[:] = 1
        result.append(matrix)
    return result


def adjacency(matrices: list[sparse.csr_array]) -> Unfolding:
    """``[A_1 | ... | A_T]``."""
    ones = np.ones((len(matrices), matrices[0].shape[0]))
    return Unfolding(matrices, ones, ones)


def timed(call: Callable):
    """What a call returns, with its seconds by the clock and on processors."""
    wall, processor = time.perf_counter(), time.process_time()
    result = call()
    return result, {"seconds": time.perf_counter() - wall, "processor": time.process_time() - processor}


def residual(unfolding: Unfolding, found: Eigenpairs) -> float:
    """Largest ``|G u - s^2 u|`` relative to the largest ``s^2`` for the Gram matrix ``G``, in double precision."""
    double, vectors = unfolding.astype(np.float64), found.vectors.astype(np.float64)
    values = found.values.astype(np.float64) ** 2
    return float(np.linalg.norm(double.gram(vectors) - vectors * values, axis=0).max() / values.max())


def beside_svds(matrices: list[sparse.csr_array], dim: int) -> dict:
    """UASE's singular vectors by dynbench and by ``svds`` of the unfolded matrix.

    Raises:
        SystemExit: If they differ; then there is nothing to compare.
    """
    unfolding = adjacency(matrices)
    (ours, embedding), our_time = timed(lambda: _uase(unfolding, dim))
    whole = sparse.csr_array(sparse.hstack([matrix.astype(np.float64) for matrix in matrices], format="csr"))
    start = start_vector(min(whole.shape))
    (left, values, _), their_time = timed(lambda: svds(whole, dim, tol=TOLERANCE, v0=start))
    theirs = Eigenpairs(values[::-1], left[:, ::-1])
    if np.abs(ours.values - theirs.values).max() > 1e-4 * theirs.values[0]:
        raise SystemExit(f"singular values differ: {ours.values} and {theirs.values}")
    return {
        "ours": our_time,
        "svds": their_time,
        "ours residual": residual(unfolding, ours),
        "svds residual": residual(unfolding, theirs),
        "products": ours.products,
        "entries": int(whole.nnz),
        "shape": list(embedding.shape),
    }


def _uase(unfolding: Unfolding, dim: int) -> tuple[Eigenpairs, np.ndarray]:
    found = left_singular(unfolding, dim, "largest", "sparse", TOLERANCE)
    return found, project(unfolding, anchor(found))


def ulse_n1(matrices: list[sparse.csr_array], dim: int = 10) -> dict:
    """ULSE-n1's whole embedding."""

    def embed() -> Eigenpairs:
        unfolding = laplacians(matrices, 0.1)
        found = left_singular(unfolding, dim + 1, "smallest", "sparse", TOLERANCE)
        project(Unfolding(matrices, unfolding.left, unfolding.right, 0.0, -1.0), anchor(found))
        return found

    found, spent = timed(embed)
    return {**spent, "entries": sum(matrix.nnz for matrix in matrices), "products": found.products}


def memory_in_matrices(nodes: int, steps: int, entries: int, dim: int) -> dict:
    """Highest memory while embedding, in sizes of the sparse matrices, measured in a process of its own."""
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_memory, (nodes, steps, entries, dim))


def _memory(nodes: int, steps: int, entries: int, dim: int) -> dict:
    matrices = draw_snapshots(nodes, steps, entries)
    size = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in matrices) / 2**20
    tracked = _Peak()
    _uase(adjacency(matrices), dim)
    return {
        "matrices (MiB)": size,
        "peak above start (MiB)": tracked.above(),
        "times the matrices": tracked.above() / size + 1,
    }


class _Peak:
    """Memory allocated by NumPy beyond what was there before."""

    def __init__(self):
        import tracemalloc

        tracemalloc.start()
        self._module, self._before = tracemalloc, tracemalloc.get_traced_memory()[0]

    def above(self) -> float:
        return (self._module.get_traced_memory()[1] - self._before) / 2**20


def walks(matrix: sparse.csr_array, p: float, q: float) -> dict:
    """Walk steps per second, 10 walks of 80 nodes from every node."""
    torch.manual_seed(0)
    starts = torch.arange(matrix.shape[0]).repeat(10)
    found, spent = timed(lambda: random_walks(matrix, starts, 80, p, q))
    return {**spent, "million steps per second": found.numel() / spent["seconds"] / 1e6}


def training(matrix: sparse.csr_array, dim: int) -> dict:
    """Pairs of walks trained per second."""
    found = random_walks(matrix, torch.arange(matrix.shape[0]), 80)
    _, spent = timed(lambda: skip_gram(found, matrix.shape[0], dim, subsample=0))
    return {**spent, "million pairs per second": found.numel() * 10 / spent["seconds"] / 1e6}


def main() -> None:
    """Print the measurements, and perhaps write them."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes")
    parser.add_argument("--threads", type=int, default=2, help="threads of either side")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result to a file as well")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result: dict[str, dict] = {}

    def show(name: str, values: dict) -> None:
        result[name] = values
        print(f"{name}: {json.dumps(_rounded(values))}", flush=True)

    def sized(name: str, scale: float) -> tuple[int, int, int]:
        nodes, steps, entries = FULL[name]
        return int(nodes * scale), steps, int(entries * scale)

    graph = draw_snapshots(*sized("uase", arguments.scale * 0.2))[0]
    for p, q in ((1.0, 1.0), (4.0, 1.0), (2.0, 0.5), (0.5, 2.0)):
        show(f"walks, p={p:g}, q={q:g}", walks(graph, p, q))
    show("skip-gram, d=16", training(graph, 16))
    matrices = draw_snapshots(*sized("ulse_n1", arguments.scale))
    show("ULSE-n1, d=10", ulse_n1(matrices))
    for dim in (16, 32):
        for share in (0.25, 0.5, 1.0) if dim == 16 else (1.0,):
            matrices = draw_snapshots(*sized("uase", arguments.scale * share))
            show(f"UASE, d={dim}, n={matrices[0].shape[0]:,}", beside_svds(matrices, dim))
    show("UASE memory, d=16", memory_in_matrices(*sized("uase", arguments.scale), 16))
    result["process"] = {"peak (MiB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()

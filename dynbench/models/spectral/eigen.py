"""A few extreme eigenpairs of a large symmetric operator, by Lanczos with thick restarts.

A Krylov space grown from one vector spends the fewest products, and meets every multiple eigenvalue once only. So what
was found is looked at again from a new random direction, until nothing new turns up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dynbench.errors import RunError

# Steps between two looks at the residuals, each of which costs a small dense eigenproblem.
_PATIENCE = 4
# Eigenvalues that moved by less, relative to the largest, did not change between two looks.
_SAME = 1e-4


@dataclass(frozen=True)
class Eigenpairs:
    """What was found, and at what price.

    Attributes:
        values: ``(k,)`` eigenvalues, the wanted end first.
        vectors: ``(n, k)`` orthonormal eigenvectors; in each the entry of largest magnitude is positive.
        products: Operator products with a single vector.
        residual: Largest ``|A u - a u|`` among the pairs, relative to the largest ``|a|`` met.
    """

    values: np.ndarray
    vectors: np.ndarray
    products: int = 0
    residual: float = 0.0


def dense_eigenpairs(matrix: np.ndarray, k: int, which: Literal["largest", "smallest"]) -> Eigenpairs:
    """The same from all eigenpairs of a dense ``(n, n)`` symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    order = np.arange(len(values)) if which == "smallest" else np.arange(len(values))[::-1]
    return Eigenpairs(values[order[:k]], with_fixed_signs(vectors[:, order[:k]]))


def eigenpairs(
    apply: Callable[[np.ndarray], np.ndarray],
    n: int,
    k: int,
    which: Literal["largest", "smallest"],
    tolerance: float = 1e-6,
    seed: int = 0,
    dtype: type = np.float64,
    start: np.ndarray | None = None,
    max_products: int = 200_000,
) -> Eigenpairs:
    """Find the ``k`` largest or smallest (algebraically) eigenpairs.

    Args:
        apply: Multiplies a symmetric operator with an ``(n, b)`` C-ordered block.
        n: Size of the operator.
        k: Eigenpairs wanted; far below ``n``.
        which: End of the spectrum.
        tolerance: Wanted ``|A u - a u|``, relative to the largest magnitude of an eigenvalue.
        seed: Seed of the starting block.
        dtype: Precision of the iteration; single precision reaches tolerances of about 1e-6.
        start: ``(n, b)`` a guess to start from, e.g. the eigenvectors of a similar operator.
        max_products: Limit on products.

    Raises:
        RunError: If the limit is reached before the tolerance.
    """
    block = start.shape[1] if start is not None else 1
    keep = min(k + max(8, block, k // 2), n)
    capacity = min(n, 2 * keep + max(16, 6 * block))
    draw = np.random.default_rng(seed)
    fresh = start if start is not None else draw.standard_normal((n, block))
    basis = np.empty((n, capacity + block), dtype=dtype, order="F")
    ritz = np.zeros((capacity + block, capacity + block))
    basis[:, :block] = _orthonormal(np.asarray(fresh, dtype=dtype))
    size, products, scale, steps = 0, 0, 0.0, 0
    sign = 1.0 if which == "smallest" else -1.0
    before, carried = None, 0.0  # what the last look found, and its residual
    while True:
        # One step: multiply the newest block, orthogonalise against all before it, append.
        step = slice(size, size + block)
        done = size + block
        image = np.asarray(apply(np.ascontiguousarray(basis[:, step])), dtype=dtype)
        products += block
        known = basis[:, :done]
        overlap = known.T @ image
        image -= known @ overlap
        ritz[:done, step] = overlap
        ritz[step, :done] = overlap.T
        following, coupling = _next_block(known, image, draw)
        size, steps = done, steps + 1
        exhausted, full = size + block > n, size + block > capacity
        # A new look has seen enough once it has filled the basis.
        looked = before is None or full or steps * block > capacity
        if exhausted or full or (looked and size >= k and steps % _PATIENCE == 0) or products >= max_products:
            values, rotation = np.linalg.eigh(sign * (ritz[:size, :size] + ritz[:size, :size].T) / 2)
            scale = max(scale, float(np.abs(values).max()))
            remainder = np.linalg.norm(coupling @ rotation[size - block :, : min(k, size)], axis=0)
            residual = float(remainder.max()) / max(scale, np.finfo(float).tiny)
            converged = looked and size >= k and residual <= tolerance
            if not (converged or exhausted) and products >= max_products:
                raise RunError(
                    f"the eigenvectors did not converge: residual {residual:.1e} after {products} products; "
                    "raise model.tolerance"
                )
            same = before is not None and np.abs(values[:k] - before).max() <= _SAME * scale
            if exhausted or (converged and same):
                vectors = known @ rotation[:, :k].astype(dtype)
                return Eigenpairs(sign * values[:k], with_fixed_signs(vectors), products, max(residual, carried))
            if converged or full:
                # Keep the best part of the subspace, and go on from the newest block or, to look again, from elsewhere.
                best = k if converged else min(keep, size - block)
                basis[:, :best] = known @ rotation[:, :best].astype(dtype)
                ritz[:] = 0.0
                np.fill_diagonal(ritz[:best, :best], sign * values[:best])
                size = best
                if converged:
                    before, carried, steps = values[:k].copy(), residual, 0
                    following = _beside(basis[:, :best], draw.standard_normal((n, block)).astype(dtype))
        basis[:, size : size + block] = following


def with_fixed_signs(vectors: np.ndarray) -> np.ndarray:
    """Flip columns so that the entry of largest magnitude is positive (the first such, if several tie)."""
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.where(vectors[largest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)
    return vectors * signs.astype(vectors.dtype)


def start_vector(n: int) -> np.ndarray:
    """``(n,)`` a fixed start for ARPACK, which would otherwise draw its own."""
    return np.random.default_rng(0).standard_normal(n)


def _next_block(known: np.ndarray, image: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """An orthonormal block that continues ``known``, and ``C`` with ``image = block @ C`` (nearly)."""
    block, first = _factor(image, draw)
    # Rounding leaves a share of the known directions, a large one where ``image`` all but vanished; remove it, too.
    rest = known.T @ block
    block -= known @ rest
    block, second = _factor(block, draw)
    if np.abs(rest).max() > 0.1:
        block = _beside(known, block)
    return block, second @ first


def _beside(known: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Orthonormal, and orthogonal to ``known``."""
    for _ in range(2):
        block = _orthonormal(block - known @ (known.T @ block))
    return block


def _factor(matrix: np.ndarray, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """QR by Cholesky where that is safe (it is one product), by Householder reflections elsewhere."""
    gram = (matrix.T @ matrix).astype(np.float64)
    norms = np.sqrt(np.diag(gram))
    if norms.min() > 0:
        scaled = gram / np.outer(norms, norms)
        try:
            factor = np.linalg.cholesky(scaled)
            if np.diag(factor).min() > 0.05:
                upper = factor.T * norms
                return matrix @ np.linalg.inv(upper).astype(matrix.dtype), upper
        except np.linalg.LinAlgError:
            pass
    else:
        matrix = np.where(norms > 0, matrix, 1e-30 * draw.standard_normal(matrix.shape)).astype(matrix.dtype)
    block, upper = np.linalg.qr(matrix)
    return block, upper.astype(np.float64)


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    return np.linalg.qr(matrix)[0]

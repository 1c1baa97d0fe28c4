"""How much each gallery image leaves of each probe cell, from the forms in floating point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.fpr.gallery import Images

NEAR_DUPLICATE = 0.05
"""Below this share of squared length left the explaining form is not trusted: ||x||^2 - ||Q'x||^2 cancels,
and float32 would be wrong by more than 1e-6. Such cells are computed again directly."""


def residual_lengths(cells: NDArray[np.float32], residual: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(B, N) ||S x|| of (N, C) cells under (B, C, C) forms."""
    images, channels, _ = residual.shape
    left = residual.reshape(-1, channels).astype(np.float32, copy=False) @ cells.T  # (B * C, N)
    return np.sqrt(summed_squares(left, images))


def explaining_lengths(
    cells: NDArray[np.float32], images: Images, basis: NDArray[np.floating[Any]], ridge: float
) -> NDArray[np.float32]:
    """(B, N) sqrt(||x||^2 - ||Q'x||^2) of (N, C) cells under (B, M, C) forms."""
    whole = np.einsum("nc,nc->n", cells, cells)
    explained = basis.reshape(-1, basis.shape[2]).astype(np.float32, copy=False) @ cells.T  # (B * M, N)
    squared = whole - summed_squares(explained, len(basis))
    lengths: NDArray[np.float32] = np.sqrt(np.maximum(squared, 0))
    duplicate = squared < NEAR_DUPLICATE * whole
    for image in np.flatnonzero(duplicate.any(1)):
        near = duplicate[image]
        lengths[image, near] = exact_lengths(cells[near], images.cells[image], ridge)
    return lengths


def summed_squares(products: NDArray[np.float32], images: int) -> NDArray[np.float32]:
    """(B, N) sums over each image's rows of a (B * M, N) product, which is overwritten."""
    np.square(products, out=products)
    summed: NDArray[np.float32] = products.reshape(images, -1, products.shape[1]).sum(1)
    return summed


def exact_lengths(
    x: NDArray[np.float32], cells: NDArray[np.floating[Any]], ridge: float
) -> NDArray[np.float64]:
    """(N,) residual lengths ||x - Y w|| in float64, without cancellation."""
    y = cells.astype(np.float64)  # (M, C)
    gram = y @ y.T + ridge * np.eye(len(y))
    solved = np.linalg.solve(gram, y @ x.T)  # (M, N)
    lengths: NDArray[np.float64] = np.linalg.norm(x - solved.T @ y, axis=1)
    return lengths

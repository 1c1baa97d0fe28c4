"""What a gallery image is turned into so that one matrix product explains any number of probe cells.

With A = (Y'Y + bI)^-1 ([FPR] Eq. 3) what an image leaves of a cell x is e = x - Y A Y'x. Three forms of it:

* residual, for few channels: S = I - Y A Y', e = Sx. Nothing cancels: 1e-7 of the cell, however small e is.
* explaining, for many: Q' with ||Q'x||^2 = ||x||^2 - ||e||^2. M rows instead of C, but small e cancel.
* quantised: Q' in 8 bits, its part along the gallery's common directions U split off and kept exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

RESIDUAL_CHANNELS = 128
"""Up to so many channels S (C x C) is used: with 70 cells of 112 channels it costs 1.6 times Q', and the
shipped network's residuals (a quarter of its cells under 0.1) need no second computation."""
MOST_DIRECTIONS = 24
DIRECTION_CHANNELS = 2688
"""Common directions split off are DIRECTION_CHANNELS / C, at most MOST_DIRECTIONS: 8 bits err by less where
there are more channels. On held-out people with 112 the largest error of a pair over 0.15 is 3e-4 with 16
directions, 2e-4 with 24 (an eighth slower), 1.7e-4 with 32."""
LEVELS = 127
"""Largest magnitude of an 8-bit number that is used."""


@dataclass(frozen=True)
class Quantised:
    """Images in 8 bits: with Q' = P U' + F and x = U s + z, ||Q'x||^2 = ||T s||^2 + 2 s'P'F z + ||F z||^2."""

    basis: NDArray[np.int8]  # (B, 2 K + M, C) 2 P'F as a high and a low row each, then F; C rounded up to 4s
    offsets: NDArray[np.int32]  # (B, 2 K + M) -128 times the sum of each row of `basis`
    scales: NDArray[np.float32]  # (B, 2 K + M) of the rows
    triangle: NDArray[np.float32]  # (B, K, K) T, upper triangular: T'T = P'P


def residual_form(cells: Array, ridge: float) -> NDArray[np.float64]:
    """(B, C, C) S of (B, M, C) images; zero cells change nothing."""
    y, solved = solved_cells(cells, ridge)
    left: NDArray[np.float64] = np.eye(y.shape[2]) - y.mT @ solved
    return left


def explaining_form(cells: Array, ridge: float) -> NDArray[np.float64]:
    """(B, M, C) Q' of images: ||Q'x||^2 is what each explains of ||x||^2.

    ||e||^2 = ||x||^2 - x'Y A (Y'Y + 2bI) A Y'x, and so Y'Y + 2bI = T'T gives Q' = T A Y'. No division by
    singular values: cells may repeat or be zero.
    """
    y, solved = solved_cells(cells, ridge)
    doubled = np.linalg.cholesky(y @ y.mT + 2 * ridge * np.eye(y.shape[1]))  # lower: T'
    basis: NDArray[np.float64] = doubled.mT @ solved
    return basis


def solved_cells(cells: Array, ridge: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The (B, M, C) cells in float64 (the transpose of the paper's Y), and A Y' of the same shape."""
    y: NDArray[np.float64] = cells.astype(np.float64)
    return y, np.asarray(np.linalg.solve(y @ y.mT + ridge * np.eye(y.shape[1]), y), np.float64)


def quantised_form(cells: Array, ridge: float, directions: NDArray[np.float32]) -> Quantised:
    """(B, M, C) images in 8 bits.

    The rows are rotated first, which changes no length and spreads large values over all of them.

    Args:
        directions: (K, C) orthonormal U', see `common_directions`.
    """
    basis = rotation(cells.shape[1]) @ explaining_form(cells, ridge)  # (B, M, C)
    along = basis @ directions.T.astype(np.float64)  # (B, M, K) P
    rest = basis - along @ directions  # F
    squares, square_scales = eight_bits(rest)
    cross = 2 * along.mT @ rest  # (B, K, C)
    high, high_scales = eight_bits(cross)
    low, low_scales = eight_bits(cross - high * high_scales[..., None])
    rows = [interleaved(high, low), squares]  # wider images pad the end
    scales = [interleaved(high_scales, low_scales), square_scales]
    wide = np.pad(np.concatenate(rows, 1), ((0, 0), (0, 0), (0, -cells.shape[2] % 4)))
    triangle = np.linalg.cholesky(along.mT @ along + 1e-12 * np.eye(len(directions))).mT
    return Quantised(
        wide.astype(np.int8),
        -128 * wide.sum(2).astype(np.int32),
        np.concatenate(scales, 1).astype(np.float32),
        triangle.astype(np.float32),
    )


def eight_bits(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The (..., C) rows as integers of at most LEVELS, and what each row's are to be multiplied with."""
    largest: NDArray[np.float64] = np.abs(rows).max(-1)
    scales: NDArray[np.float64] = np.maximum(largest, 1e-12) / LEVELS  # a zero row stays zero
    return np.rint(rows / scales[..., None]), scales


def interleaved(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, 2 K, ...) rows of (B, K, ...) arrays in turn."""
    stacked = np.stack([first, second], 2)
    return stacked.reshape(stacked.shape[0], -1, *stacked.shape[3:])


@cache
def rotation(size: int) -> NDArray[np.float64]:
    """(size, size) a random rotation, always the same."""
    drawn = np.random.default_rng(size).standard_normal((size, size))
    rotated: NDArray[np.float64] = np.linalg.qr(drawn)[0]
    return rotated


def common_directions(cells: Array) -> NDArray[np.float32]:
    """(K, C) orthonormal directions that hold most of these (N, C) cells' squared length."""
    channels = cells.shape[1]
    count = min(MOST_DIRECTIONS, max(1, DIRECTION_CHANNELS // channels), channels)
    wide = cells.astype(np.float64)
    if count == 1:  # the mean is nearly the same and needs no C x C decomposition
        mean = wide.mean(0, keepdims=True)
        length = np.linalg.norm(mean)
        axis: NDArray[np.float64] = mean / length if length > 0 else np.eye(1, channels)
        return axis.astype(np.float32)
    _, vectors = np.linalg.eigh(wide.T @ wide)
    largest: NDArray[np.float32] = np.ascontiguousarray(vectors[:, : -count - 1 : -1].T).astype(np.float32)
    return largest

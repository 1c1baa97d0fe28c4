"""What FPR is compared with on the same features: sliding window matching and part stripes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.sets.tracklets import CropEmbedding

STRIPES = 6  # PCB (Sun et al., ECCV 2018)
STRIDE = 2
"""Between cells of one pyramid level, in map positions: `reid.network.model.PYRAMID_STRIDE`."""
LEAST_ROWS, MOST_ROWS = 2, 64
"""Heights of a map that are tried to explain a number of cells; 32 to 1,024 px."""


@dataclass(frozen=True)
class CellGrid:
    """How a crop's cells lie on its map: levels in the order of the kernels, rows first."""

    kernels: tuple[int, ...] = (2, 4, 6, 8)
    columns: int = 8
    """Width of the map, the same for every crop."""
    rows: int = 16
    """Height of the map of a whole body's crop; half bodies have fewer."""

    @property
    def aspect(self) -> float:
        """Height by width of a whole body's crop."""
        return self.rows / self.columns

    def finest(self, cells: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """(rows, columns, C) cells of the first level of (N, C).

        Raises:
            ValueError: N cells do not come from a map of this width.
        """
        rows, columns = self.levels(self.height(len(cells)))[0]
        return cells[: rows * columns].astype(np.float32).reshape(rows, columns, -1)

    def height(self, count: int) -> int:
        """Rows of the map that has `count` cells.

        Raises:
            ValueError: no map of this width has.
        """
        for height in range(LEAST_ROWS, MOST_ROWS + 1):
            if sum(rows * columns for rows, columns in self.levels(height)) == count:
                return height
        raise ValueError(f"{count} cells: no map {self.columns} wide has as many at k = {self.kernels}")

    def levels(self, height: int) -> list[tuple[int, int]]:
        """Rows and columns of each level of a map."""
        return [level_shape(height, self.columns, kernel) for kernel in self.kernels]

    def window_means(self, share: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(N,) mean of a (height, columns) map over the window of each cell, in the cells' order."""
        return np.concatenate([level_means(share, kernel) for kernel in self.kernels])


def level_shape(height: int, width: int, kernel: int) -> tuple[int, int]:
    """Rows and columns of a pyramid level; the kernel is clipped to the map."""
    rows, columns = ((side - min(kernel, side)) // STRIDE + 1 for side in (height, width))
    return rows, columns


def level_means(share: NDArray[np.floating[Any]], kernel: int) -> NDArray[np.float64]:
    """Mean over each window of one pyramid level, rows first."""
    size = tuple(min(kernel, side) for side in share.shape)
    views = np.lib.stride_tricks.sliding_window_view(share.astype(np.float64), size)[::STRIDE, ::STRIDE]
    return np.asarray(views.mean((2, 3)).ravel(), np.float64)


def stripe_distances(
    queries: Sequence[CropEmbedding], gallery: Sequence[CropEmbedding], grid: CellGrid
) -> NDArray[np.float32]:
    """(Q, G) cosine distances of STRIPES horizontal stripes each, averaged: PCB's features side by side."""
    mine, theirs = (np.stack([stripes(grid.finest(e.cells)) for e in part]) for part in (queries, gallery))
    result: NDArray[np.float32] = 1 - mine.reshape(len(mine), -1) @ theirs.reshape(len(theirs), -1).T
    return result


def stripes(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """(STRIPES, C) mean cell of each stripe of a (rows, columns, C) grid; all together of unit length."""
    rows = cells.mean(1)
    edges = [(i * len(rows) // STRIPES, -(-(i + 1) * len(rows) // STRIPES)) for i in range(STRIPES)]
    means = np.stack([rows[first:last].mean(0) for first, last in edges])
    return unit(means) / np.float32(np.sqrt(STRIPES))


def window_distances(
    queries: Sequence[CropEmbedding], gallery: Sequence[CropEmbedding], grid: CellGrid
) -> NDArray[np.float32]:
    """(Q, G) least cosine distance of the smaller picture's mean cell and equal windows of the larger one's.

    Sliding window matching (Zheng et al., ICCV 2015): pictures are equally wide, so windows slide vertically.
    """
    mine, theirs = ([grid.finest(e.cells).mean(1) for e in part] for part in (queries, gallery))
    distances = np.empty((len(mine), len(theirs)), np.float32)
    for height, chosen in by_height(mine).items():
        for other, columns in by_height(theirs).items():
            window = min(height, other)
            one, two = (
                np.stack([windows(part[i], window) for i in some])
                for part, some in ((mine, chosen), (theirs, columns))
            )
            likeness = np.einsum("qac,gbc->qgab", one, two, optimize=True)
            distances[np.ix_(chosen, columns)] = 1 - likeness.max((2, 3))
    return distances


def by_height(pictures: Sequence[NDArray[np.float32]]) -> dict[int, list[int]]:
    """The places of the (rows, C) arrays of each number of rows."""
    found: dict[int, list[int]] = {}
    for place, rows in enumerate(pictures):
        found.setdefault(len(rows), []).append(place)
    return found


def windows(rows: NDArray[np.float32], height: int) -> NDArray[np.float32]:
    """(W, C) unit means of every run of `height` rows of (rows, C)."""
    return unit(np.stack([rows[i : i + height].mean(0) for i in range(len(rows) - height + 1)]))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors along the last axis with length 1."""
    result: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return result


BASELINES: dict[
    str,
    Callable[[Sequence[CropEmbedding], Sequence[CropEmbedding], CellGrid], NDArray[np.float32]],
] = {"swm": window_distances, "pcb": stripe_distances}

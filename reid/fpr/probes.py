"""Probes laid side by side: one matrix product compares them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.fpr.gallery import Cells, check_cells

Foreground = NDArray[np.floating[Any]]  # (N,), or (W, N) where a name says weighted
Probe = tuple[Cells, Foreground]

BLOCK_CELLS = 1024
"""Probe cells of one matrix product."""


@dataclass(frozen=True)
class ProbeBlock:
    """Consecutive probes."""

    first: int
    """Place of the first among all probes."""
    starts: NDArray[np.intp]  # (P,) first cell of each probe
    cells: NDArray[np.float32]  # (N, C)
    weights: NDArray[np.float32]  # (W, N) foreground; each probe's sums to 1

    def mean(self, lengths: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """(W, B, P) foreground-weighted mean of (B, N) lengths over each probe's cells."""
        weighted = [np.add.reduceat(lengths * row, self.starts, axis=1) for row in self.weights]
        result: NDArray[np.float32] = np.stack(weighted).astype(np.float32)
        return result

    def cells_of(self, probes: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(N,) which cells belong to these (P,) probes."""
        result: NDArray[np.bool_] = np.repeat(probes, np.diff([*self.starts, len(self.cells)]))
        return result


def blocks_of(probes: Sequence[Probe]) -> Iterator[ProbeBlock]:
    """The probes with (W, N) foregrounds, about BLOCK_CELLS cells together."""
    return laid_side_by_side([(cells, weights(foreground)) for cells, foreground in probes])


def laid_side_by_side(probes: Sequence[tuple[Cells, NDArray[np.float32]]]) -> Iterator[ProbeBlock]:
    """Cells with their (W, N) weights, which sum to 1, about BLOCK_CELLS cells together."""
    first, count = 0, 0
    for place, (cells, _) in enumerate(probes):
        if count and count + len(cells) > BLOCK_CELLS:
            yield block_of(probes, first, place)
            first, count = place, 0
        count += len(cells)
    yield block_of(probes, first, len(probes))


def block_of(probes: Sequence[tuple[Cells, NDArray[np.float32]]], first: int, last: int) -> ProbeBlock:
    """Probes `first` to `last` - 1."""
    some = probes[first:last]
    starts = np.cumsum([0, *(len(cells) for cells, _ in some[:-1])])
    cells = np.concatenate([cells for cells, _ in some]).astype(np.float32)
    return ProbeBlock(first, starts, cells, np.concatenate([h for _, h in some], axis=1))


def weights(foreground: Foreground) -> NDArray[np.float32]:
    """(W, N) foreground with rows that sum to 1."""
    wide = foreground.astype(np.float64)
    normalized: NDArray[np.float32] = (wide / wide.sum(1, keepdims=True)).astype(np.float32)
    return normalized


def check_probe(cells: Cells, foreground: Foreground, channels: int) -> None:
    """Refuse a probe whose distance would mean nothing: all-zero cells are explained by anything."""
    check_cells(cells, channels)
    if foreground.shape[1:] != cells.shape[:1]:
        raise ValueError(f"foreground has {foreground.shape[1:]} cells, must have {cells.shape[:1]}")
    if not np.isfinite(foreground).all() or (foreground < 0).any():
        raise ValueError("foreground must be finite and >= 0")
    if not (foreground[:, cells.any(1)].sum(1) > 0).all():
        raise ValueError("a probe needs foreground on a cell that is not zero")

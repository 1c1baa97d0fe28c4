"""The nearest gallery images only: by a bound that proves who need not be compared, or by a coarse screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.fpr.distance import Precision, chosen_rows, distance
from reid.fpr.gallery import Cells, PreparedGallery, Storage, prepare
from reid.fpr.probes import Foreground, Probe

COARSE_SHARE = 4
"""The last quarter of an image's cells are its coarse ones: 17 of 70 at 16x8, the kernels of 6 and 8."""
SCREENED = 75
"""Images a screen keeps: of 2,400 the coarsest levels needed so many to keep the nearest."""
STAGES = (0.35, 0.7)
"""Shares of a probe's foreground after which the bound is tried."""
ROUNDING = 1e-3
"""What a bound may exceed the k-th distance by before an image is given up: above every path's error."""


@dataclass(frozen=True)
class Nearest:
    """Each probe's nearest images, nearest first; equal distances by row."""

    rows: NDArray[np.intp]  # (P, k)
    distances: NDArray[np.float32]  # (P, k)
    compared: float
    """Cells compared, over all cells of all pairs: what the bound or the screen left to do."""


def nearest(
    probes: Sequence[Probe],
    gallery: PreparedGallery,
    count: int,
    *,
    rows: Sequence[int] | NDArray[np.intp] | None = None,
    precision: Precision = "auto",
) -> Nearest:
    """The `count` nearest images of each probe, certainly: nobody is left out who could be among them.

    A part of a probe's cells, weighted as in the whole, gives a lower bound of the distance: every cell adds
    at least 0. Images whose bound exceeds the count-th distance so far are given up.

    Raises:
        ValueError: count < 1, or as `distance`.
    """
    if count < 1:
        raise ValueError(f"count = {count}, must be >= 1")
    chosen = chosen_rows(probes, gallery, rows)
    chosen = chosen[~np.isin(chosen, list(gallery.free))] if gallery.free else chosen
    found = [nearest_of(probe, gallery, min(count, len(chosen)), chosen, precision) for probe in probes]
    return stacked(found)


def nearest_of(
    probe: Probe, gallery: PreparedGallery, count: int, rows: NDArray[np.intp], precision: Precision
) -> Nearest:
    """The same for one probe."""
    cells, foreground = probe
    order = np.argsort(-foreground, kind="stable")
    ends = stage_ends(foreground[order])
    bounds = np.zeros(len(rows))
    left = np.arange(len(rows))
    compared, begin = 0, 0
    for end in ends:
        some = order[begin:end]
        share = float(foreground[some].sum() / foreground.sum())
        if (foreground[some] > 0)[cells[some].any(1)].any():
            part = distance([(cells[some], foreground[some])], gallery, rows=rows[left], precision=precision)
            bounds[left] += share * part[0]
        compared += len(left) * len(some)
        begin = end
        if end < len(cells):
            left, extra = survivors(probe, gallery, count, rows, left, bounds, precision)
            compared += extra * len(cells)
    best = left[np.argsort(bounds[left], kind="stable")[:count]]
    return Nearest(rows[best], bounds[best].astype(np.float32), compared / (len(rows) * len(cells)))


def stage_ends(ordered: Foreground) -> list[int]:
    """How many cells, strongest foreground first, each stage has done; the last has done all."""
    reached = np.cumsum(ordered) / ordered.sum()
    ends = [int(np.searchsorted(reached, share)) + 1 for share in STAGES]
    return sorted({min(end, len(ordered)) for end in ends} | {len(ordered)})


def survivors(
    probe: Probe,
    gallery: PreparedGallery,
    count: int,
    rows: NDArray[np.intp],
    left: NDArray[np.intp],
    bounds: NDArray[np.float64],
    precision: Precision,
) -> tuple[NDArray[np.intp], int]:
    """Places that may still be among the nearest, and how many were compared wholly to know it."""
    if len(left) <= 2 * count:
        return left, 0
    likely = left[np.argpartition(bounds[left], count - 1)[:count]]
    reached = distance([probe], gallery, rows=rows[likely], precision=precision)[0].max()
    return left[bounds[left] <= reached + ROUNDING], count


def stacked(found: Sequence[Nearest]) -> Nearest:
    """One answer of many."""
    return Nearest(
        np.stack([one.rows for one in found]),
        np.stack([one.distances for one in found]),
        float(np.mean([one.compared for one in found])),
    )


def only_nearest(
    probes: Sequence[Probe],
    gallery: PreparedGallery,
    count: int,
    *,
    rows: Sequence[int] | NDArray[np.intp] | None = None,
    precision: Precision = "auto",
) -> NDArray[np.float32]:
    """(P, G) distances of each probe's `count` nearest, infinity for all others.

    Raises:
        ValueError: as `nearest`.
    """
    found = nearest(probes, gallery, count, rows=rows, precision=precision)
    chosen = chosen_rows(probes, gallery, rows)
    kept = np.full((len(probes), len(gallery)), np.inf, np.float32)
    np.put_along_axis(kept, found.rows, found.distances, 1)
    return kept[:, chosen]


def coarse(cells: Cells) -> Cells:
    """An image's cells of the coarsest pyramid levels, which come last."""
    return cells[-max(1, len(cells) // COARSE_SHARE) :]


def prepare_screen(cells: Sequence[Cells], *, storage: Storage) -> PreparedGallery:
    """The coarse cells of the images that `prepare` was given, row by row.

    Raises:
        ValueError: as `prepare`.
    """
    return prepare([coarse(image) for image in cells], storage=storage)


def screened(
    probes: Sequence[Probe],
    gallery: PreparedGallery,
    screen: PreparedGallery,
    count: int,
    *,
    kept: int = SCREENED,
    precision: Precision = "auto",
) -> Nearest:
    """The `count` nearest among the `kept` that the screen finds nearest: fast, and not certain.

    Args:
        screen: what `prepare_screen` returned for the same rows.
        kept: images that are compared with all cells.

    Raises:
        ValueError: the screen has other rows, count < 1 or > kept, or as `distance`.
    """
    if len(screen) != len(gallery) or not 1 <= count <= kept:
        raise ValueError(
            f"{len(screen)} rows in the screen of {len(gallery)}; count = {count}, kept = {kept}"
        )
    rough = distance([(coarse(x), np.maximum(coarse(h), 1e-3)) for x, h in probes], screen)
    rough[:, list(gallery.free)] = np.inf
    share = 1 / COARSE_SHARE**2 + min(1, kept / len(gallery))
    found = []
    for probe, far in zip(probes, rough, strict=True):
        rows = np.sort(np.argsort(far, kind="stable")[: min(kept, len(gallery) - len(gallery.free))])
        exact = distance([probe], gallery, rows=rows, precision=precision)[0]
        best = np.argsort(exact, kind="stable")[:count]
        found.append(Nearest(rows[best].astype(np.intp), exact[best], share))
    return stacked(found)

"""Ranking metrics of re-identification: CMC, average precision, mINP, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
INTERVAL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over queries and the bootstrap interval around it."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Ranking:
    """How each query's gallery came out.

    Args:
        ranks: (Q,) 1-based place of the first true match.
        ap: (Q,) average precision, mean precision at each hit (the field's convention).
        ap_trapezoid: (Q,) the same by trapezoids between hits (Market-1501's original code).
        inp: (Q,) inverse negative penalty: true matches / place of the last one.
        skipped: queries without a true match in their gallery, counted nowhere else.
    """

    ranks: NDArray[np.int64]
    ap: NDArray[np.float64]
    ap_trapezoid: NDArray[np.float64]
    inp: NDArray[np.float64]
    skipped: int

    def cmc(self, place: int) -> float:
        """Share of queries with a true match among the first `place`."""
        return float((self.ranks <= place).mean())


def rank(
    distances: NDArray[np.floating],
    query_ids: NDArray[np.integer],
    gallery_ids: NDArray[np.integer],
    query_cameras: NDArray[np.integer],
    gallery_cameras: NDArray[np.integer],
) -> Ranking:
    """The metrics of every query; gallery items with the query's identity and camera do not count.

    Args:
        distances: (Q, G), small = same. Ties keep the gallery's order.
        query_ids, query_cameras: (Q,).
        gallery_ids, gallery_cameras: (G,).

    Raises:
        ValueError: shapes do not fit, a distance is NaN, or no query has a true match.
    """
    expected = (len(query_ids), len(gallery_ids))
    if (
        distances.shape != expected
        or len(query_cameras) != expected[0]
        or len(gallery_cameras) != expected[1]
    ):
        raise ValueError(f"distances are {distances.shape}, labels {expected}")
    if np.isnan(distances).any():
        raise ValueError("distances hold NaN")
    rows = []
    for row, identity, camera in zip(distances, query_ids, query_cameras, strict=True):
        counts = (gallery_ids != identity) | (gallery_cameras != camera)
        order = np.argsort(row[counts], kind="stable")
        hits = np.flatnonzero(gallery_ids[counts][order] == identity)
        if len(hits):
            rows.append((hits[0] + 1, *average_precisions(hits), len(hits) / (hits[-1] + 1)))
    if not rows:
        raise ValueError("no query has a true match in the gallery")
    ranks, ap, ap_trapezoid, inp = np.array(rows, np.float64).T
    return Ranking(ranks.astype(np.int64), ap, ap_trapezoid, inp, len(query_ids) - len(rows))


def average_precisions(hits: NDArray[np.integer]) -> tuple[float, float]:
    """Average precision by steps and by trapezoids of ascending 0-based places of the true matches."""
    found = np.arange(1, len(hits) + 1)
    precision = found / (hits + 1)
    before = np.where(hits > 0, (found - 1) / np.maximum(hits, 1), 1.0)
    return float(precision.mean()), float((precision + before).mean() / 2)


def bootstrap(values: NDArray[np.floating], *, seed: int = 0) -> Interval:
    """The mean of per-query values and its 95% interval from 1000 resamples of the queries.

    Raises:
        ValueError: no values.
    """
    if not len(values):
        raise ValueError("no queries to resample")
    values = values.astype(np.float64)
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(len(values), np.full(len(values), 1 / len(values)), RESAMPLES)
    low, high = np.quantile(counts @ values / len(values), [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return Interval(float(np.mean(values)), float(low), float(high))


def gain(values: NDArray[np.floating], baseline: NDArray[np.floating], *, seed: int = 0) -> Interval:
    """How much better than a baseline on the same queries, with the paired bootstrap's 95% interval.

    The gain is significant where the interval leaves out 0.

    Raises:
        ValueError: no values, or of other queries.
    """
    if len(values) != len(baseline):
        raise ValueError(f"{len(values)} queries against {len(baseline)}: not the same ones")
    return bootstrap(values - baseline, seed=seed)

"""Fits how likely two tracklets show one person to people whose names are known: see `affinity`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from reid.sets.affinity import FprPairs, Looks, PairCalibration, cosine_gap, fpr_gap
from reid.sets.tracklets import CropEmbedding

SIZES = ((8, 5), (14, 4), (24, 2))
"""People of a made-up site, and so many such sites of each data set: as in benchmarks/heldout_sites.py."""
PENALTY = 1e-4


class Named(NamedTuple):
    """A tracklet of somebody known."""

    person: int
    camera: int
    source: str
    """Data set: people of one place are told apart from people of the same place."""
    crops: Sequence[CropEmbedding]


@dataclass(frozen=True)
class Pairs:
    """P pairs of tracklets."""

    gaps: NDArray[np.float64]  # (P, 2) of the cosine and the FPR distance
    same: NDArray[np.bool_]  # (P,)


def fit_pairs(tracklets: Sequence[Named], seed: int = 0) -> PairCalibration:
    """Slopes and intercept by a logistic model of all pairs on sites made of these people.

    Raises:
        ValueError: no pair of one person, or none of two.
    """
    typical = typical_strangers(tracklets)
    found = [pairs_of(site, *typical) for site in sites(tracklets, np.random.default_rng(seed))]
    if not found:
        raise ValueError("no sites: cannot fit slopes of pairs")
    gaps, same = np.concatenate([f.gaps for f in found]), np.concatenate([f.same for f in found])
    if same.all() or not same.any():
        raise ValueError(f"{same.sum()} pairs of one person among {same.size}: cannot fit slopes of pairs")
    cosine, fpr, intercept = logistic(gaps, same)
    return PairCalibration(cosine, fpr, intercept, *typical)


def sites(tracklets: Sequence[Named], rng: np.random.Generator) -> Iterator[list[Named]]:
    """Made-up sites: some people of one data set, in all of its cameras."""
    for source in sorted({one.source for one in tracklets}):
        local = [one for one in tracklets if one.source == source]
        people = sorted({one.person for one in local})
        for size, count in SIZES:
            for _ in range(count):
                chosen = set(rng.permutation(people)[:size].tolist())
                yield [one for one in local if one.person in chosen]


def pairs_of(site: Sequence[Named], stranger_cosine: float, stranger_fpr: float) -> Pairs:
    """The gaps of all pairs of a site's tracklets in different cameras or of one."""
    looks = Looks([one.crops for one in site], np.array([one.camera for one in site]))
    typical = PairCalibration(0.0, 0.0, 0.0, stranger_cosine, stranger_fpr)
    near = cosine_gap(looks, typical)
    far = fpr_gap(looks, near, stranger_fpr, FprPairs())
    people = np.array([one.person for one in site])
    upper = np.triu_indices(len(site), 1)
    return Pairs(np.column_stack([near[upper], far[upper]]), people[upper[0]] == people[upper[1]])


def typical_strangers(tracklets: Sequence[Named]) -> tuple[float, float]:
    """The median cosine and FPR distances of two people of one data set."""
    cosines: list[NDArray[np.float64]] = []
    fprs: list[NDArray[np.float64]] = []
    for source in sorted({one.source for one in tracklets}):
        local = [one for one in tracklets if one.source == source]
        looks = Looks([one.crops for one in local], np.array([one.camera for one in local]))
        people = np.array([one.person for one in local])
        strangers = people[:, None] != people
        cosines.append((1 - looks.vectors @ looks.vectors.T)[strangers])
        told = FprPairs().distances(looks, strangers & (looks.cohort[:, None] & looks.cohort))
        fprs.append(told[np.isfinite(told)])
    return median(cosines), median(fprs)


def median(distances: Sequence[NDArray[np.float64]]) -> float:
    """Of all together; 1 where there are none."""
    every = np.concatenate(distances) if distances else np.empty(0)
    return float(np.median(every)) if every.size else 1.0


def logistic(gaps: NDArray[np.float64], same: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Slopes, none of which may rise with distance, and intercept."""
    deviation = np.maximum(gaps.std(0), 1e-9)
    scaled = np.column_stack([gaps / deviation, np.ones(len(gaps))])

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = scaled @ w
        free = np.append(w[:-1], 0)
        slope = scaled.T @ (1 / (1 + np.exp(-logits)) - same) / len(same) + 2 * PENALTY * free
        return float((np.logaddexp(0, logits) - same * logits).mean() + PENALTY * free @ free), slope

    w = minimize(
        loss, np.zeros(3), jac=True, method="L-BFGS-B", bounds=[(None, 0), (None, 0), (None, None)]
    ).x
    cosine, fpr = (float(slope) for slope in w[:-1] / deviation)
    return cosine, fpr, float(w[-1])


def stated_pairs(text: str, tracklets: Sequence[Named]) -> PairCalibration:
    """Slopes and intercept as somebody states them, with the typical strangers of these people.

    Raises:
        ValueError: not three numbers.
    """
    try:
        cosine, fpr, intercept = (float(number) for number in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r}: write COSINE,FPR,INTERCEPT, such as -20,-20,-7.5") from None
    return PairCalibration(cosine, fpr, intercept, *typical_strangers(tracklets))

"""How likely two tracklets show one person, from their looks alone, on a site that was never seen before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.tracklets import CropEmbedding, TrackletGallery, reconstruction, unit

COHORT = 12
"""Tracklets of each camera that tell how far strangers are there, by FPR; by cosine all of them do."""
NEAREST = 16
"""Others of a tracklet, nearest by cosine gap, that the FPR distance is computed for."""
PRIOR_STRANGERS = 4.0
"""Strangers that the typical distance of the held-out people counts for beside those of the site."""


@dataclass(frozen=True)
class PairCalibration:
    """Log-odds of the same person = cosine * cosine gap + fpr * FPR gap + intercept.

    The slopes were kept because they did best on the development clip; the intercept is a compromise between
    it and held-out people of three data sets, made after seeing both. docs/matching.md has the figures.
    """

    cosine: float = -12.0
    fpr: float = -40.0
    intercept: float = -4.5
    stranger_cosine: float = 0.9
    """Typical distance of two strangers, where a site has shown too few."""
    stranger_fpr: float = 0.32

    @classmethod
    def from_dict(cls, notes: Mapping[str, Any] | None) -> PairCalibration:
        """The calibration of pairs among a model's notes; the shipped weights' where it has none."""
        pairs = (notes or {}).get("pairs") or {}
        return cls(**{field.name: float(pairs[field.name]) for field in fields(cls) if field.name in pairs})

    def as_dict(self) -> dict[str, float]:
        """Plain numbers, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Looks:
    """T tracklets as they look, each with at least one crop."""

    crops: Sequence[Sequence[CropEmbedding]]
    cameras: NDArray[np.int64]  # (T,)

    @property
    def vectors(self) -> NDArray[np.float64]:
        """(T, D) mean pooled vectors of unit length."""
        return unit(np.stack([mean_vector(crops) for crops in self.crops]))


def mean_vector(crops: Sequence[CropEmbedding]) -> NDArray[np.float64]:
    """(D,) mean of the crops' pooled vectors."""
    return np.asarray(np.mean([crop.pooled.astype(np.float64) for crop in crops], axis=0))


def log_odds(looks: Looks, calibration: PairCalibration) -> NDArray[np.float64]:
    """(T, T) symmetric log-odds that two tracklets show one person; the diagonal means nothing.

    A distance alone means little on a new site: small pictures are far from everybody, and two cameras differ
    in light. So each distance stands against what is usual between the one tracklet and the other's camera.
    """
    vectors = looks.vectors
    cosine = 1 - vectors @ vectors.T
    everyone = np.ones(len(cosine), np.bool_)
    near = gap(cosine, looks.cameras, everyone, calibration.stranger_cosine)
    far = fpr_gap(looks, near, calibration.stranger_fpr)
    return calibration.cosine * near + calibration.fpr * far + calibration.intercept


def gap(
    distances: NDArray[np.float64],
    cameras: NDArray[np.int64],
    strangers: NDArray[np.bool_],
    typical: float,
) -> NDArray[np.float64]:
    """(T, T) each distance minus the usual one of either tracklet to the other's camera; small = same.

    Args:
        distances: (T, T) symmetric; NaN where unknown.
        cameras: (T,) where each tracklet was seen.
        strangers: (T,) those that tell what is usual; nearly all of them are other people.
        typical: usual distance where a camera has shown too few.
    """
    usual = np.empty_like(distances)
    others = np.where(np.eye(len(distances), dtype=np.bool_), np.nan, distances)
    for camera in np.unique(cameras):
        here = cameras == camera
        usual[:, here] = usual_distance(others[:, here & strangers], typical)[:, None]
    return distances - (usual + usual.T) / 2


def usual_distance(distances: NDArray[np.float64], typical: float) -> NDArray[np.float64]:
    """(T,) median over the known of (T, K) distances, drawn towards `typical` where they are few."""
    known = np.isfinite(distances)
    ordered = np.sort(distances, axis=1)  # NaN last
    middle = np.maximum(known.sum(1) - 1, 0) / 2
    rows = np.arange(len(distances))
    low = ordered[rows, np.floor(middle).astype(int)]
    high = ordered[rows, np.ceil(middle).astype(int)]
    median = np.where(known.any(1), (low + high) / 2, typical)
    count = known.sum(1)
    return np.asarray((count * median + PRIOR_STRANGERS * typical) / (count + PRIOR_STRANGERS))


def fpr_gap(looks: Looks, near: NDArray[np.float64], typical: float) -> NDArray[np.float64]:
    """(T, T) gaps of the FPR distance where one was worth computing, 0 (nothing said) elsewhere."""
    strangers = cohort(looks.cameras)
    wanted = nearest(near) | strangers
    wanted |= wanted.T
    np.fill_diagonal(wanted, val=False)
    distances = fpr_distances(looks, wanted)
    gaps = gap(distances, looks.cameras, strangers, typical)
    return np.nan_to_num(gaps, nan=0.0)


def nearest(near: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T, T) whether the other is among a tracklet's NEAREST."""
    chosen = np.zeros(near.shape, np.bool_)
    others = near + np.diag(np.full(len(near), np.inf))
    rows = np.argsort(others, axis=1, kind="stable")[:, :NEAREST]
    np.put_along_axis(chosen, rows, values=True, axis=1)
    return chosen


def cohort(cameras: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(T,) whether a tracklet is one of COHORT spread evenly over its camera's."""
    chosen = np.zeros(len(cameras), np.bool_)
    for camera in np.unique(cameras):
        here = np.flatnonzero(cameras == camera)
        chosen[here[np.linspace(0, len(here) - 1, min(COHORT, len(here))).round().astype(int)]] = True
    return chosen


def fpr_distances(looks: Looks, wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(T, T) symmetric FPR distances of the wanted pairs, NaN elsewhere."""
    gallery = TrackletGallery(storage="float32")  # who explains whom must not show in the answer
    for number, crops in enumerate(looks.crops):
        gallery.append(number, crops)
    found = np.full(wanted.shape, np.nan)
    for number, crops in enumerate(looks.crops):
        others = np.flatnonzero(wanted[number] & (np.arange(len(wanted)) > number))
        if len(others):
            found[number, others] = found[others, number] = reconstruction(crops, gallery, others.tolist())
    return found

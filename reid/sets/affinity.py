"""How likely two tracklets show one person, from their looks alone, on a site that was never seen before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from reid.sets.tracklets import CalibrationError, CropEmbedding, TrackletGallery, among_known, unit

COHORT = 4
"""Tracklets of each camera that tell how far strangers are there, by FPR; by cosine all of them do."""
COHORTS = 16
"""Of all cameras together, about: where there are many, fewer of each."""
NEAREST = 8
"""Others of a tracklet, nearest by cosine gap, that the FPR distance is computed for."""
PRIOR_STRANGERS = 4.0
"""Strangers that the typical distance of the held-out people counts for beside those of the site."""
PAIR_CROPS = 2
"""Crops of a tracklet, its best, that FPR distances of pairs are computed from."""


@dataclass(frozen=True)
class PairCalibration:
    """Log-odds of the same person = cosine * cosine gap + fpr * FPR gap + intercept, for one network.

    It travels with the weights: `reid.calibrate` fits it. Those of the weights that ship were chosen on sites
    made of held-out people of three data sets, half of their tracklets partly hidden: those that group right
    and state honest probabilities. docs/lab/linking.md has the figures.
    """

    cosine: float
    fpr: float
    intercept: float
    stranger_cosine: float
    """Typical distance of two strangers, where a site has shown too few."""
    stranger_fpr: float

    @classmethod
    def from_dict(cls, notes: Mapping[str, Any] | None) -> PairCalibration:
        """The calibration of pairs among a model's notes.

        Raises:
            CalibrationError: none: those of other weights would say something else.
        """
        try:
            pairs = notes["pairs"]  # type: ignore[index]
            return cls(**{field.name: float(pairs[field.name]) for field in fields(cls)})
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(
                "the weights carry no slopes of pairs: run `python -m reid.calibrate`"
            ) from error

    def as_dict(self) -> dict[str, float]:
        """Plain numbers, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Looks:
    """T tracklets as they look, each with at least one crop."""

    crops: Sequence[Sequence[CropEmbedding]]
    cameras: NDArray[np.int64]  # (T,)
    names: Sequence[int] = ()
    """Numbers that FPR distances are kept under; left out: the places in this list."""
    settled: NDArray[np.bool_] | None = None  # (T,)
    """Those that are not asked about: two of them get no FPR distance."""

    @property
    def numbers(self) -> Sequence[int]:
        """(T,) one for each tracklet."""
        return self.names or range(len(self.crops))

    @cached_property
    def vectors(self) -> NDArray[np.float64]:
        """(T, D) mean pooled vectors of unit length."""
        return unit(np.stack([mean_vector(crops) for crops in self.crops]))

    @cached_property
    def cohort(self) -> NDArray[np.bool_]:
        """(T,) who tells how far strangers are by FPR."""
        return cohort(self.cameras, self.vectors)

    def near(self, calibration: PairCalibration) -> NDArray[np.float64]:
        """(T, T) gaps of the cosine distance, computed once for each calibration."""
        if calibration not in self.gaps:
            self.gaps[calibration] = cosine_gap(self, calibration)
        return self.gaps[calibration]

    @cached_property
    def gaps(self) -> dict[PairCalibration, NDArray[np.float64]]:
        """What `near` has computed."""
        return {}


def mean_vector(crops: Sequence[CropEmbedding]) -> NDArray[np.float64]:
    """(D,) mean of the crops' pooled vectors."""
    return np.asarray(np.mean([crop.pooled for crop in crops], axis=0, dtype=np.float64))


COMPARED_AT_ONCE = 16
"""Tracklets of a camera with up to 5 crops each, compared within some 50 ms: a pause comes after them."""


@dataclass(frozen=True)
class FprPairs:
    """FPR distances of pairs of tracklets, each computed once, whoever is the probe."""

    gallery: TrackletGallery = field(default_factory=lambda: TrackletGallery(storage="float32"))
    """In float32: who explains whom must not show in the answer."""
    known: dict[int, dict[int, float]] = field(default_factory=dict)
    """By tracklet and other tracklet, both ways."""

    def distances(self, looks: Looks, wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(T, T) symmetric distances of the wanted pairs, NaN elsewhere."""
        for _ in self.computed(looks, wanted):
            pass
        names, found = looks.numbers, np.full(wanted.shape, np.nan)
        for row, name in enumerate(names):
            known, others = self.known[name], np.flatnonzero(wanted[row])
            found[row, others] = [known[names[other]] for other in others.tolist()]
        return found

    def computed(self, looks: Looks, wanted: NDArray[np.bool_]) -> Iterator[None]:
        """Compute the wanted pairs that are not known yet, with a pause now and then.

        Who has most of them left comes first, so that few calls do.
        """
        names = looks.numbers
        self.keep(set(names))
        for name, crops in zip(names, looks.crops, strict=True):
            if name not in self.gallery.rows:
                self.gallery.append(name, crops[:PAIR_CROPS])
                self.known[name] = {}
                yield
        fresh = wanted & ~self.answered(names)
        left = fresh.sum(1)
        while left.any():
            row = int(left.argmax())
            others = np.flatnonzero(fresh[row])[:COMPARED_AT_ONCE]
            self.compare(names[row], [names[other] for other in others.tolist()])
            fresh[row, others] = fresh[others, row] = False
            left[others] -= 1
            left[row] -= len(others)
            yield

    def answered(self, names: Sequence[int]) -> NDArray[np.bool_]:
        """(T, T) which distances of these tracklets are known."""
        place = {name: row for row, name in enumerate(names)}
        found = np.zeros((len(names), len(names)), np.bool_)
        for row, name in enumerate(names):
            found[row, [place[other] for other in self.known[name]]] = True
        return found

    def compare(self, name: int, others: Sequence[int]) -> None:
        """Compute the distances of one tracklet to others."""
        distances = among_known(self.gallery, name, others).tolist()
        for other, distance in zip(others, distances, strict=True):
            self.known[name][other] = self.known[other][name] = distance

    def keep(self, names: Set[int]) -> None:
        """Forget every other tracklet."""
        for gone in self.gallery.rows.keys() - names:
            self.gallery.remove(gone)
            for other in self.known.pop(gone):
                del self.known[other][gone]


def log_odds(
    looks: Looks, calibration: PairCalibration, pairs: FprPairs | None = None
) -> NDArray[np.float64]:
    """(T, T) symmetric log-odds that two tracklets show one person; the diagonal means nothing.

    A distance alone means little on a new site: small pictures are far from everybody, and two cameras differ
    in light. So each distance stands against what is usual between the one tracklet and the other's camera.
    `pairs` holds the FPR distances that were computed before.
    """
    near = looks.near(calibration)
    far = fpr_gap(looks, near, calibration.stranger_fpr, pairs or FprPairs())
    return calibration.cosine * near + calibration.fpr * far + calibration.intercept


def computed_ahead(looks: Looks, calibration: PairCalibration, pairs: FprPairs) -> Iterator[None]:
    """Compute the FPR distances that `log_odds` will ask for, with a pause now and then.

    They are nearly all of its work.
    """
    return pairs.computed(looks, wanted_pairs(looks, looks.near(calibration)))


def cosine_gap(looks: Looks, calibration: PairCalibration) -> NDArray[np.float64]:
    """(T, T) gaps of the cosine distance of mean pooled vectors."""
    vectors = looks.vectors
    cosine = 1 - vectors @ vectors.T
    everyone = np.ones(len(cosine), np.bool_)
    return gap(cosine, looks.cameras, everyone, calibration.stranger_cosine)


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


def fpr_gap(looks: Looks, near: NDArray[np.float64], typical: float, pairs: FprPairs) -> NDArray[np.float64]:
    """(T, T) gaps of the FPR distance where one was worth computing, 0 (nothing said) elsewhere."""
    distances = pairs.distances(looks, wanted_pairs(looks, near))
    gaps = gap(distances, looks.cameras, looks.cohort, typical)
    return np.nan_to_num(gaps, nan=0.0)


def wanted_pairs(looks: Looks, near: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T, T) whether the FPR distance is worth computing, given the gaps of the cosine distance."""
    asked = np.ones(len(near), np.bool_) if looks.settled is None else ~looks.settled
    wanted = (nearest(near) | looks.cohort) & asked[:, None]
    wanted |= wanted.T
    np.fill_diagonal(wanted, val=False)
    return wanted


def nearest(near: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T, T) whether the other is among a tracklet's NEAREST."""
    chosen = np.zeros(near.shape, np.bool_)
    others = near + np.diag(np.full(len(near), np.inf))
    rows = np.argsort(others, axis=1, kind="stable")[:, :NEAREST]
    np.put_along_axis(chosen, rows, values=True, axis=1)
    return chosen


def cohort(cameras: NDArray[np.int64], vectors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T,) whether a tracklet is one of its camera's cohort.

    Their looks draw the lots: (T, D) `vectors` decide, so that the choice depends neither on the order nor
    much on who comes and goes, and distances to the cohort are mostly known already.
    """
    chosen, names = np.zeros(len(cameras), np.bool_), np.unique(cameras)
    most = max(1, min(COHORT, COHORTS // max(1, len(names))))
    lots = np.array([crc32(vector.tobytes()) for vector in vectors])
    for camera in names:
        here = np.flatnonzero(cameras == camera)
        chosen[here[np.argsort(lots[here], kind="stable")[:most]]] = True
    return chosen

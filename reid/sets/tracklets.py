"""One set of crops against the sets of everybody known: distances, and the probability of the same person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reid.fpr.distance import PreparedGallery, checked_distances
from reid.fpr.gallery import Storage
from reid.fpr.probes import ProbeBlock, check_probe, laid_side_by_side, weights

EXEMPLARS = 8
COMPARED = 2
"""Exemplars of an identity, the nearest by pooled vector, that the FPR distance is computed for."""
BEST_SHARE = 0.5
"""Of all crop pairs, the nearest share, whose mean is the distance of two sets: docs/lab/linking.md."""
FAINTEST = 1e-3
"""Least foreground of a cell: a crop that shows nobody is compared evenly instead of not at all."""
STRANGERS = slice(1, 5)
"""Ranks of the other identities that a candidate must beat. The nearest other one is left out: it may be the
same person under a second number, and must not make both improbable."""
FEATURES = ("cosine", "fpr", "cosine_gap", "fpr_gap", "visible")


class CropEmbedding(Protocol):
    """What the FPR network says about one crop, as `reid.embed` or a message carries it."""

    @property
    def cells(self) -> NDArray[np.floating[Any]]:
        """(N, C), each of unit length."""

    @property
    def foreground(self) -> NDArray[np.floating[Any]]:
        """(N,) probability that a cell shows the person."""

    @property
    def pooled(self) -> NDArray[np.floating[Any]]:
        """(D,) of unit length."""


class CalibrationError(ValueError):
    """The weights carry no calibration, or one of another version."""


@dataclass(frozen=True)
class Comparison:
    """How far a probe is from I identities of a gallery; small = same."""

    identities: NDArray[np.int64]  # (I,)
    cosine: NDArray[np.float64]  # (I,) between mean pooled vectors, 0..2
    fpr: NDArray[np.float64]  # (I,) mean of the nearest crop pairs, both directions, 0..1
    visible: float
    """Mean foreground of the probe's cells, 0..1: how much of the person is seen."""


@dataclass(frozen=True)
class Calibration:
    """The logistic model of P(same person) that `reid.calibrate` fitted; it travels with the weights."""

    cosine: float
    fpr: float
    cosine_gap: float
    fpr_gap: float
    visible: float
    intercept: float
    stranger_cosine: float
    """Typical distances to the strangers a candidate must beat, where the gallery has too few."""
    stranger_fpr: float

    @classmethod
    def from_dict(cls, notes: Mapping[str, Any] | None) -> Calibration:
        """The calibration in a checkpoint's notes.

        Raises:
            CalibrationError: none, or one of another version.
        """
        names = [field.name for field in fields(cls)]
        try:
            return cls(**{name: float(notes[name]) for name in names})  # type: ignore[index]
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(
                "the weights carry no usable calibration: run `python -m reid.calibrate`"
            ) from error

    def as_dict(self) -> dict[str, float]:
        """Plain numbers, for JSON."""
        return asdict(self)


class TrackletGallery:
    """The exemplars of every identity: at most `exemplars` crops each, and the mean of all crops ever seen.

    An exemplar of 70 cells of 112 channels occupies 41 KB and errs by up to 4e-5 (in float32 66 KB, 1e-7).
    """

    def __init__(self, *, exemplars: int = EXEMPLARS, storage: Storage = "float16") -> None:
        if exemplars < 1:
            raise ValueError(f"exemplars = {exemplars}, must be >= 1")
        self.exemplars = exemplars
        self.storage: Storage = storage
        self.prepared: PreparedGallery | None = None
        self.rows: dict[int, list[int]] = {}
        self.crops: dict[int, CropEmbedding] = {}
        self.weights: dict[int, NDArray[np.float32]] = {}
        """By row, (1, N) foreground of the crop there as a probe."""
        self.sums: dict[int, NDArray[np.float64]] = {}

    def __len__(self) -> int:
        """Identities known."""
        return len(self.rows)

    def append(self, identity: int, crops: Sequence[CropEmbedding]) -> None:
        """Let an identity, new or known, learn from more crops of the same person.

        Crops without cells (0, C) count for the mean pooled vector only.

        Raises:
            ValueError: cells of another network, or cells or foreground NaN, infinite or nowhere.
        """
        for crop in crops:
            if self.prepared is None:
                self.prepared = PreparedGallery(crop.cells.shape[-1], storage=self.storage)
            if len(crop.cells):
                self.file(self.prepared, self.rows.setdefault(identity, []), crop)
            self.sums[identity] = self.sums.get(identity, 0) + crop.pooled.astype(np.float64)

    def file(self, prepared: PreparedGallery, rows: list[int], crop: CropEmbedding) -> None:
        """Keep the crop; where the exemplars are full, the newer of the two most alike goes."""
        if len(rows) < self.exemplars:
            rows.append(prepared.append(crop.cells))
        else:
            place = self.redundant(rows, crop)
            if place == len(rows):
                return
            row = rows.pop(place)
            prepared.replace(row, crop.cells)
            rows.append(row)
        self.crops[rows[-1]] = crop
        self.weights[rows[-1]] = checked_weights(crop, prepared.channels)

    def redundant(self, rows: list[int], crop: CropEmbedding) -> int:
        """The newer of the two most similar: its place among the rows; their number is the new crop."""
        pooled = np.stack([*(self.crops[row].pooled for row in rows), crop.pooled]).astype(np.float64)
        alike = np.triu(pooled @ pooled.T + 2, 1)
        return int(alike.argmax()) % len(alike)

    def remove(self, identity: int) -> None:
        """Forget an identity; one that is not there is no error."""
        for row in self.rows.pop(identity, []):
            if self.prepared is not None:
                self.prepared.remove(row)
            del self.crops[row], self.weights[row]
        self.sums.pop(identity, None)

    def shortlist(
        self,
        probe: Sequence[CropEmbedding],
        count: int,
        allowed: Callable[[int], bool] = lambda identity: True,
    ) -> list[int]:
        """The `count` allowed identities nearest by mean pooled vector, nearest first."""
        identities = [identity for identity in self.rows if allowed(identity)]
        if not identities or not probe:
            return []
        order = np.argsort(self.cosines(probe, identities), kind="stable")
        return [identities[i] for i in order[:count]]

    def as_probes(self, rows: Sequence[int]) -> list[ProbeBlock]:
        """The crops in these rows as probes, side by side."""
        probes = [(self.crops[row].cells, self.weights[row]) for row in rows]
        return list(laid_side_by_side(probes))

    def nearest_rows(self, probe: Sequence[CropEmbedding], identity: int) -> list[int]:
        """The COMPARED exemplars of an identity that are nearest to the probe by pooled vector."""
        rows = self.rows[identity]
        if len(rows) <= COMPARED:
            return rows
        mine = np.sum([crop.pooled.astype(np.float64) for crop in probe], axis=0)
        likeness = np.stack([self.crops[row].pooled for row in rows]) @ mine
        nearest = np.argsort(-likeness, kind="stable")[:COMPARED]
        return [rows[place] for place in sorted(nearest)]

    def cosines(self, probe: Sequence[CropEmbedding], identities: Sequence[int]) -> NDArray[np.float64]:
        """(I,) cosine distances of mean pooled vectors."""
        mine = unit(np.sum([crop.pooled.astype(np.float64) for crop in probe], axis=0))
        result: NDArray[np.float64] = 1 - unit(np.stack([self.sums[i] for i in identities])) @ mine
        return result


def compare(
    probe: Sequence[CropEmbedding], gallery: TrackletGallery, identities: Sequence[int]
) -> Comparison:
    """The probe's distances to these identities; 12 of them take some 10 ms on one core.

    Args:
        probe: crops of one person, at least one; those without cells count for the mean pooled vector only.
        identities: of the gallery, as `shortlist` names them. The strangers among them are what the
            probability is measured against: give at least 6 where there are as many.

    Raises:
        ValueError: no crops, no identities, one the gallery does not know, or cells of another network.
    """
    unknown = [identity for identity in identities if identity not in gallery.rows]
    if not probe or not identities or unknown:
        raise ValueError(f"{len(probe)} crops against {len(identities)} identities, unknown: {unknown}")
    return Comparison(
        np.array(identities, np.int64),
        gallery.cosines(probe, identities),
        reconstruction(probe, gallery, identities),
        float(np.mean([crop.foreground.astype(np.float64).mean() for crop in probe])),
    )


def reconstruction(
    probe: Sequence[CropEmbedding], gallery: TrackletGallery, identities: Sequence[int]
) -> NDArray[np.float64]:
    """(I,) FPR distances of sets: the nearest share of crop pairs, both directions averaged."""
    if gallery.prepared is None:
        raise ValueError("the gallery is empty")
    mine = TrackletGallery(exemplars=len(probe), storage="float32")
    mine.append(0, probe)
    return set_distances(mine, 0, gallery, identities)


def among_known(gallery: TrackletGallery, identity: int, others: Sequence[int]) -> NDArray[np.float64]:
    """(I,) the same from one identity of the gallery to others of it, whose crops are prepared already."""
    if gallery.prepared is None:
        raise ValueError("the gallery is empty")
    return set_distances(gallery, identity, gallery, others)


def set_distances(
    probes: TrackletGallery, probe: int, gallery: TrackletGallery, identities: Sequence[int]
) -> NDArray[np.float64]:
    """(I,) distances of an identity among the probes to identities of a gallery."""
    assert probes.prepared is not None and gallery.prepared is not None
    own = probes.rows[probe]
    rows = [gallery.nearest_rows([probes.crops[row] for row in own], identity) for identity in identities]
    flat = [row for part in rows for row in part]
    forward = checked_distances(probes.as_probes(own), gallery.prepared, flat)  # (K, R)
    backward = checked_distances(gallery.as_probes(flat), probes.prepared, own)  # (R, K)
    pairs = (forward.astype(np.float64) + backward.T) / 2
    if len({len(part) for part in rows}) == 1:
        return nearest_means(pairs.reshape(len(own), len(rows), -1).transpose(1, 0, 2))
    parts = np.split(pairs, np.cumsum([len(part) for part in rows])[:-1], axis=1)
    return np.array([nearest_mean(part) for part in parts])


def nearest_means(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(I,) `nearest_mean` of each of (I, K, R)."""
    ordered = np.sort(pairs.reshape(len(pairs), -1), axis=1)
    result: NDArray[np.float64] = ordered[:, : max(1, round(ordered.shape[1] * BEST_SHARE))].mean(1)
    return result


def nearest_mean(pairs: NDArray[np.float64]) -> float:
    """Mean of the nearest BEST_SHARE of all pairs, at least one."""
    return float(nearest_means(pairs[None])[0])


def probability(comparison: Comparison, calibration: Calibration) -> NDArray[np.float64]:
    """(I,) probability that the probe shows each identity; they need not sum to 1: it may be nobody known."""
    table = features(comparison, calibration.stranger_cosine, calibration.stranger_fpr)
    slopes = np.array([getattr(calibration, name) for name in FEATURES])
    logits = np.clip(table @ slopes + calibration.intercept, -40, 40)
    result: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return result


def features(comparison: Comparison, stranger_cosine: float, stranger_fpr: float) -> NDArray[np.float64]:
    """(I, len(FEATURES)) what the probability depends on.

    Distances alone mean little: people on one site dress alike, an occluded probe is far from everybody. So
    each stands beside its gap to the strangers nearest to the same probe.
    """
    return np.column_stack(
        [
            comparison.cosine,
            comparison.fpr,
            comparison.cosine - strangers(comparison.cosine, stranger_cosine),
            comparison.fpr - strangers(comparison.fpr, stranger_fpr),
            np.full(len(comparison.identities), comparison.visible),
        ]
    )


def strangers(distances: NDArray[np.float64], typical: float) -> NDArray[np.float64]:
    """(I,) mean distance of STRANGERS among each identity's others; `typical` where there are few."""
    count = len(distances)
    others = np.sort(np.where(np.eye(count, dtype=np.bool_), np.inf, distances), axis=1)[:, :-1]  # (I, I - 1)
    filled = np.concatenate([others, np.full((count, STRANGERS.stop), typical)], axis=1)
    result: NDArray[np.float64] = filled[:, STRANGERS].mean(1)
    return result


def checked_weights(crop: CropEmbedding, channels: int) -> NDArray[np.float32]:
    """(1, N) foreground of a crop as a probe, summing to 1.

    Raises:
        ValueError: foreground that is NaN or infinite or of another number of cells, or all cells zero.
    """
    cells, foreground = as_probe(crop)
    check_probe(cells, foreground[None], channels)
    return weights(foreground[None])


def as_probe(crop: CropEmbedding) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Cells and foreground, the latter nowhere zero."""
    return crop.cells, np.maximum(crop.foreground.astype(np.float32), FAINTEST)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The vectors along the last axis with length 1."""
    result: NDArray[np.float64] = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return result

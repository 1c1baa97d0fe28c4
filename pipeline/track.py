"""Person boxes to tracks: Kalman prediction in source time and a two-stage association, per camera."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pipeline.config import TrackerConfig

# Lengths are in heights of the person (about 1.7 m), so that near and far people obey the same numbers.
MEASUREMENT = np.array([0.04, 0.04, 0.04, 0.05])
"""Standard deviation of a detected centre x, y, width and height: what yolo11n at 640 px scatters by."""
VELOCITY = np.array([0.6, 0.3, 0.2, 0.2])
"""Standard deviation a second of a track seen once: people walk up to a height a second."""
ACCELERATION = np.array([0.6, 0.4, 0.3, 0.3])
"""Random walk of the velocity, heights / s^1.5: a walker stops or turns within about a second."""
DAMPING_S = 0.5
"""Velocity of a person out of sight decays with this time constant: people stop, boxes jitter."""
MAHALANOBIS_GATE = 6.0
"""A box farther than this many standard deviations from the prediction is someone else."""
HEIGHT_RATIO = 1.5
"""Someone found again is at most this factor taller or smaller than predicted."""
DUPLICATE_IOU = 0.85
"""Two tracks that overlap by more are one person (the value of ByteTrack)."""


@dataclass(frozen=True)
class Observation:
    """One track in one frame."""

    track: int
    """1-based number, in order of appearance in its tracker."""
    bbox: NDArray[np.float32]  # (4,) xyxy, px
    confidence: float
    confirmed: bool = True
    """False until the track has been detected often enough; some never are."""


@dataclass(frozen=True)
class TrackUpdate:
    """What one detected frame did to the tracks."""

    observations: tuple[Observation, ...]
    ended: tuple[int, ...]
    """Tracks that will not be seen again."""


@dataclass(frozen=True)
class Tracks:
    """T live tracks; centre x, centre y, width and height are four independent constant-velocity filters."""

    number: NDArray[np.int64]  # (T,)
    seen_ns: NDArray[np.int64]  # (T,) source time of the last detection
    hits: NDArray[np.int64]  # (T,) detections
    confirmed: NDArray[np.bool_]  # (T,)
    position: NDArray[np.float64]  # (T, 4) px
    velocity: NDArray[np.float64]  # (T, 4) px / s
    covariance: NDArray[np.float64]  # (T, 4, 3) position, position-velocity, velocity

    def __getitem__(self, index: Any) -> Tracks:
        return Tracks(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.number)

    def __add__(self, other: Tracks) -> Tracks:
        fields = self.__dataclass_fields__
        return Tracks(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in fields))

    @property
    def boxes(self) -> NDArray[np.float64]:
        """(T, 4) xyxy, px."""
        return xyxy(self.position)


class Tracker:
    """The tracks of one camera."""

    def __init__(self, settings: TrackerConfig) -> None:
        self.settings = settings
        self.tracks = born(np.empty((0, 4)), 1, 0, settings)
        self.time_ns: int | None = None
        self.next_number = 1

    def update(
        self, boxes: NDArray[np.float32], confidences: NDArray[np.float32], time_ns: int
    ) -> TrackUpdate:
        """The tracks seen in this frame and those that have ended.

        Args:
            boxes: (N, 4) xyxy, px; N may be 0.
            confidences: (N,) 0..1.
            time_ns: source time of the frame, not before that of the last one.

        Raises:
            ValueError: shapes do not fit, or time runs backwards.
        """
        check_input(boxes, confidences, time_ns, self.time_ns)
        tracks, ended = self.aged(time_ns)
        measured = xywh(boxes.astype(np.float64))
        box_of = self.matched(tracks, measured, confidences)  # (T,) -1: none
        found = np.concatenate([measured, np.zeros((1, 4))])[box_of]  # -1 takes the last row, unused
        tracks = corrected(tracks, box_of >= 0, found, time_ns, self.settings)
        free = (confidences >= self.settings.high_confidence) & ~np.isin(np.arange(len(boxes)), box_of)
        free &= ~(iou(boxes[:, None], tracks.boxes) > DUPLICATE_IOU).any(axis=1)
        tracks += born(measured[free], self.next_number, time_ns, self.settings)
        self.next_number += int(free.sum())
        box_of = np.concatenate([box_of, np.flatnonzero(free)])
        keep = (tracks.confirmed | (box_of >= 0)) & ~duplicates(tracks, box_of >= 0)
        self.tracks, self.time_ns = tracks[keep], time_ns
        return TrackUpdate(
            observations(tracks, box_of, boxes, confidences),
            tuple(int(number) for number in np.concatenate([ended, tracks.number[~keep]])),
        )

    def aged(self, time_ns: int) -> tuple[Tracks, NDArray[np.int64]]:
        """The tracks predicted to a time, and the numbers of those unseen for too long."""
        if self.time_ns is None:
            return self.tracks, np.empty(0, np.int64)
        old = time_ns - self.tracks.seen_ns > self.settings.lost_s * 1e9
        live = self.tracks[~old]
        return predicted(live, (time_ns - self.time_ns) / 1e9, live.seen_ns < self.time_ns), (
            self.tracks.number[old]
        )

    def matched(
        self, tracks: Tracks, measured: NDArray[np.float64], confidences: NDArray[np.float32]
    ) -> NDArray[np.int64]:
        """(T,) index of the box that continues each predicted track, -1 where there is none.

        Tracks that count choose first, among the confident boxes; then those seen a moment ago, among the
        doubtful ones (a person half hidden); then young tracks, among the confident boxes left.
        """
        settings = self.settings
        high = confidences >= settings.high_confidence
        seen = tracks.seen_ns == self.time_ns
        box_of = np.full(len(tracks), -1)
        for who, which, overlap in (
            (tracks.confirmed, high, settings.match_iou),
            (tracks.confirmed & seen, ~high, settings.match_iou_low),
            (~tracks.confirmed, high, settings.match_iou),
        ):
            rows = np.flatnonzero(who & (box_of < 0))
            columns = np.flatnonzero(which & ~np.isin(np.arange(len(measured)), box_of))
            pairs = assign(similarity(tracks[rows], measured[columns], confidences[columns], overlap))
            box_of[rows[pairs[:, 0]]] = columns[pairs[:, 1]]
        return box_of


def check_input(
    boxes: NDArray[np.float32], confidences: NDArray[np.float32], time_ns: int, last_ns: int | None
) -> None:
    """Refuse boxes without confidences and time that runs backwards."""
    if boxes.ndim != 2 or boxes.shape != (len(confidences), 4):
        raise ValueError(f"boxes {boxes.shape} and confidences {confidences.shape}: expected (N, 4) and (N,)")
    if last_ns is not None and time_ns < last_ns:
        raise ValueError(f"frame at {time_ns} ns after one at {last_ns} ns: frames come in order of time")


def born(measured: NDArray[np.float64], number: int, time_ns: int, settings: TrackerConfig) -> Tracks:
    """New tracks, one for each (N, 4) box, numbered from `number` on."""
    count = len(measured)
    height = measured[:, 3:]
    covariance = np.stack(
        [(MEASUREMENT * height) ** 2, np.zeros((count, 4)), (VELOCITY * height) ** 2], axis=2
    )
    return Tracks(
        number=np.arange(number, number + count),
        seen_ns=np.full(count, time_ns, np.int64),
        hits=np.ones(count, np.int64),
        confirmed=np.full(count, settings.confirm_hits <= 1),
        position=measured,
        velocity=np.zeros((count, 4)),
        covariance=covariance,
    )


def predicted(tracks: Tracks, step_s: float, unseen: NDArray[np.bool_]) -> Tracks:
    """The tracks `step_s` later; the velocity of the (T,) unseen ones fades and their size stays."""
    fade = np.where(unseen, np.exp(-step_s / DAMPING_S), 1.0)[:, None]
    velocity = tracks.velocity * fade
    velocity[unseen, 2:] = 0
    noise = (ACCELERATION * tracks.position[:, 3:]) ** 2
    place, cross, speed = np.moveaxis(tracks.covariance, 2, 0)
    covariance = np.stack(
        [
            place + 2 * step_s * cross + step_s**2 * speed + noise * step_s**3 / 3,
            cross + step_s * speed + noise * step_s**2 / 2,
            speed + noise * step_s,
        ],
        axis=2,
    )  # (T, 4, 3)
    position = tracks.position + velocity * step_s
    position[:, 2:] = np.maximum(position[:, 2:], 1.0)
    return replace(tracks, position=position, velocity=velocity, covariance=covariance)


def corrected(
    tracks: Tracks,
    found: NDArray[np.bool_],
    measured: NDArray[np.float64],
    time_ns: int,
    settings: TrackerConfig,
) -> Tracks:
    """The tracks after their boxes: (T, 4) centre x, y, width, height, used where (T,) `found`."""
    where = found[:, None]
    place, cross, speed = np.moveaxis(tracks.covariance, 2, 0)
    total = place + (MEASUREMENT * tracks.position[:, 3:]) ** 2
    gain, gain_velocity = place / total, cross / total  # (T, 4)
    error = measured - tracks.position
    covariance = np.stack([place * (1 - gain), cross * (1 - gain), speed - gain_velocity * cross], axis=2)
    hits = tracks.hits + found
    return replace(
        tracks,
        seen_ns=np.where(found, time_ns, tracks.seen_ns),
        hits=hits,
        confirmed=tracks.confirmed | (hits >= settings.confirm_hits),
        position=np.where(where, tracks.position + gain * error, tracks.position),
        velocity=np.where(where, tracks.velocity + gain_velocity * error, tracks.velocity),
        covariance=np.where(where[..., None], covariance, tracks.covariance),
    )


def similarity(
    tracks: Tracks, measured: NDArray[np.float64], confidences: NDArray[np.float32], overlap: float
) -> NDArray[np.float64]:
    """(T, N) how well each box continues each track, 0 where it cannot.

    Overlap x agreement in height x confidence. Boxes are widened by how much the prediction's uncertainty has
    grown since the last detection, so that the same limit serves any frame rate.
    """
    height = tracks.position[:, 3:]
    spread = np.sqrt(tracks.covariance[:, :2, 0])  # (T, 2)
    margin = np.maximum(spread - (MEASUREMENT * height)[:, :2], 0)
    shared = iou(widened(tracks.position, margin)[:, None], widened(measured, margin[:, None]))
    ratio = np.minimum(height, measured[:, 3]) / np.maximum(height, measured[:, 3])
    error = measured - tracks.position[:, None]  # (T, N, 4)
    variance = tracks.covariance[..., 0] + (MEASUREMENT * height) ** 2
    far = np.sqrt((error**2 / variance[:, None])[..., [0, 1]].sum(2))
    possible = (shared >= overlap) & (ratio * HEIGHT_RATIO >= 1) & (far <= MAHALANOBIS_GATE)
    return np.where(possible, shared * ratio * confidences, 0.0)


def assign(gain: NDArray[np.float64]) -> NDArray[np.int64]:
    """(K, 2) row and column of the one-to-one pairs of greatest total gain; none without gain."""
    rows, columns = linear_sum_assignment(gain, maximize=True)
    useful = gain[rows, columns] > 0
    return np.stack([rows[useful], columns[useful]], axis=1)


def duplicates(tracks: Tracks, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(T,) whether an older track stands on the same person; both are `seen`, hidden ones may meet."""
    same = (iou(tracks.boxes[:, None], tracks.boxes) > DUPLICATE_IOU) & seen[:, None] & seen
    older = tracks.number[:, None] > tracks.number  # (T, T) row is the younger
    return np.asarray((same & older).any(axis=1))


def observations(
    tracks: Tracks, box_of: NDArray[np.int64], boxes: NDArray[np.float32], confidences: NDArray[np.float32]
) -> tuple[Observation, ...]:
    """The tracks that have a box in this frame, each with it."""
    rows = zip(tracks.number, box_of, tracks.confirmed, strict=True)
    return tuple(
        Observation(int(number), boxes[box], float(confidences[box]), bool(confirmed))
        for number, box, confirmed in rows
        if box >= 0
    )


def xywh(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 4) centre x, centre y, width, height of xyxy boxes."""
    return np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], axis=-1)


def xyxy(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 4) corners of boxes given as centre x, centre y, width, height."""
    half = boxes[..., 2:] / 2
    return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)


def widened(boxes: NDArray[np.float64], margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 4) xyxy of centre-size boxes grown by a (..., 2) margin in x and y on every side."""
    return xyxy(np.concatenate(np.broadcast_arrays(boxes[..., :2], boxes[..., 2:] + 2 * margin), axis=-1))


def iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of xyxy boxes, broadcast over all axes but the last."""
    size = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.maximum(size, 0).prod(axis=-1)
    area = (first[..., 2:] - first[..., :2]).prod(axis=-1) + (second[..., 2:] - second[..., :2]).prod(axis=-1)
    return np.asarray(shared / np.maximum(area - shared, 1e-9))

"""Person boxes to tracks: Kalman prediction in source time, association by place, size and colour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pipeline.boxes import iou
from pipeline.config import TrackerConfig

# Lengths are in heights of the person (about 1.7 m), so that near and far people obey the same numbers.
MEASUREMENT = np.array([0.04, 0.04, 0.04, 0.05])
"""Standard deviation of a detected centre x, y, width and height, near the 1/20 of ByteTrack; not fitted."""
VELOCITY = np.array([0.6, 0.3, 0.2, 0.2])
"""Standard deviation a second of a track seen once: people walk at up to a height a second."""
ACCELERATION = np.array([0.6, 0.4, 0.3, 0.3])
"""Random walk of the velocity, heights / s^1.5: a walker stops or turns within about a second. Not tuned."""
DAMPING_S = 0.5
"""Velocity of a person out of sight decays with this time constant: people stop, boxes jitter."""
MAHALANOBIS_GATE = 6.0
"""A box farther than this many standard deviations from the prediction is someone else."""
REFOUND_AGREEMENT = 0.4
"""Least overlap x agreement in height for a track that was lost: a wrong guess is worse than two tracks.

Chosen on nlpr_indoor, as are the colour limits below."""
HEIGHT_RATIO = 1.5
"""Someone found again is at most this factor taller or smaller than predicted."""
STRIPES = 8
"""Horizontal slices of a box, head to foot, whose mean colours are compared."""
STRIPE_WIDTH = 0.4
"""Middle part of the box's width that is looked at: the rest is background."""
COLOUR_SCALE = 10.0
"""CIELAB distance at which a box's worth falls to 1/e; medians: 8 for one person, 16 for two."""
COLOUR_GATE = 15.0
"""A person lost and found again differs by less, CIELAB: so do nine in ten boxes of one person within 2 s."""
COLOUR_MEMORY_S = 3.0
"""Time constant of what a track remembers of its colours."""
DUPLICATE_IOU = 0.85
"""Two tracks that overlap by more are one person (the value of ByteTrack)."""
BIRTH_IOU = 0.5
"""A box that overlaps somebody tracked in this frame by more is a second box on that person; no track starts:
two people do so in 36 of 1,994 labelled boxes of pets09 and 2 of 2,648 of nlpr_indoor."""


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
    colours: NDArray[np.float32]  # (T, STRIPES, 3) CIELAB from head to foot, 0 where unknown

    def __getitem__(self, index: Any) -> Tracks:
        return Tracks(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.number)

    def __add__(self, other: Tracks) -> Tracks:
        fields = self.__dataclass_fields__
        return Tracks(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in fields))

    def replaced(self, rows: NDArray[np.int64], other: Tracks) -> Tracks:
        """These tracks with some rows taken from another."""
        order = np.arange(len(self))
        order[rows] = len(self) + np.arange(len(rows))
        return (self + other)[order]

    @property
    def boxes(self) -> NDArray[np.float64]:
        """(T, 4) xyxy, px."""
        return xyxy(self.position)


@dataclass(frozen=True)
class Measurements:
    """N boxes of one frame."""

    position: NDArray[np.float64]  # (N, 4) centre x, centre y, width, height, px
    confidences: NDArray[np.float32]  # (N,)
    colours: NDArray[np.float32]  # (N, STRIPES, 3) CIELAB

    def __getitem__(self, index: Any) -> Measurements:
        return Measurements(self.position[index], self.confidences[index], self.colours[index])


class Tracker:
    """The tracks of one camera."""

    def __init__(self, settings: TrackerConfig) -> None:
        self.settings = settings
        nothing = Measurements(np.empty((0, 4)), np.empty(0, np.float32), unknown_colours(0))
        self.tracks = born(nothing, 1, 0, settings)
        self.time_ns: int | None = None
        self.next_number = 1

    def update(
        self,
        boxes: NDArray[np.float32],
        confidences: NDArray[np.float32],
        time_ns: int,
        colours: NDArray[np.float32] | None = None,
    ) -> TrackUpdate:
        """The tracks seen in this frame and those that have ended.

        Args:
            boxes: (N, 4) xyxy, px; N may be 0.
            confidences: (N,) 0..1.
            time_ns: source time of the frame, not before that of the last one.
            colours: (N, STRIPES, 3) what `colours_of` says about the boxes; None: go by place alone.

        Raises:
            ValueError: shapes do not fit, or time runs backwards.
        """
        check_input(boxes, confidences, time_ns, self.time_ns)
        looks = unknown_colours(len(boxes)) if colours is None else colours
        detections = Measurements(xywh(boxes.astype(np.float64)), confidences, looks)
        tracks, old = self.aged(time_ns)
        box_of = self.matched(tracks, detections)  # (T,) -1: none
        tracks = self.continued(tracks, detections, box_of, time_ns)
        free = (confidences >= self.settings.high_confidence) & unused(box_of, len(boxes))
        free &= ~(iou(boxes[:, None], tracks[box_of >= 0].boxes) > BIRTH_IOU).any(axis=1)
        tracks += born(detections[free], self.next_number, time_ns, self.settings)
        self.next_number += int(free.sum())
        box_of = np.concatenate([box_of, np.flatnonzero(free)])
        keep = (tracks.confirmed | (box_of >= 0)) & ~duplicates(tracks, box_of >= 0)
        self.tracks, self.time_ns = tracks[keep], time_ns
        return TrackUpdate(
            observations(tracks, box_of, boxes, confidences),
            tuple(int(number) for number in np.concatenate([old, tracks.number[~keep]])),
        )

    def aged(self, time_ns: int) -> tuple[Tracks, NDArray[np.int64]]:
        """The tracks predicted to a time, and the numbers of those unseen for too long."""
        if self.time_ns is None:
            return self.tracks, np.empty(0, np.int64)
        old = time_ns - self.tracks.seen_ns > self.settings.lost_s * 1e9
        live = self.tracks[~old]
        step_s = (time_ns - self.time_ns) / 1e9
        return predicted(live, step_s, live.seen_ns < self.time_ns), self.tracks.number[old]

    def matched(self, tracks: Tracks, detections: Measurements) -> NDArray[np.int64]:
        """(T,) index of the box that continues each predicted track, -1 where there is none.

        Tracks that count choose first, among the confident boxes; then those seen a moment ago, among the
        doubtful ones (a person half hidden); then young tracks, among the confident boxes left.
        """
        settings = self.settings
        high = detections.confidences >= settings.high_confidence
        seen = tracks.seen_ns == self.time_ns
        box_of = np.full(len(tracks), -1)
        for who, which, overlap in (
            (tracks.confirmed, high, settings.match_iou),
            (tracks.confirmed & seen, ~high, settings.match_iou_low),
            (~tracks.confirmed, high, settings.match_iou),
        ):
            rows = np.flatnonzero(who & (box_of < 0))
            columns = np.flatnonzero(which & unused(box_of, len(which)))
            if not len(rows) or not len(columns):
                continue
            pairs = assign(worth(tracks[rows], detections[columns], seen[rows], overlap))
            box_of[rows[pairs[:, 0]]] = columns[pairs[:, 1]]
        return box_of

    def continued(
        self, tracks: Tracks, detections: Measurements, box_of: NDArray[np.int64], time_ns: int
    ) -> Tracks:
        """The tracks after their boxes; a doubtful box moves a track but does not change its colours."""
        rows = np.flatnonzero(box_of >= 0)
        found, own = tracks[rows], detections[box_of[rows]]
        sure = own.confidences >= self.settings.high_confidence
        hits = found.hits + 1
        return tracks.replaced(
            rows,
            replace(
                corrected(found, own.position),
                seen_ns=np.full(len(rows), time_ns),
                hits=hits,
                confirmed=found.confirmed | (hits >= self.settings.confirm_hits),
                colours=np.where(sure[:, None, None], blended(found, own.colours, time_ns), found.colours),
            ),
        )


def colours_of(image: NDArray[np.uint8], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, STRIPES, 3) CIELAB means of horizontal slices through the middle of (N, 4) xyxy boxes, top first.

    Args:
        image: (H, W, 3) RGB.
        boxes: (N, 4) px; what lies outside the image is left out.
    """
    colours = unknown_colours(len(boxes))
    height, width = image.shape[:2]
    for row, (left, top, right, bottom) in zip(colours, boxes, strict=True):
        aside = (1 - STRIPE_WIDTH) / 2 * (right - left)
        x = min(max(int(left + aside), 0), width - 1)
        y = min(max(int(top), 0), height - 1)
        middle = image[y : max(int(np.ceil(bottom)), y + 1), x : max(int(np.ceil(right - aside)), x + 1)]
        row[:] = cv2.resize(middle, (1, STRIPES), interpolation=cv2.INTER_AREA)[:, 0]
    if not len(boxes):
        return colours
    return np.asarray(cv2.cvtColor(colours / 255, cv2.COLOR_RGB2Lab), np.float32)


def unknown_colours(count: int) -> NDArray[np.float32]:
    """(count, STRIPES, 3) what stands for boxes whose picture was not looked at."""
    return np.zeros((count, STRIPES, 3), np.float32)


def check_input(
    boxes: NDArray[np.float32], confidences: NDArray[np.float32], time_ns: int, last_ns: int | None
) -> None:
    """Refuse boxes without confidences and time that runs backwards."""
    if boxes.ndim != 2 or boxes.shape != (len(confidences), 4):
        raise ValueError(f"boxes {boxes.shape} and confidences {confidences.shape}: expected (N, 4) and (N,)")
    if last_ns is not None and time_ns < last_ns:
        raise ValueError(f"frame at {time_ns} ns after one at {last_ns} ns: frames come in order of time")


def born(detections: Measurements, number: int, time_ns: int, settings: TrackerConfig) -> Tracks:
    """New tracks, one for each box, numbered from `number` on."""
    position = detections.position
    count, height = len(position), position[:, 3:]
    place, speed = (MEASUREMENT * height) ** 2, (VELOCITY * height) ** 2
    return Tracks(
        number=np.arange(number, number + count),
        seen_ns=np.full(count, time_ns, np.int64),
        hits=np.ones(count, np.int64),
        confirmed=np.full(count, settings.confirm_hits <= 1),
        position=position,
        velocity=np.zeros((count, 4)),
        covariance=np.stack([place, np.zeros((count, 4)), speed], axis=2),
        colours=detections.colours,
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


def corrected(tracks: Tracks, measured: NDArray[np.float64]) -> Tracks:
    """The tracks after a Kalman step with one (T, 4) centre x, centre y, width, height each."""
    place, cross, speed = np.moveaxis(tracks.covariance, 2, 0)
    total = place + (MEASUREMENT * tracks.position[:, 3:]) ** 2
    gain, gain_velocity = place / total, cross / total  # (T, 4)
    error = measured - tracks.position
    return replace(
        tracks,
        position=tracks.position + gain * error,
        velocity=tracks.velocity + gain_velocity * error,
        covariance=np.stack([place * (1 - gain), cross * (1 - gain), speed - gain_velocity * cross], axis=2),
    )


def blended(tracks: Tracks, colours: NDArray[np.float32], time_ns: int) -> NDArray[np.float32]:
    """(T, STRIPES, 3) what the tracks remember after seeing these colours; more is replaced after a gap."""
    weight = 1 - np.exp(-(time_ns - tracks.seen_ns) / (COLOUR_MEMORY_S * 1e9))
    return tracks.colours + weight.astype(np.float32)[:, None, None] * (colours - tracks.colours)


def worth(
    tracks: Tracks, detections: Measurements, seen: NDArray[np.bool_], overlap: float
) -> NDArray[np.float64]:
    """(T, N) gain of giving each box to each track: agreement in place x colour x confidence, or 0.

    A track that was not (T,) `seen` a moment ago asks for more: someone else may have come through the door.
    """
    fit, distance = agreement(tracks, detections, overlap), colour_distance(tracks, detections)
    credible = (fit >= REFOUND_AGREEMENT) & (distance <= COLOUR_GATE)
    gain = fit * np.exp(-distance / COLOUR_SCALE) * detections.confidences
    return np.where(seen[:, None] | credible, gain, 0.0)


def agreement(tracks: Tracks, detections: Measurements, overlap: float) -> NDArray[np.float64]:
    """(T, N) overlap x agreement in height of boxes and predictions, 0 where they cannot be the same person.

    Boxes are widened by how much the prediction's uncertainty has grown since the last detection, so that the
    same limit serves any frame rate.
    """
    measured, height = detections.position, tracks.position[:, 3:]
    doubt = MEASUREMENT * height  # (T, 4)
    margin = np.maximum(np.sqrt(tracks.covariance[..., 0]) - doubt, 0)[:, :2]
    shared = iou(widened(tracks.position, margin)[:, None], widened(measured, margin[:, None]))
    ratio = np.minimum(height, measured[:, 3]) / np.maximum(height, measured[:, 3])
    error = (measured - tracks.position[:, None]) ** 2 / (tracks.covariance[..., 0] + doubt**2)[:, None]
    near = error[..., 0] + error[..., 1] <= MAHALANOBIS_GATE**2
    return np.where(near & (shared >= overlap) & (ratio * HEIGHT_RATIO >= 1), shared * ratio, 0.0)


def colour_distance(tracks: Tracks, detections: Measurements) -> NDArray[np.float64]:
    """(T, N) CIELAB, the median over the stripes: it forgives what is hidden, usually the legs."""
    squares = np.square(tracks.colours[:, None] - detections.colours).sum(axis=3)  # (T, N, STRIPES)
    return np.asarray(np.median(np.sqrt(squares), axis=2), np.float64)


def assign(gain: NDArray[np.float64]) -> NDArray[np.int64]:
    """(K, 2) row and column of the one-to-one pairs of greatest total gain; none without gain."""
    rows, columns = linear_sum_assignment(gain, maximize=True)
    useful = gain[rows, columns] > 0
    return np.stack([rows[useful], columns[useful]], axis=1)


def unused(box_of: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """(count,) whether a box belongs to no track."""
    free = np.ones(count + 1, np.bool_)
    free[box_of] = False  # -1 is the extra one
    return free[:count]


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
        Observation(int(number), boxes[box].copy(), float(confidences[box]), bool(confirmed))
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

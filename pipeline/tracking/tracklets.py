"""Tracks and their frames to closed tracklets: gaps filled, long presences cut, the best crops kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config import TrackletConfig
from pipeline.messages import Crop, TrackletClosed, TrackletKey
from pipeline.tracking.smooth import smoothed
from pipeline.tracking.track import Observation

FIRST_BIN_NS = 200_000_000
"""Crops nearer in time look alike: one is enough."""
TIE_NS = 30_000_000
"""A time this little short of a limit has reached it: limits are whole steps of the detector's grid, files
round time stamps, and the clock of a live camera is corrected by up to 3 ms a second."""
BINS_PER_CROP = 2
"""Time bins for each crop to be kept: enough choice, and the limit of what is held in memory."""
BORDER_PX = 2.0
"""A box this near to the border of the image is cut by it."""
CUT_FACTOR = 0.5
"""Quality left of a crop for each border that cuts it."""
BEHIND_FACTOR = 0.5
"""How much someone who stands behind counts of what someone in front hides."""
LEAST_VISIBLE = 0.05
"""Someone hidden all the time still gets a crop."""
SHARPNESS_HEIGHT_PX = 96
"""Height at which crops are compared for sharpness."""
JPEG_QUALITY = 95
FIRST_PART_CROPS = 2
"""Of an early first part: those of one second look alike, and each costs the ReID worker 27 ms of CPU."""
NEVER_NS = int(np.iinfo(np.int64).min)


class TrackedBox(NamedTuple):
    """One row of a tracklet."""

    frame: int
    time_ns: int
    bbox: NDArray[np.float32]  # (4,) xyxy, px
    confidence: float


@dataclass(frozen=True)
class CropCandidate:
    """A crop that may be kept."""

    frame: int
    time_ns: int
    bbox: NDArray[np.float32]  # (4,) xyxy, px, inside the image
    quality: float
    image: NDArray[np.uint8]  # (h, w, 3) RGB, its own memory


@dataclass
class CropBins:
    """The best crop of each of at most `limit` time bins, which grow to fit the time they cover."""

    limit: int
    start_ns: int
    width_ns: int = FIRST_BIN_NS
    best: dict[int, CropCandidate] = field(default_factory=dict)

    def quality_at(self, time_ns: int) -> float:
        """Quality of the crop held for a time, 0 where there is none."""
        held = self.best.get(self.place(time_ns))
        return held.quality if held else 0.0

    def place(self, time_ns: int) -> int:
        """Number of the bin that a time falls into."""
        return (time_ns - self.start_ns + TIE_NS) // self.width_ns

    def add(self, candidate: CropCandidate) -> None:
        """Keep the candidate if it is the best of its bin."""
        while self.place(candidate.time_ns) >= self.limit:
            self.width_ns *= 2
            merged, self.best = self.best, {}
            for one in merged.values():
                self.put(one)
        self.put(candidate)

    def put(self, candidate: CropCandidate) -> None:
        """The better of the candidate and the one in its bin stays; the earlier of equals."""
        place = self.place(candidate.time_ns)
        if place not in self.best or candidate.quality > self.best[place].quality:
            self.best[place] = candidate

    def top(self, count: int) -> list[CropCandidate]:
        """The best `count`, in order of time."""
        ranked = sorted(self.best.values(), key=lambda one: (-one.quality, one.time_ns))
        return sorted(ranked[:count], key=lambda one: one.time_ns)


@dataclass
class OpenTrack:
    """One track that has not ended: what its current part holds so far."""

    track: int
    start_ns: int
    last: TrackedBox
    bins: CropBins
    part: int = 0
    samples: list[TrackedBox] = field(default_factory=list)
    confirmed: bool = False
    best_confidence: float = 0.0

    def turn_to(self, part: int, begins_ns: int) -> None:
        """Start a part with nothing in it, so long after the track's start."""
        self.part, self.samples = part, []
        self.bins = CropBins(self.bins.limit, self.start_ns + begins_ns)


class TrackletBuilder:
    """The tracklets of one recording.

    Args:
        camera: name.
        recording: its row in the store.
        settings: see there.
        first_part_s: the first part ends after this, the second where the first would have; None: like any.
    """

    def __init__(
        self, camera: str, recording: int, settings: TrackletConfig, *, first_part_s: float | None = None
    ) -> None:
        self.camera = camera
        self.recording = recording
        self.settings = settings
        self.part_ns = round(settings.part_s * 1e9)
        self.first_part_ns = min(self.part_ns, round((first_part_s or settings.part_s) * 1e9))
        self.presences: dict[int, OpenTrack] = {}
        self.timeline: list[tuple[int, int]] = []  # frame and time since the oldest open track was last seen
        self.frame = -1
        self.time_ns = NEVER_NS

    @property
    def watermark_ns(self) -> int:
        """No tracklet closed later ends before this time."""
        return min((presence.last.time_ns for presence in self.presences.values()), default=self.time_ns)

    def add(
        self,
        frame_index: int,
        time_ns: int,
        image: NDArray[np.uint8],
        observations: Sequence[Observation],
        ended: Iterable[int],
    ) -> list[TrackletClosed]:
        """The tracklets that a detected frame completes.

        Args:
            frame_index: 0-based, above that of the frame before.
            time_ns: source time.
            image: (H, W, 3) RGB; only crops of it are kept.
            observations: tracks seen in the frame.
            ended: numbers of tracks that will not be seen again.

        Raises:
            ValueError: frames out of order.
        """
        self.skip(frame_index, time_ns)
        boxes = clipped(np.array([one.bbox for one in observations], np.float32).reshape(-1, 4), image)
        shown = visibility(boxes)
        closed: list[TrackletClosed] = []
        for one, box, visible in zip(observations, boxes, shown, strict=True):
            sample = TrackedBox(frame_index, time_ns, one.bbox, one.confidence)
            presence = self.presences.get(one.track) or self.begun(one.track, sample)
            presence.confirmed |= one.confirmed
            presence.best_confidence = max(presence.best_confidence, one.confidence)
            closed += self.extend(presence, sample)
            self.look(presence, image, box, float(visible) * one.confidence)
        for track in ended:
            if track in self.presences:
                closed += self.finished(self.presences.pop(track))
        self.forget_timeline()
        return closed

    def skip(self, frame_index: int, time_ns: int) -> None:
        """Note a frame that was decoded but not detected.

        Raises:
            ValueError: frames out of order.
        """
        if frame_index <= self.frame or time_ns < self.time_ns:
            raise ValueError(
                f"frame {frame_index} at {time_ns} ns after frame {self.frame} at {self.time_ns} ns: "
                "frames come in order"
            )
        self.frame, self.time_ns = frame_index, time_ns
        if self.presences:
            self.timeline.append((frame_index, time_ns))

    def close(self) -> list[TrackletClosed]:
        """The tracklets still open when the recording ends."""
        presences = [self.presences.pop(track) for track in sorted(self.presences)]
        self.timeline.clear()
        return [tracklet for presence in presences for tracklet in self.finished(presence)]

    def begun(self, track: int, sample: TrackedBox) -> OpenTrack:
        """A track seen for the first time."""
        bins = CropBins(BINS_PER_CROP * self.settings.crops, sample.time_ns)
        self.presences[track] = OpenTrack(track, sample.time_ns, sample, bins)
        return self.presences[track]

    def extend(self, presence: OpenTrack, sample: TrackedBox) -> list[TrackletClosed]:
        """The parts that end as a presence grows by a sample and by what lies between it and the last one."""
        last, closed = presence.last, []
        between = [moment for moment in self.timeline if last.frame < moment[0] < sample.frame]
        for one in (*interpolated(last, sample, between), sample):
            part, begins_ns = self.part_at(one.time_ns - presence.start_ns)
            if part != presence.part:
                closed += self.finished(presence)
                presence.turn_to(part, begins_ns)
            presence.samples.append(one)
            presence.last = one
        return closed

    def part_at(self, since_ns: int) -> tuple[int, int]:
        """Number and beginning of the part that is so long after a track's start, both from that start."""
        since_ns += TIE_NS
        interval = since_ns // self.part_ns
        if self.first_part_ns == self.part_ns:
            return interval, interval * self.part_ns
        if since_ns < self.first_part_ns:
            return 0, 0
        return interval + 1, max(self.first_part_ns, interval * self.part_ns)

    def look(
        self, presence: OpenTrack, image: NDArray[np.uint8], box: NDArray[np.float32], worth: float
    ) -> None:
        """Keep the crop of the presence's last sample if it is better than what its time bin holds."""
        settings, sample = self.settings, presence.last
        if box[3] - box[1] <= settings.min_height_px or box[2] - box[0] < 1:
            return
        worth *= min(1.0, float(box[3] - box[1]) / settings.crop_height_px)
        worth *= CUT_FACTOR ** int(borders_cut(sample.bbox, image))
        if worth <= presence.bins.quality_at(sample.time_ns):
            return
        pixels = cropped(image, box)
        quality = worth * sharpness(pixels)
        picture = scaled_down(pixels, settings.crop_height_px)
        presence.bins.add(CropCandidate(sample.frame, sample.time_ns, box, quality, picture))

    def finished(self, presence: OpenTrack) -> list[TrackletClosed]:
        """The presence's current part, if the track counts."""
        samples = presence.samples
        early = presence.part == 0 and self.first_part_ns < self.part_ns
        crops = min(FIRST_PART_CROPS, self.settings.crops) if early else self.settings.crops
        if not samples or not self.counts(presence):
            return []
        boxes = np.array([one.bbox for one in samples], np.float32)
        times_ns = np.array([one.time_ns for one in samples], np.int64)
        return [
            TrackletClosed(
                key=TrackletKey(self.recording, presence.track, presence.part),
                camera=self.camera,
                frames=np.array([one.frame for one in samples], np.int32),
                times_ns=times_ns,
                boxes=smoothed(boxes, times_ns),
                confidences=np.array([one.confidence for one in samples], np.float32),
                crops=tuple(encoded(one) for one in presence.bins.top(crops)),
            )
        ]

    def counts(self, presence: OpenTrack) -> bool:
        """Whether the track so far, all its parts together, is a person rather than noise."""
        return (
            presence.confirmed
            and presence.best_confidence >= self.settings.min_confidence
            and presence.last.time_ns - presence.start_ns + TIE_NS >= self.settings.min_duration_s * 1e9
        )

    def forget_timeline(self) -> None:
        """Drop the frames that no open track can be interpolated over."""
        seen = min((one.last.frame for one in self.presences.values()), default=self.frame)
        self.timeline = [moment for moment in self.timeline if moment[0] > seen]


def interpolated(first: TrackedBox, last: TrackedBox, between: Sequence[tuple[int, int]]) -> list[TrackedBox]:
    """Samples of confidence 0 at the frames and times between, on the straight line from first to last."""
    length_ns = max(last.time_ns - first.time_ns, 1)
    shift = last.bbox - first.bbox
    return [
        TrackedBox(
            frame, time_ns, first.bbox + shift * np.float32((time_ns - first.time_ns) / length_ns), 0.0
        )
        for frame, time_ns in between
    ]


def clipped(boxes: NDArray[np.float32], image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 4) boxes cut to the image."""
    height, width = image.shape[:2]
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))


def visibility(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) part of each box that no other hides: the box with the lower bottom edge stands in front."""
    size = np.minimum(boxes[:, None, 2:], boxes[:, 2:]) - np.maximum(boxes[:, None, :2], boxes[:, :2])
    shared = np.maximum(size, 0).prod(axis=2).astype(np.float64)  # (N, N)
    weight = np.where(boxes[:, 3] >= boxes[:, None, 3], 1.0, BEHIND_FACTOR)
    np.fill_diagonal(weight, 0.0)
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-9)
    return np.asarray(np.maximum(1 - (shared * weight).sum(axis=1) / area, LEAST_VISIBLE))


def borders_cut(box: NDArray[np.float32], image: NDArray[np.uint8]) -> int:
    """How many of the image's borders an unclipped box touches."""
    height, width = image.shape[:2]
    gaps = (box[0], box[1], width - box[2], height - box[3])
    return sum(bool(gap <= BORDER_PX) for gap in gaps)


def cropped(image: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(h, w, 3) view of the pixels that a box inside the image touches."""
    left, top = np.floor(box[:2]).astype(int)
    right, bottom = np.ceil(box[2:]).astype(int)
    return image[top:bottom, left:right]


def scaled_down(pixels: NDArray[np.uint8], height_px: int) -> NDArray[np.uint8]:
    """A copy, at most `height_px` high, of the same shape."""
    height, width = pixels.shape[:2]
    if height <= height_px:
        return pixels.copy()
    size = (max(1, round(width * height_px / height)), height_px)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def sharpness(pixels: NDArray[np.uint8]) -> float:
    """0 for a flat or blurred picture, towards 1 for fine detail; contrast and size do not matter.

    r / (1 + r) with r the variance of the Laplacian over that of the brightness, at one fixed height.
    """
    height, width = pixels.shape[:2]
    size = (max(1, round(width * SHARPNESS_HEIGHT_PX / height)), SHARPNESS_HEIGHT_PX)
    grey = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    detail = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    return detail / (detail + float(grey.var()) + 1.0)


def encoded(candidate: CropCandidate) -> Crop:
    """The candidate as it is stored."""
    picture = cv2.cvtColor(candidate.image, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Crop(candidate.frame, candidate.time_ns, candidate.bbox, candidate.quality, jpeg.tobytes())

"""What every source yields: upright frames of one size with source time, and which of them are sampled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MendableError

Image = NDArray[np.uint8]  # (H, W, 3) RGB

SECOND_NS = 1_000_000_000
REPAIR_STEP_NS = 1_000
"""A frame that does not come after the one before it is put this much after it."""
CLOCK_RESET_NS = SECOND_NS
"""Time stamps that jump back by more start a new clock, which goes on where the old one ended."""
CLOCK_JUMP_NS = 7 * 86_400 * SECOND_NS
"""The same for jumps forward: no recorder pauses for a week, but damaged time stamps reach any year."""
GRID_SLACK_NS = 1_000_000
"""Matroska rounds time stamps to 1 ms: a frame this early still meets its grid point."""
ROTATIONS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class SourceError(MendableError):
    """A source cannot be read; the message names it and says why."""


@dataclass(frozen=True)
class SourceInfo:
    """What is known of a source before it is read."""

    width: int
    """Of the upright frame, px."""
    height: int
    fps: float
    frames: int | None
    """Estimate; None: unknown."""
    duration_s: float | None
    """Estimate; None: unknown."""
    fingerprint: str
    """sha256 of the content: a renamed copy has the same."""


@dataclass
class Repairs:
    """What had to be put right while reading."""

    time_stamps: int = 0
    """Frames whose time did not come after the one before."""
    skipped: int = 0
    """Packets or pictures that could not be decoded."""
    damaged: int = 0
    """Frames the decoder completed from their neighbours."""
    resized: int = 0
    """Frames of another size than the first, fitted into it."""

    def __str__(self) -> str:
        """One line such as 'damaged frames: 2, frames resized: 1'; empty when nothing was repaired."""
        counts = {
            "time stamps repaired": self.time_stamps,
            "undecodable packets skipped": self.skipped,
            "damaged frames": self.damaged,
            "frames resized": self.resized,
        }
        return ", ".join(f"{what}: {count}" for what, count in counts.items() if count)


class Frame:
    """One picture of a source; its colours are converted when `image` is first asked for.

    Attributes:
        index: 0-based number in decode order.
        time_ns: source time, UTC epoch nanoseconds where the camera's start is known.
    """

    __slots__ = ("_convert", "_image", "index", "time_ns")

    def __init__(self, index: int, time_ns: int, convert: Callable[[], Image]) -> None:
        self.index = index
        self.time_ns = time_ns
        self._convert: Callable[[], Image] | None = convert
        self._image: Image | None = None

    @property
    def image(self) -> Image:
        """(H, W, 3) uint8 RGB, upright; the same array each time."""
        if self._convert is not None:
            self._image, self._convert = self._convert(), None
        assert self._image is not None
        return self._image


class Source(ABC):
    """An open recording: a context manager, and an iterator over its frames that runs once.

    Attributes:
        info: what is known before reading.
        repairs: what had to be put right so far.
        shortfall: after the last frame, one line if the recording ends before it should; else None.
    """

    info: SourceInfo
    repairs: Repairs
    shortfall: str | None = None

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """The frames in decode order, times strictly increasing."""

    @abstractmethod
    def close(self) -> None:
        """Give back files and decoders."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SourceClock:
    """Time stamps of a stream to source time, strictly increasing.

    Args:
        start_ns: time of the first frame.
        rate: frames a second, for frames without a time stamp.
        time_base: seconds in a unit of the time stamps.
        repairs: counts the frames whose time had to be changed.
    """

    def __init__(self, start_ns: int, rate: Fraction, time_base: Fraction, repairs: Repairs) -> None:
        self.start_ns, self.rate, self.time_base, self.repairs = start_ns, rate, time_base, repairs
        self.origin: int | None = None  # first time stamp of the running clock
        self.shift_ns = 0  # offset of that time stamp
        self.anchor_ns = 0  # offset of the last frame that had a time stamp
        self.untimed = 0  # frame periods since then
        self.last_ns = -1

    def time_ns(self, pts: int | None) -> int:
        """Source time of the next frame; `pts` is None where the stream has none."""
        offset = self.follow() if pts is None else self.convert(pts)
        if offset <= self.last_ns:
            self.repairs.time_stamps += 1
            offset = self.last_ns + REPAIR_STEP_NS
        self.last_ns = offset
        return self.start_ns + offset

    def follow(self) -> int:
        """Offset of a frame without a time stamp: whole periods after the last that had one."""
        offset = self.anchor_ns + self.periods_ns(self.untimed)
        self.untimed += 1
        return offset

    def convert(self, pts: int) -> int:
        """Offset of a frame by its time stamp, in exact integers."""
        if self.origin is None:
            self.restart(pts)
        offset = self.offset_ns(pts)
        if not -CLOCK_RESET_NS <= offset - self.last_ns <= CLOCK_JUMP_NS:
            self.repairs.time_stamps += 1
            self.restart(pts)
            offset = self.offset_ns(pts)
        self.anchor_ns, self.untimed = offset, 1
        return offset

    def restart(self, pts: int) -> None:
        """Let time stamps count from `pts`, one period after the last frame."""
        self.origin = pts
        self.shift_ns = 0 if self.last_ns < 0 else self.last_ns + self.periods_ns(1)

    def offset_ns(self, pts: int) -> int:
        """Time since the first frame by the running clock."""
        base = self.time_base
        return self.shift_ns + (pts - (self.origin or 0)) * SECOND_NS * base.numerator // base.denominator

    def periods_ns(self, count: int) -> int:
        """`count` frame periods."""
        return count * SECOND_NS * self.rate.denominator // self.rate.numerator

    @property
    def elapsed_s(self) -> float:
        """From the first frame to the end of the last."""
        return (self.last_ns + self.periods_ns(1)) / SECOND_NS if self.last_ns >= 0 else 0.0


class Grid:
    """Which frames are sampled: the first at or after each point of a grid in source time.

    The grid starts at the first frame, so a recording gives the same sample however fast it arrives.

    Args:
        rate_hz: points a second; "max": every frame is due.

    Raises:
        ValueError: rate_hz is not positive.
    """

    def __init__(self, rate_hz: float | Literal["max"]) -> None:
        if rate_hz != "max" and not rate_hz > 0:
            raise ValueError(f"rate_hz {rate_hz}, must be above 0")
        self.rate = None if rate_hz == "max" else Fraction(rate_hz).limit_denominator(1_000_000)
        self.origin_ns: int | None = None
        self.next_point = 0

    def due(self, time_ns: int) -> bool:
        """Whether the frame at this time is sampled; times must not decrease."""
        if self.rate is None:
            return True
        if self.origin_ns is None:
            self.origin_ns = time_ns
        elapsed = time_ns - self.origin_ns + GRID_SLACK_NS
        point = elapsed * self.rate.numerator // (self.rate.denominator * SECOND_NS)
        if point < self.next_point:
            return False
        self.next_point = point + 1
        return True


def upright(image: Image, clockwise: int) -> Image:
    """`image` turned by 0, 90, 180 or 270 degrees clockwise."""
    return np.asarray(cv2.rotate(image, ROTATIONS[clockwise]), np.uint8) if clockwise else image


def letterbox(image: Image, width: int, height: int) -> Image:
    """`image` scaled into (height, width) keeping its proportions, centred on black."""
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    framed = np.zeros((height, width, 3), np.uint8)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    framed[top : top + inner[1], left : left + inner[0]] = cv2.resize(image, inner, interpolation=method)
    return framed

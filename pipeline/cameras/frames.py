"""What every source yields: upright frames of one size with source time, and which of them are sampled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MendableError

Image = NDArray[np.uint8]  # (H, W, 3) RGB

SECOND_NS = 1_000_000_000
MOST_PIXELS = 100_000_000
"""Of one picture, three times those of 8K; more is damage, or made to fill the memory."""
TOLD = 8
"""Lines about one recording; a person reads no more."""
GRID_SLACK_NS = 1_000_000
"""Matroska rounds time stamps to 1 ms: a frame this early still meets its grid point."""


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
    """Frames whose time stamp did not come after the one before."""
    skipped: int = 0
    """Packets or pictures that could not be decoded."""
    keyless: int = 0
    """Frames before the first that can be shown without others."""
    damaged: int = 0
    """Frames the decoder completed from their neighbours."""
    resized: int = 0
    """Frames of another size than the first, fitted into it."""
    interlaced: int = 0
    """Frames of two fields that were made one picture."""
    told: list[str] = field(default_factory=list)
    """What happened once, one line each, in the order of the recording."""
    untold: int = 0
    """Further lines, left out."""

    def tell(self, line: str) -> None:
        """Note what happened, unless too much has."""
        if len(self.told) < TOLD:
            self.told.append(line)
        else:
            self.untold += 1

    def add(self, others: Repairs, where: str) -> None:
        """Count another's repairs among these, its lines with their place."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(others, name))
        for line in others.told:
            self.tell(f"{where}: {line}")

    @property
    def lines(self) -> tuple[str, ...]:
        """What was repaired, one line a kind; nothing where nothing was."""
        counts = {
            "time stamps repeated or out of order, spread evenly": self.time_stamps,
            "undecodable packets skipped": self.skipped,
            "frames before the first key frame left out": self.keyless,
            "damaged frames": self.damaged,
            "frames resized": self.resized,
            "interlaced frames put together": self.interlaced,
            "more of this kind": self.untold,
        }
        return (*self.told, *(f"{what}: {count}" for what, count in counts.items() if count))

    def __str__(self) -> str:
        """All in one line, such as 'damaged frames: 2, frames resized: 1'; empty where nothing was."""
        return ", ".join(self.lines)


COUNTS = ("time_stamps", "skipped", "keyless", "damaged", "resized", "interlaced", "untold")
"""The numbers among the repairs."""


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
        notes: what is to be told before reading, one line each: what was left out, what is assumed.
        repairs: what had to be put right so far; its `lines` go into the recording's row.
        shortfall: after the last frame, one line if the recording ends before it should; else None.
    """

    info: SourceInfo
    repairs: Repairs
    notes: tuple[str, ...] = ()
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

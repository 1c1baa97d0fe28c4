"""What can be wrong with a stream that still brings packets: a frozen picture, too much, too late."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

SAMPLE_STEP = 97
"""One in so many bytes of the brightness is compared: sensor noise changes some of them in every frame."""
RETURNS_NS = 4_000_000_000
"""A content that returns within this is not new: key frames are less apart. Gaps are left out."""
BEHIND_S = 2.0
"""Frames this late are not worth decoding one by one."""
CAUGHT_UP_S = 0.5
BURST_S = 3.0
"""Frames of so many seconds may come at once: the server kept them while the line was down."""


class Stillness:
    """How long a stream has shown nothing new.

    A hanging camera often still encodes the picture it hangs on: it gets sharper up to the next key frame and
    begins again, so the same few contents return.
    """

    def __init__(self) -> None:
        self.seen_ns: dict[int, int] = {}  # when a content was last seen
        self.since_ns = 0

    def still_s(self, luma: NDArray[np.uint8], time_ns: int) -> float:
        """Seconds since the last new picture; `luma`: all bytes of the brightness, flat."""
        content = zlib.crc32(luma[::SAMPLE_STEP].tobytes())
        if content not in self.seen_ns:
            self.since_ns = time_ns
        oldest_ns = max(self.seen_ns.values(), default=time_ns) - RETURNS_NS
        self.seen_ns = {c: ns for c, ns in self.seen_ns.items() if ns > oldest_ns} | {content: time_ns}
        return (time_ns - self.since_ns) / 1e9


class Allowance:
    """Lets at most `rate_hz` things a second pass, with bursts of `BURST_S`; None: any number."""

    def __init__(self, rate_hz: float | None, now_s: float) -> None:
        self.rate_hz, self.now_s = rate_hz, now_s
        self.left = (rate_hz or 0.0) * BURST_S

    def take(self, now_s: float) -> bool:
        """Whether one more may pass now."""
        if self.rate_hz is None:
            return True
        self.left = min(self.rate_hz * BURST_S, self.left + (now_s - self.now_s) * self.rate_hz)
        self.now_s = now_s
        if self.left < 1:
            return False
        self.left -= 1
        return True


class SkipAhead:
    """Whether only key frames are decoded, because the rest would come too late anyway."""

    def __init__(self) -> None:
        self.behind = False

    def skips(self, lag_s: float, *, key_frame: bool) -> bool:
        """Whether a packet is left out; what was left out can be decoded again from a key frame on.

        Args:
            lag_s: how much later than usual the packet was read, where reading did not have to wait.
            key_frame: whether the packet can be decoded by itself.
        """
        if lag_s > BEHIND_S:
            self.behind = True
        elif lag_s < CAUGHT_UP_S and key_frame:
            self.behind = False
        return self.behind and not key_frame

"""Time stamps as recorders write them to source time: strictly increasing, whatever the recorder did."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Generic, TypeVar

from pipeline.cameras.frames import SECOND_NS, Repairs

Item = TypeVar("Item")

REPAIR_STEP_NS = 1_000
"""A frame for whose time there is no room is put this much after the one before it."""
CLOCK_RESET_NS = SECOND_NS
"""Time stamps that jump back by more start a new clock, which goes on where the old one ended."""
REORDERED = 8
"""The same for jumps back by more frames than an encoder reorders."""
CLOCK_JUMP_NS = 7 * 86_400 * SECOND_NS
"""The same for jumps forward: no recorder pauses for a week, but damaged time stamps reach any year."""
HOLE_NS = 60 * SECOND_NS
"""Jumps forward from here on are told: the recorder paused, or its clock was set."""
WRAP_SLACK_NS = 10 * SECOND_NS
"""A clock that ran over its last bit is at most this far from where it would have been."""
HELD = 128
"""Frames that may wait for the next good time stamp: two seconds of the fastest cameras."""


class SourceClock(Generic[Item]):
    """Time stamps of a stream to source time, strictly increasing.

    Args:
        start_ns: time of the first frame, or of what came before it (see `lead_ns`).
        rate: frames a second, for frames without a time stamp.
        time_base: seconds in a unit of the time stamps.
        repairs: told what had to be changed.
        wrap: units after which time stamps begin at 0 again; None: they do not.
        lead_ns: how much of the recording came before the first frame.
        held: how many frames may wait for a good time stamp.
    """

    def __init__(
        self,
        start_ns: int,
        rate: Fraction,
        time_base: Fraction,
        repairs: Repairs,
        *,
        wrap: int | None = None,
        lead_ns: int = 0,
        held: int = HELD,
    ) -> None:
        self.start_ns, self.rate, self.time_base, self.repairs = start_ns, rate, time_base, repairs
        self.wrap, self.held_limit = wrap, held
        self.origin: int | None = None  # first time stamp of the running clock
        self.shift_ns = lead_ns  # offset of that time stamp
        self.anchor_ns = lead_ns  # offset of the last frame that had a time stamp
        self.untimed = 0  # frame periods since then
        self.last_ns = -1
        self.held: list[Item] = []  # frames whose time stamps do not come after the one before them
        self.step_ns = 0  # between frames that were held last time

    def take(self, item: Item, stamp: int | None) -> Iterator[tuple[Item, int]]:
        """The frames whose times are certain now, with these times.

        A frame whose time stamp does not come after the one before it waits for the next that does: what lies
        between is spread evenly.

        Args:
            item: the next frame in order of presentation.
            stamp: None where the stream has none.
        """
        offset_ns = self.follow() if stamp is None else self.convert(stamp)
        if offset_ns <= self.last_ns:
            self.held.append(item)
            if len(self.held) >= self.held_limit:
                yield from self.rest()
            return
        yield from self.spread(offset_ns)
        yield item, self.emit(offset_ns)

    def rest(self) -> Iterator[tuple[Item, int]]:
        """The frames that wait for a time stamp which will not come."""
        step_ns = self.step_ns or self.periods_ns(1)
        yield from self.spread(self.last_ns + step_ns * (len(self.held) + 1))

    def spread(self, until_ns: int) -> Iterator[tuple[Item, int]]:
        """The frames that wait, evenly between the last one and an offset; before a hole at their pace."""
        if not self.held:
            return
        count = len(self.held) + 1
        pace_ns = max(self.step_ns, self.periods_ns(1), SECOND_NS // count)
        self.step_ns = max(REPAIR_STEP_NS, min((until_ns - self.last_ns) // count, pace_ns))
        items, self.held = self.held, []
        self.repairs.time_stamps += len(items)
        for item in items:
            yield item, self.emit(self.last_ns + self.step_ns)

    def emit(self, offset_ns: int) -> int:
        """Source time of a frame at an offset, which must come after the last one."""
        self.last_ns = max(offset_ns, self.last_ns + REPAIR_STEP_NS) if self.last_ns >= 0 else offset_ns
        return self.start_ns + self.last_ns

    def follow(self) -> int:
        """Offset of a frame without a time stamp: whole periods after the last that had one."""
        offset = self.anchor_ns + self.periods_ns(self.untimed)
        self.untimed += 1
        return offset

    def convert(self, stamp: int) -> int:
        """Offset of a frame by its time stamp, in exact integers."""
        if self.origin is None:
            self.origin = stamp
        offset = self.offset_ns(stamp)
        step_ns = offset - self.anchor_ns
        back_ns = min(CLOCK_RESET_NS, max(CLOCK_RESET_NS // 5, self.periods_ns(REORDERED)))
        if self.last_ns >= 0 and not -back_ns <= step_ns <= CLOCK_JUMP_NS:
            offset = self.start_anew(stamp)
        elif self.last_ns >= 0 and step_ns > HOLE_NS:
            self.tell(f"a hole of {said_s(step_ns)}: a new part begins after it")
        self.anchor_ns, self.untimed = offset, 1
        return offset

    def start_anew(self, stamp: int) -> int:
        """Offset of the first time stamp of a clock that ran over, was set back, or far ahead."""
        next_ns = self.next_ns
        if self.wrap and abs(self.offset_ns(stamp + self.wrap) - next_ns) <= WRAP_SLACK_NS:
            assert self.origin is not None
            self.origin -= self.wrap
            self.tell("the clock of the stream ran over its last bit: times go on")
            return self.offset_ns(stamp)
        self.origin, self.shift_ns = stamp, next_ns
        self.tell("the clock of the recording starts anew: times go on where they ended")
        return next_ns

    def tell(self, what: str) -> None:
        """Note an event, and when it was."""
        self.repairs.tell(f"{what} (at {said_s(max(self.last_ns, 0))})")

    @property
    def next_ns(self) -> int:
        """Offset of the frame after the last one, those that wait included."""
        return self.last_ns + self.periods_ns(1) + (self.step_ns or self.periods_ns(1)) * len(self.held)

    def offset_ns(self, stamp: int) -> int:
        """Time since the beginning by the running clock."""
        base = self.time_base
        return self.shift_ns + (stamp - (self.origin or 0)) * SECOND_NS * base.numerator // base.denominator

    def periods_ns(self, count: int) -> int:
        """`count` frame periods."""
        return count * SECOND_NS * self.rate.denominator // self.rate.numerator


def said_s(time_ns: int) -> str:
    """A span of time in words: '3 days 2 h', '1 h 05 min', '12 min 30 s', '7.4 s'."""
    seconds = time_ns / SECOND_NS
    days, hours, minutes = int(seconds // 86400), int(seconds // 3600 % 24), int(seconds // 60 % 60)
    if days:
        return f"{days} day{'s' * (days > 1)} {hours} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {int(seconds % 60):02} s" if minutes else f"{seconds:.1f} s"

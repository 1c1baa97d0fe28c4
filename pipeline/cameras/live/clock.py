"""Time stamps of a live stream to UTC: by the sender's clock where it can be trusted, else by arrival."""

from __future__ import annotations

from collections import deque

SECOND_NS = 1_000_000_000
REORDER_NS = SECOND_NS
"""Time stamps may step back by this much: frames are sent in another order than shown."""
AHEAD_NS = 2 * SECOND_NS
"""A time stamp that runs ahead of the time that passed by more is a jump, not an early frame."""
FUTURE_NS = SECOND_NS // 2
"""No frame is from later than this after it arrived: it bounds a stream whose time stamps run too fast."""
LAG_NS = 4 * SECOND_NS
"""No frame is from longer before it arrived: it bounds one whose time stamps run too slowly."""
SENDER_LIMIT_NS = 5 * SECOND_NS
"""A sender's clock that differs more from ours is wrong: cameras boot in 1970."""
SPEED_NS = 5 * SECOND_NS
"""How long time stamps are compared with arrivals."""
SLEW = 0.003
"""The estimate of the offset moves by at most this part of the time that passes, far above any drift and so
little that a presence's parts and crops are those of the recording (`tracklets.TIE_NS`)."""
BUCKET_NS = 5 * SECOND_NS
BUCKETS = 12
"""The least delay of the last minute counts: long enough for a quiet moment, short enough to follow drift."""
REMEMBERED = 64
"""Packets whose frames may still be in the decoder."""
STEP_NS = 1_000
"""A frame that does not come after the one before it is put this much after it."""


class LiveClock:
    """Source time of one connection's frames, strictly increasing.

    The time that passed in the stream is taken from its time stamps, and from arrivals where those stand
    still or jump. Delay is never negative, so the least difference between arrival and stream time of the
    last minute tells how the two clocks lie to each other.

    Args:
        after_ns: the last time of the connection before; all times are later.
        fps: frames a second as the stream claims, for single frames without a time stamp; 0: unknown.
    """

    def __init__(self, *, after_ns: int = 0, fps: float = 0.0) -> None:
        self.last_ns = after_ns
        self.period_ns = round(SECOND_NS / fps) if fps else STEP_NS
        self.jumps = 0
        self.offset_ns: float | None = None
        """UTC minus stream time, as applied."""
        self.sender_ns: int | None = None
        """UTC minus stream time as the sender says."""
        self.buckets: deque[tuple[int, int, int]] = deque(maxlen=BUCKETS)  # number, least and greatest offset
        self.stream_ns = 0
        self.pts_ns: int | None = None
        self.arrival_ns = 0
        self.stream_of: dict[int | None, int] = {}
        self.frame_ns: int | None = None
        """Stream time of the last decoded frame."""
        self.speeds: deque[tuple[int, int]] = deque([(0, 0)], maxlen=2)  # time stamps, arrivals passed

    def observe(self, pts_ns: int | None, arrival_ns: int) -> None:
        """Learn from a packet: its time stamp and when it arrived, UTC."""
        passed_ns = max(0, arrival_ns - self.arrival_ns) if self.buckets else 0
        self.arrival_ns = arrival_ns
        if pts_ns is None and self.pts_ns is not None:
            return  # its frame comes a period after the one before
        self.stream_ns += self.step(pts_ns, passed_ns)
        if pts_ns is not None and self.pts_ns is None:
            self.stream_of.clear()
        self.pts_ns = pts_ns
        self.stream_of.pop(pts_ns, None)
        self.stream_of[pts_ns] = self.stream_ns
        if len(self.stream_of) > REMEMBERED:
            del self.stream_of[next(iter(self.stream_of))]
        self.note(arrival_ns - self.stream_ns, arrival_ns // BUCKET_NS)
        self.slew(arrival_ns - self.stream_ns, passed_ns)

    def step(self, pts_ns: int | None, passed_ns: int) -> int:
        """Stream time since the packet before, by time stamps if they are plausible."""
        if pts_ns is None or self.pts_ns is None:
            return passed_ns
        step = pts_ns - self.pts_ns
        self.measure(step, passed_ns)
        if step and -REORDER_NS < step <= passed_ns + AHEAD_NS:
            return step
        self.jumps += 1
        return passed_ns

    def measure(self, step_ns: int, passed_ns: int) -> None:
        """Add a step of the time stamps to the measurement of their speed."""
        stamps_ns, arrivals_ns = self.speeds[-1]
        self.speeds[-1] = stamps_ns + step_ns, arrivals_ns + passed_ns
        if arrivals_ns + passed_ns >= SPEED_NS:
            self.speeds.append((0, 0))

    @property
    def speed(self) -> float:
        """Time by the time stamps that passes in a second: 1 where all is well. Of the last 5 to 10 s."""
        stamps_ns, arrivals_ns = (sum(part) for part in zip(*self.speeds, strict=True))
        return stamps_ns / arrivals_ns if arrivals_ns >= SPEED_NS else 1.0

    def note(self, offset_ns: int, bucket: int) -> None:
        """Keep the least and the greatest offset of each span of time."""
        if self.buckets and self.buckets[-1][0] == bucket:
            _, least, most = self.buckets.pop()
            self.buckets.append((bucket, min(least, offset_ns), max(most, offset_ns)))
        else:
            self.buckets.append((bucket, offset_ns, offset_ns))

    def slew(self, latest_ns: int, passed_ns: int) -> None:
        """Move the applied offset towards the best estimate, slowly; the bounds hold at once."""
        target = self.trusted_ns
        # So far no two frames lie on this stream's time, or it has no time stamps and is arrival itself:
        # there is nothing that a step could tear apart.
        if self.offset_ns is None or len(self.stream_of) < 2:
            self.offset_ns = target
        # A step would stretch or shrink the time between two frames: people would jump, and a presence would
        # be cut elsewhere than in the recording of the same stream. So it creeps.
        most = SLEW * passed_ns
        self.offset_ns += max(-most, min(most, target - self.offset_ns))
        # Outside the bounds a jump is the lesser evil: frames from the future outrun other cameras'
        # watermarks, and those from long ago come after linking has gone past.
        self.offset_ns = max(latest_ns - LAG_NS, min(latest_ns + FUTURE_NS, self.offset_ns))

    def settle(self) -> None:
        """Apply the best estimate at once: the packets that waited for us when we connected are read."""
        self.offset_ns = self.trusted_ns
        self.speeds = deque([(0, 0)], maxlen=2)

    @property
    def least_ns(self) -> int:
        """Least offset of the last minute."""
        return min(least for _, least, _ in self.buckets)

    @property
    def trusted_ns(self) -> int:
        """The best estimate of UTC minus stream time."""
        if self.sender_ns is not None and abs(self.sender_ns - self.least_ns) <= SENDER_LIMIT_NS:
            return self.sender_ns
        return self.least_ns

    def hear_sender(self, utc_ns: int, pts_ns: int) -> None:
        """Learn what the sender's clock showed at a time stamp."""
        stream_ns = self.stream_of.get(pts_ns, self.stream_ns + pts_ns - (self.pts_ns or 0))
        self.sender_ns = utc_ns - stream_ns

    def advance(self, pts_ns: int | None) -> int:
        """Stream time of the next decoded frame, exact as its time stamp."""
        if self.frame_ns is None:
            self.frame_ns = min(self.stream_of.values()) - 2 * self.period_ns
        self.frame_ns = self.stream_of.get(pts_ns, self.frame_ns + self.period_ns)
        return self.frame_ns

    def time_ns(self) -> int:
        """Source time of the frame that was last advanced to."""
        if self.offset_ns is None or self.frame_ns is None:
            raise ValueError("no packet was observed before this frame")
        self.last_ns = max(round(self.frame_ns + self.offset_ns), self.last_ns + STEP_NS)
        return self.last_ns

    @property
    def lag_s(self) -> float:
        """How much later the last packet arrived than the promptest of the last minute."""
        return (self.arrival_ns - self.stream_ns - self.least_ns) / SECOND_NS if self.buckets else 0.0

    @property
    def sender_offset_s(self) -> float | None:
        """The sender's clock minus ours, less the least delay; None where the stream does not tell."""
        return None if self.sender_ns is None else (self.sender_ns - self.least_ns) / SECOND_NS

    @property
    def uncertainty_s(self) -> float | None:
        """Spread of the delays of the last minute: how far the least one may be from the true one."""
        if not self.buckets:
            return None
        spreads = sorted(most - self.least_ns for _, _, most in self.buckets)
        return spreads[len(spreads) // 2] / SECOND_NS

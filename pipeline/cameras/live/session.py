"""One connection of a live camera: packets to frames with source time; those that are due are shown."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

from pipeline.cameras.frames import SECOND_NS, Grid
from pipeline.cameras.live.capture_messages import (
    CaptureLink,
    Connect,
    Leave,
    Opened,
    Pulse,
    Rate,
    Shown,
    Taken,
)
from pipeline.cameras.live.clock import LiveClock
from pipeline.cameras.live.connection import Connection, LostError, StreamPacket, VideoFrame, luma
from pipeline.cameras.live.ring import SLOTS, Ring, shared_memory
from pipeline.cameras.live.watchdog import Allowance, SkipAhead, Stillness
from pipeline.cameras.shapes import letterbox
from pipeline.config import LiveConfig

PULSE_S = 0.5
WAITED_S = 0.002
"""Reading a packet that takes longer had to wait for it: nothing older is left on the way."""
PRIMING_S = 2.0
"""What the server sent while the stream was looked at is read within this, and before the first wait."""
OVER_RATE = 1.5
"""More than this times the wanted rate is not passed on, whatever the time stamps say."""
LAST_SLOT_S = 1.0
"""The last frame of a connection may wait so long for a free slot."""
MOMENTS = 512
"""Frames not shown that are remembered: 20 s at 25 fps."""


class Moment(NamedTuple):
    """When a frame was."""

    frame: int
    """Its number."""
    time_ns: int


class Pending(NamedTuple):
    """A frame that waits for a free slot."""

    moment: Moment
    stream_ns: int
    arrival_ns: int
    frame: VideoFrame


class Session:
    """One connection, from its first packet to the loss.

    Args:
        connection: just opened.
        link: to the camera worker.
        order: what that asked for.
        live: limits.
        stillness: what this process has seen of the picture, in earlier sessions too.
    """

    def __init__(
        self,
        connection: Connection,
        link: CaptureLink,
        order: Connect,
        live: LiveConfig,
        stillness: Stillness,
    ) -> None:
        self.connection, self.link, self.live = connection, link, live
        self.clock = LiveClock(after_ns=order.after_ns, fps=connection.fps)
        self.fitted = (order.width, order.height) if order.width else None
        self.index = order.index
        self.stillness, self.skip_ahead = stillness, SkipAhead()
        self.ring: Ring | None = None
        self.free = list(range(SLOTS))
        self.pending: Pending | None = None
        self.moments: list[Moment] = []
        self.dropped: Counter[str] = Counter()
        self.frames = 0
        self.still_s = 0.0
        self.framed_s = self.waited_s = self.pulsed_s = time.monotonic()
        self.grid = Grid(order.rate_hz or "max")
        self.allowance = Allowance(order.rate_hz and order.rate_hz * OVER_RATE, time.monotonic())
        self.limit = Grid(order.limit_hz or "max")

    @property
    def time_base(self) -> Fraction | None:
        """Seconds in a unit of the time stamps."""
        return self.connection.stream.time_base

    def run(self) -> None:
        """Until a replayed file ends.

        Raises:
            LostError: the connection is lost.
            LinkClosed: the camera worker is gone.
        """
        try:
            self.read()
        finally:
            self.finish()

    def read(self) -> None:
        """Take every packet; raises as `run` does."""
        for packet in self.primed(self.timed()):
            self.obey()
            if self.skip_ahead.skips(self.late_s(), key_frame=packet.is_keyframe):
                self.dropped["decode:behind"] += 1
                continue
            decoded = self.connection.decode(packet)
            if decoded is None:
                self.dropped["decode:damaged"] += 1
            for frame in decoded or ():
                self.take(frame, nanoseconds(frame.pts, self.time_base))
            if time.monotonic() - self.framed_s > self.live.stall_s:
                raise LostError(f"what it sends cannot be decoded for {self.live.stall_s:g} s")
            self.pulse()

    def finish(self) -> None:
        """Nothing more comes: take what the decoder still holds, show what is due, say what was counted."""
        for frame in self.connection.decode(None) or ():
            self.take(frame, nanoseconds(frame.pts, self.time_base))
        until_s = time.monotonic() + LAST_SLOT_S
        while self.pending and (left_s := until_s - time.monotonic()) > 0:
            heard = self.link.receive(left_s)
            if heard and isinstance(heard[0], Taken):
                self.free.append(heard[0].slot)
                self.show(self.pending)
        self.dropped["capture:newer"] += self.pending is not None
        self.pulsed_s = 0.0
        self.pulse()

    def timed(self) -> Iterator[StreamPacket]:
        """The packets; the clock has seen each of them before."""
        asked_s = time.monotonic()
        for packet in self.connection:
            now_s = time.monotonic()
            if now_s - asked_s > WAITED_S:
                self.waited_s = now_s
            self.clock.observe(nanoseconds(packet.pts, self.time_base), time.time_ns())
            self.hear_sender(packet)
            yield packet
            asked_s = time.monotonic()

    def primed(self, packets: Iterator[StreamPacket]) -> Iterator[StreamPacket]:
        """The packets, the first ones once all that waited for us are read and their delay is known."""
        began_s = time.monotonic()
        first: list[StreamPacket] = []
        for packet in packets:
            first.append(packet)
            if self.waited_s > began_s or time.monotonic() - began_s > PRIMING_S:
                break
        self.clock.settle()
        self.framed_s = time.monotonic()
        yield from chain(first, packets)

    def hear_sender(self, packet: StreamPacket) -> None:
        """Tell the clock what the sender's showed, where the stream carries it (RTSP does, from RTCP)."""
        pts_ns = nanoseconds(packet.pts, self.time_base)
        sent_us = sender_us(packet, self.connection.container.start_time_realtime, pts_ns)
        if sent_us and pts_ns is not None:
            self.clock.hear_sender(sent_us * 1000, pts_ns)

    def late_s(self) -> float:
        """How far reading is behind; what arrives late over a slow line is not: nothing newer waits there."""
        return self.clock.lag_s if time.monotonic() - self.waited_s > PULSE_S else 0.0

    def obey(self) -> None:
        """Hear what the camera worker has to say."""
        while (heard := self.link.receive(0)) is not None:
            word, _ = heard
            if isinstance(word, Taken):
                self.free.append(word.slot)
            elif isinstance(word, Rate):
                self.limit = Grid(word.limit_hz or "max")
            elif isinstance(word, Leave):
                raise LostError(word.reason)

    def take(self, frame: VideoFrame, pts_ns: int | None) -> None:
        """Count a decoded frame, and show it if it is due."""
        stream_ns = self.clock.advance(pts_ns)
        moment = Moment(self.index, self.clock.time_ns())
        self.index += 1
        self.frames += 1
        self.framed_s = time.monotonic()
        self.moments = [*self.moments[-MOMENTS:], moment]
        self.still_s = self.stillness.still_s(luma(frame), self.clock.arrival_ns)
        if self.grid.due(stream_ns):
            self.offer(Pending(moment, stream_ns, self.clock.arrival_ns, frame))
        if self.pending and self.free:
            self.show(self.pending)

    def offer(self, due: Pending) -> None:
        """Let a frame wait for a slot; it takes the place of one that still waits."""
        if self.still_s > self.live.frozen_s:
            self.dropped["capture:frozen"] += 1
        elif not self.allowance.take(time.monotonic()):
            self.dropped["capture:over-rate"] += 1
        elif not self.limit.due(due.stream_ns):
            self.dropped["capture:load"] += 1
        else:
            self.dropped["capture:newer"] += self.pending is not None
            self.pending = due

    def show(self, due: Pending) -> None:
        """Put a frame into a free slot and say so."""
        image = self.connection.picture(due.frame)
        if self.ring is None:
            self.open_ring(*(self.fitted or (image.shape[1], image.shape[0])))
        assert self.ring is not None and self.fitted is not None
        if (image.shape[1], image.shape[0]) != self.fitted:
            image = letterbox(image, *self.fitted)
        slot = self.free.pop(0)
        self.ring.pictures[slot] = image
        passed = tuple(m for m in self.moments if m.frame < due.moment.frame)
        self.link.send(Shown(slot, *due.moment, due.stream_ns, due.arrival_ns, passed))
        self.moments = [m for m in self.moments if m.frame > due.moment.frame]
        self.pending = None

    def open_ring(self, width: int, height: int) -> None:
        """Make the memory for pictures of one size and hand it to the camera worker."""
        self.fitted = width, height
        descriptor = shared_memory(Ring.size_bytes(width, height))
        self.link.send(Opened(width, height, self.connection.fps, self.connection.codec), descriptor)
        self.ring = Ring(descriptor, width, height)

    def pulse(self) -> None:
        """Say now and then what came."""
        if time.monotonic() - self.pulsed_s < PULSE_S:
            return
        self.pulsed_s = time.monotonic()
        self.link.send(
            Pulse(
                self.frames,
                self.index,
                self.clock.last_ns,
                dict(self.dropped),
                self.still_s,
                self.clock.speed,
                self.clock.jumps,
                self.clock.sender_offset_s,
                self.clock.uncertainty_s,
            )
        )
        self.frames = 0
        self.dropped.clear()


def sender_us(packet: StreamPacket, start_us: int | None, pts_ns: int | None) -> int | None:
    """UTC of a packet by the sender's clock, from the packet itself or from the beginning of the stream."""
    for extra in packet.iter_sidedata():
        if extra.data_type == "prft":
            return int.from_bytes(bytes(extra)[:8], sys.byteorder)
    return start_us + pts_ns // 1000 if start_us and pts_ns is not None else None


def nanoseconds(pts: int | None, time_base: Fraction | None) -> int | None:
    """A time stamp in nanoseconds, None where there is none."""
    if pts is None or time_base is None:
        return None
    return pts * SECOND_NS * time_base.numerator // time_base.denominator

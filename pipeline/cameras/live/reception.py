"""The worker's side of one camera's capture: connecting, watching, losing and connecting again."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from pipeline.cameras.frames import Image
from pipeline.cameras.live.backoff import Backoff
from pipeline.cameras.live.capture import CaptureJob
from pipeline.cameras.live.capture_messages import (
    Connect,
    Finished,
    Leave,
    LinkClosed,
    Lost,
    Opened,
    Pulse,
    Rate,
    Shown,
    Taken,
    Word,
)
from pipeline.cameras.live.capture_process import CaptureProcess
from pipeline.cameras.live.health import HealthMeter
from pipeline.cameras.live.ring import Ring
from pipeline.config import CameraConfig, LiveConfig
from pipeline.parents import this_process

STALLED = 0.4
"""A camera is called stalled after this part of the time after which it is connected anew."""
GRACE_S = 2.0
"""A capture process that is so much late with giving up is killed."""
START_S = 10.0
"""How long a new capture process may take until it can listen."""
LATE_NS = 600_000_000
"""A frame that has waited this long for the detector goes where there is a newer one."""
RATE_STEP = 0.1
"""Rates that differ by a smaller part are the same."""
SPEEDS = (0.67, 1.5)
"""Time stamps that run slower or faster than this are told."""


@dataclass(frozen=True)
class LiveFrame:
    """One frame to be detected; its slot is given back afterwards."""

    index: int
    time_ns: int
    stream_ns: int
    """Time by the time stamps, from an origin of the session's own."""
    arrival_ns: int
    image: Image
    """(H, W, 3) RGB in shared memory."""
    passed: tuple[tuple[int, int], ...]
    """(index, time_ns) of the frames since the one before."""
    slot: int
    session: int


class Reception:
    """One live camera's frames, whatever happens to its connection.

    Args:
        camera: its source.
        live: limits.
        secrets: file of credentials.
        meter: counts what happens; its state is this camera's.
        now_s: monotonic clock.
        opened: told the picture's size and rate when it is first known.
        rate_hz: frames a second that are wanted; None: all.
    """

    def __init__(
        self,
        camera: CameraConfig,
        live: LiveConfig,
        secrets: str | None,
        meter: HealthMeter,
        *,
        now_s: Callable[[], float],
        opened: Callable[[Opened], None],
        rate_hz: float | None,
    ) -> None:
        self.job, self.live, self.meter = CaptureJob(camera, live, secrets, this_process()), live, meter
        self.now_s, self.opened, self.rate_hz = now_s, opened, rate_hz
        self.limit_hz: float | None = None
        self.passed_over = 0
        """Frames that waited too long for the detector."""
        self.backoff = Backoff(live.backoff_s, live.backoff_cap_s, chance=random.random)
        self.frozen_again = Backoff(live.frozen_s, 10 * live.backoff_cap_s, chance=lambda: 1.0)
        self.process: CaptureProcess | None = None
        self.ring: Ring | None = None
        self.waiting: deque[LiveFrame] = deque()
        self.size = (0, 0)
        self.index = self.session = 0
        self.last_ns = 0
        self.connected = self.finished = self.lost = False
        self.refused = ""
        """Why this is no live camera at all."""
        self.retry_s = now_s()
        self.framed_s = self.healthy_s = self.thaw_s = now_s()

    def attend(self) -> None:
        """Hear the capture process and do what is due."""
        try:
            for word, descriptors in self.process.heard() if self.process else ():
                self.hear(word, descriptors)
        except LinkClosed:
            self.end_process()
            self.lose("its capture process ended by itself")
        if self.finished:
            return
        now_s = self.now_s()
        if not self.connected and self.retry_s <= now_s:
            self.connect(now_s)
        elif self.connected:
            self.watch(now_s)

    def connect(self, now_s: float) -> None:
        """Have the capture process connect, started first where there is none."""
        allowance_s = self.live.connect_s
        if self.process is None:
            self.process = CaptureProcess(self.job)
            allowance_s += START_S
        width, height = self.size
        self.session += 1
        self.process.send(Connect(self.index, self.last_ns, self.rate_hz, self.limit_hz, width, height))
        self.connected = True
        self.framed_s = self.healthy_s = now_s + allowance_s

    def watch(self, now_s: float) -> None:
        """Judge a connection by the time since its last frame."""
        silent_s = now_s - self.framed_s
        if silent_s > self.live.stall_s + GRACE_S:
            self.end_process()
            self.lose(f"no picture for {silent_s:.0f} s and no answer: its capture process was ended")
        elif silent_s > STALLED * self.live.stall_s and self.meter.state == "live":
            self.meter.enter("stalled", f"no picture for {silent_s:.1f} s")

    def hear(self, word: Word, descriptors: list[int]) -> None:
        """Take one message of the capture process."""
        if isinstance(word, Opened):
            self.ring = Ring(descriptors[0], word.width, word.height)
            if self.size == (0, 0):
                self.opened(word)
            self.size = word.width, word.height
        elif isinstance(word, Shown):
            self.receive(word)
        elif isinstance(word, Pulse):
            self.feel(word)
        elif isinstance(word, Lost) and word.final:
            self.refused, self.finished = word.reason, True
        elif isinstance(word, Lost):
            self.lose(word.reason)
        elif isinstance(word, Finished):
            self.finished = True

    def receive(self, shown: Shown) -> None:
        """Let a frame wait for the detector."""
        assert self.ring is not None
        self.waiting.append(
            LiveFrame(
                shown.index,
                shown.time_ns,
                shown.stream_ns,
                shown.arrival_ns,
                self.ring.pictures[shown.slot],
                shown.passed,
                shown.slot,
                self.session,
            )
        )
        self.follow(shown.index + 1, shown.time_ns)
        self.thaw()

    def feel(self, pulse: Pulse) -> None:
        """Note how the stream is."""
        for _ in range(pulse.frames):
            self.meter.arrive()
        for what, count in pulse.dropped.items():
            stage, _, reason = what.partition(":")
            if count:
                self.meter.drop(stage, reason, count)
        self.meter.clock_offset_s, self.meter.clock_uncertainty_s = (
            pulse.clock_offset_s,
            pulse.clock_uncertainty_s,
        )
        if pulse.frames:
            self.follow(pulse.index, pulse.time_ns)
        if pulse.still_s > self.live.frozen_s:
            self.freeze(pulse.still_s)
        elif pulse.frames:
            self.thaw()
        if not SPEEDS[0] <= pulse.speed <= SPEEDS[1]:
            self.meter.last_error = f"its time stamps run {pulse.speed:.1f} times as fast as the clock"

    def follow(self, index: int, time_ns: int) -> None:
        """A frame has come."""
        self.index, self.last_ns = max(self.index, index), max(self.last_ns, time_ns)
        self.framed_s = self.now_s()
        if self.lost:
            self.lost = False
            self.meter.reconnects += 1

    def thaw(self) -> None:
        """The picture moves: the camera is live."""
        self.frozen_again.tries = 0
        self.meter.enter("live")

    def freeze(self, still_s: float) -> None:
        """The camera sends one and the same picture: try whether a new connection helps, ever less often."""
        reason = f"the picture has not changed for {still_s:.0f} s"
        self.meter.enter("frozen", reason)
        if self.now_s() >= self.thaw_s:
            self.thaw_s = self.now_s() + self.frozen_again.wait_s(0.0)
            if self.process:
                self.process.send(Leave(reason))

    def lose(self, reason: str) -> None:
        """The connection is gone: the next one is tried after a while."""
        now_s = self.now_s()
        self.connected, self.lost = False, True
        self.retry_s = now_s + self.backoff.wait_s(max(0.0, self.framed_s - self.healthy_s))
        self.meter.enter("frozen" if self.meter.state == "frozen" else "reconnecting", reason)

    def end_process(self) -> None:
        """Kill the capture process; the next connection starts another."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def next_frame(self) -> LiveFrame | None:
        """The frame to detect next; those that waited too long are passed over."""
        late: list[LiveFrame] = []
        while len(self.waiting) > 1 and self.meter.utc_ns() - self.waiting[0].arrival_ns > LATE_NS:
            late.append(self.waiting.popleft())
            self.give_back(late[-1])
        self.passed_over += len(late)
        if late:
            self.meter.drop("detect", "busy", len(late))
        if not self.waiting:
            return None
        frame = self.waiting.popleft()
        passed = [m for one in late for m in (*one.passed, (one.index, one.time_ns))]
        return replace(frame, passed=(*passed, *frame.passed))

    def give_back(self, frame: LiveFrame) -> None:
        """The frame's slot may be written again."""
        if self.process and frame.session == self.session:
            self.process.send(Taken(frame.slot))

    def limit(self, limit_hz: float | None) -> None:
        """Receive at most so many of the wanted frames a second from now on; None: all."""
        if limit_hz == self.limit_hz or near(limit_hz, self.limit_hz):
            return
        self.limit_hz = limit_hz
        if self.process:
            self.process.send(Rate(limit_hz))


def near(one_hz: float | None, other_hz: float | None) -> bool:
    """Whether two limits are the same for all that matters."""
    if one_hz is None or other_hz is None:
        return False
    return abs(one_hz - other_hz) < RATE_STEP * other_hz

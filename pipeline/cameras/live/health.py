"""Counts what becomes of a live camera's frames and says, when asked, how the camera is."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

import numpy as np

from pipeline.messages import CameraHealth, CameraState

__all__ = ["CameraHealth", "CameraState", "HealthMeter"]

WINDOW_S = 10.0
"""Rates and latencies are those of the last so many seconds."""


class HealthMeter:
    """The counters of one live camera; every number that its health shows comes from here.

    Args:
        camera: name.
        recording: its row in the store.
        monotonic_s: a clock that never goes back.
        utc_ns: the time of day.
    """

    def __init__(
        self, camera: str, recording: int, *, monotonic_s: Callable[[], float], utc_ns: Callable[[], int]
    ) -> None:
        self.camera, self.recording = camera, recording
        self.monotonic_s, self.utc_ns = monotonic_s, utc_ns
        self.began_s = monotonic_s()
        self.state: CameraState = "connecting"
        self.since_ns = utc_ns()
        self.frames_in = self.frames_detected = self.reconnects = 0
        self.dropped: Counter[str] = Counter()
        self.last_error = ""
        self.clock_offset_s: float | None = None
        self.clock_uncertainty_s: float | None = None
        self._arrived: deque[float] = deque()  # when, s
        self._detected: deque[tuple[float, float]] = deque()  # (when, latency), s

    def enter(self, state: CameraState, error: str = "") -> None:
        """Note the camera's state; `error`, free of credentials, says why where something is wrong."""
        if state != self.state:
            self.state, self.since_ns = state, self.utc_ns()
        self.last_error = error or self.last_error

    def arrive(self) -> None:
        """A frame arrived."""
        self.frames_in += 1
        self._arrived.append(self.monotonic_s())

    def detect(self, latency_s: float) -> None:
        """A frame has been detected and tracked, `latency_s` after it arrived."""
        self.frames_detected += 1
        self._detected.append((self.monotonic_s(), latency_s))

    def drop(self, stage: str, reason: str, count: int = 1) -> None:
        """So many frames were not detected: where (such as 'decode') and why (such as 'newer')."""
        self.dropped[f"{stage}:{reason}"] += count

    def health(self) -> CameraHealth:
        """How the camera is now."""
        self._forget_old()
        latencies = [latency for _, latency in self._detected]
        p50, p95 = np.percentile(latencies, [50, 95]).tolist() if latencies else (None, None)
        span_s = max(min(WINDOW_S, self.monotonic_s() - self.began_s), 1.0)
        return CameraHealth(
            self.camera,
            self.recording,
            self.state,
            self.since_ns,
            frames_in=self.frames_in,
            frames_detected=self.frames_detected,
            dropped=dict(self.dropped),
            fps_in=len(self._arrived) / span_s,
            fps_detected=len(self._detected) / span_s,
            latency_p50_s=p50,
            latency_p95_s=p95,
            reconnects=self.reconnects,
            last_error=self.last_error,
            clock_offset_s=self.clock_offset_s,
            clock_uncertainty_s=self.clock_uncertainty_s,
        )

    def _forget_old(self) -> None:
        """Drop what lies before the window."""
        limit = self.monotonic_s() - WINDOW_S
        while self._arrived and self._arrived[0] < limit:
            self._arrived.popleft()
        while self._detected and self._detected[0][0] < limit:
            self._detected.popleft()

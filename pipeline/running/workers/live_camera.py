"""One live camera inside its worker: frames to tracklets, watermarks and health, until the run is stopped."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec

from pipeline.cameras.live.capture_messages import Opened
from pipeline.cameras.live.finite import patient
from pipeline.cameras.live.health import HealthMeter
from pipeline.cameras.live.reception import LiveFrame, Reception
from pipeline.config import Config
from pipeline.messages import Message, Notice, Progress, RecordingEnded, RecordingStarted, Watermark
from pipeline.running.workers.camera import CameraJob
from pipeline.tracking.camera_tracks import CameraTracks
from pipeline.tracking.detect import Detections

REPORT_S = 1.0
WATERMARK_S = 0.25
"""How often a camera says how far it is; with the first part it bounds how late a sighting is known."""
LATENESS_NS = 1_000_000_000
"""A camera that is away brings nothing older than this when it comes back."""
TRACKS_AN_ATTEMPT = 1_000_000
"""Track numbers of a worker that was started over begin anew, where none can have come before."""
STEP_S = 1.0
"""Of a longer time between two pictures the tracker feels this much, if the rest may be bridged."""


class LiveCamera:
    """One live camera: its reception, its tracks and its counters.

    Args:
        job: the camera and its recording.
        config: the run's configuration.
        send: passes messages on, never waits.
        report: tells the supervisor.
        now_s: monotonic clock.
        utc_ns: the time of day.
    """

    def __init__(
        self,
        job: CameraJob,
        config: Config,
        send: Callable[[Message], None],
        report: Callable[[Message], None],
        *,
        now_s: Callable[[], float] = time.monotonic,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.camera, self.recording, self.live = job.camera, job.recording, patient(config.live, job.camera)
        self.send, self.report, self.now_s, self.utc_ns = send, report, now_s, utc_ns
        self.meter = HealthMeter(self.camera.name, self.recording, monotonic_s=now_s, utc_ns=utc_ns)
        wanted = self.camera.detection_fps or self.live.fps
        self.wanted_hz = None if wanted == "max" else float(wanted)
        self.reception = Reception(
            self.camera,
            self.live,
            config.secrets,
            self.meter,
            now_s=now_s,
            opened=self.start,
            rate_hz=self.wanted_hz,
        )
        crops = min(config.tracklets.crops, self.live.crops)
        tracklets = msgspec.structs.replace(config.tracklets, crops=crops)
        self.tracks = CameraTracks(
            self.camera,
            self.recording,
            msgspec.structs.replace(config, tracklets=tracklets),
            first_part_s=self.live.first_part_s,
            first_track=1 + job.attempt * TRACKS_AN_ATTEMPT,
        )
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.first_ns = self.last_ns = self.arrival_ns = self.tracked_ns = 0
        self.session, self.stream_ns = -1, 0
        self.watermark_ns = -1
        self.marked_s = self.reported_s = 0.0
        self.told = ("", 0)

    def start(self, opened: Opened) -> None:
        """Say what the first picture was like."""
        self.send(RecordingStarted(self.recording, opened.width, opened.height, opened.fps))

    def attend(self) -> None:
        """Mind the connection, and what time does to tracks and watermark without any frame."""
        self.reception.attend()
        if self.tracks.builder.presences and self.away:
            self.send_all(self.tracks.builder.close())
        self.mark()
        self.tell()

    @property
    def bridge_ns(self) -> int:
        """Tracks that are not seen for longer end."""
        return round(self.live.bridge_s * 1e9)

    @property
    def away(self) -> bool:
        """Whether no picture came for longer than is bridged. One that waits for us has come."""
        return not self.reception.waiting and self.utc_ns() - self.arrival_ns > self.bridge_ns

    def take(self, frame: LiveFrame, detections: Detections) -> None:
        """Track one detected frame and send what has closed."""
        started = time.perf_counter()
        self.first_ns = self.first_ns or frame.time_ns
        self.tracked_ns += self.step_ns(frame)
        for index, time_ns in frame.passed:
            self.tracks.builder.skip(index, time_ns)
        away_ns = frame.time_ns - self.tracked_ns
        closed = self.tracks.update(frame.index, frame.time_ns, frame.image, detections, away_ns=away_ns)
        self.reception.give_back(frame)
        self.last_ns, self.arrival_ns = frame.time_ns, frame.arrival_ns
        self.session, self.stream_ns = frame.session, frame.stream_ns
        self.seconds["track"] += time.perf_counter() - started
        self.send_all(closed)
        self.meter.detect((self.utc_ns() - frame.arrival_ns) / 1e9)

    def step_ns(self, frame: LiveFrame) -> int:
        """Time for the tracker since the frame before: by the time stamps, as in a recording.

        It stands still while there is no picture: tracks span a short loss.
        """
        gap_ns = frame.time_ns - self.last_ns
        if self.last_ns and STEP_S * 1e9 < gap_ns <= self.bridge_ns and self.tracks.builder.presences:
            return round(STEP_S * 1e9)
        by_stamps_ns = frame.stream_ns - self.stream_ns
        return by_stamps_ns if frame.session == self.session and by_stamps_ns > 0 else gap_ns

    def mark(self) -> None:
        """Say how far the camera is; one that is away must not hold up the others."""
        if self.now_s() - self.marked_s < WATERMARK_S:
            return
        self.marked_s = self.now_s()
        reached_ns = self.tracks.builder.watermark_ns
        if self.away:
            behind_ns = max(0, self.arrival_ns - self.last_ns)  # a camera's clock may be
            reached_ns = self.utc_ns() - behind_ns - LATENESS_NS
            self.reception.last_ns = max(self.reception.last_ns, reached_ns)
        if reached_ns > self.watermark_ns:
            self.watermark_ns = reached_ns
            self.send(Watermark(self.recording, reached_ns))

    def send_all(self, messages: Sequence[Message]) -> None:
        """Send each."""
        for message in messages:
            self.send(message)

    def tell(self) -> None:
        """Report health and progress once a second, and whenever the state changes."""
        meter = self.meter
        news = (meter.state, meter.reconnects)
        if news == self.told and self.now_s() - self.reported_s < REPORT_S:
            return
        if news != self.told:
            self.tell_state()
        self.told, self.reported_s = news, self.now_s()
        self.report(meter.health())
        people = self.tracks.people
        self.report(
            Progress(self.camera.name, self.recording, meter.frames_in, None, people, dict(self.seconds))
        )

    def tell_state(self) -> None:
        """One line for the terminal about a camera that went away or came back."""
        meter = self.meter
        if meter.state in ("reconnecting", "frozen"):
            self.report(Notice("warning", f"{self.camera.name}: {meter.state}: {meter.last_error}"))
        elif meter.state == "live" and self.told[0] != "stalled":
            self.report(Notice("info", f"{self.camera.name}: live"))

    def finish(self) -> None:
        """Close what is open and say that nothing more will come."""
        self.reception.end_process()
        self.send_all(self.tracks.builder.close())
        refused = self.reception.refused
        self.meter.enter("stopped", refused)
        if refused:
            self.report(Notice("error", f"{self.camera.name}: {refused}"))
        self.report(self.meter.health())
        meter = self.meter
        duration_s = (self.last_ns - self.first_ns) / 1e9
        remarks = "; ".join(filter(None, (refused, clock_words(meter), drop_words(meter))))
        ended = RecordingEnded(
            self.recording,
            "failed" if refused else "done",
            meter.frames_in,
            meter.frames_detected,
            duration_s,
            remarks,
        )
        self.send(ended)
        self.report(ended)


def clock_words(meter: HealthMeter) -> str:
    """How the camera's clock was found, for the recording's row; empty where the stream does not tell."""
    if meter.clock_offset_s is None:
        return ""
    return f"camera's clock minus ours: {meter.clock_offset_s:+.3f} +- {meter.clock_uncertainty_s or 0:.3f} s"


def drop_words(meter: HealthMeter) -> str:
    """What was dropped, by 'stage:reason', and how often the camera was lost; empty where nothing was."""
    counts = {**meter.dropped, "reconnects": meter.reconnects}
    return ", ".join(f"{what} {count}" for what, count in sorted(counts.items()) if count)

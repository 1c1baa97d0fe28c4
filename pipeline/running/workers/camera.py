"""Camera worker: decodes, detects and tracks the cameras it hosts, and sends their closed tracklets on."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import msgspec

from pipeline.cameras.recordings import Frame, Grid, Source, SourceError, open_source
from pipeline.config import CameraConfig, Config
from pipeline.messages import (
    Message,
    Notice,
    Progress,
    RecordingEnded,
    RecordingStarted,
    RecordingState,
    TrackletClosed,
    Watermark,
)
from pipeline.parents import minding
from pipeline.running.channels import PROGRESS, TRACKLETS, Link, ReceiverGone, Sender, open_context
from pipeline.tracking.camera_tracks import CameraTracks
from pipeline.tracking.detect import Detections, Detector, DetectorError, load_detector

PROGRESS_S = 0.5
WATERMARK_S = 2.0
"""How often, in source time, a camera says how far it is; bounds how long linking lags behind."""
STEP_NS = 1_000_000_000
"""Of a longer hole between two frames the tracker feels this much, if the rest may be bridged."""
HOLE_FRAMES = 3
"""A time as long as so many frames is a hole; pictures may be taken every few seconds."""


class CameraJob(msgspec.Struct, frozen=True):
    """One camera to read, and the row of its recording in the store."""

    camera: CameraConfig
    recording: int
    attempt: int = 0
    """How often its worker was started over; a live camera's goes on in the same recording."""


class WorkerJob(msgspec.Struct, frozen=True):
    """What one camera worker is started with."""

    name: str
    link: Link
    jobs: tuple[CameraJob, ...]
    config: Config
    threads: int


def main(job: bytes, stopped: Callable[[], bool]) -> None:
    """Run one camera worker until its cameras have ended or `stopped` says so.

    Args:
        job: an encoded `WorkerJob`.
        stopped: asked between frames.
    """
    work = msgspec.msgpack.decode(job, type=WorkerJob)
    context = open_context()
    alive = minding(work.link.parent)
    tracklets = Sender(context, work.link, TRACKLETS, alive)
    progress = Sender(context, work.link, PROGRESS, alive)
    try:
        cameras = [
            HostedCamera(job, work.config, tracklets.send, progress.send, work.threads) for job in work.jobs
        ]
        try:
            detector = load_detector(work.config.detector, threads=work.threads)
        except DetectorError as error:
            for camera in cameras:
                camera.end("failed", str(error))
            return
        host(cameras, detector, lambda: stopped() or not alive())
    finally:
        tracklets.close()
        progress.close()
        context.term()


def host(cameras: list[HostedCamera], detector: Detector, stopped: Callable[[], bool]) -> None:
    """Take one frame that is due from every camera, detect them in one batch, until all have ended."""
    reading = [camera for camera in cameras if camera.open()]
    while reading:
        if stopped():
            for camera in reading:
                camera.interrupt()
            return
        due = [(camera, frame) for camera in reading if (frame := camera.next_due()) is not None]
        started = time.perf_counter()
        found = detector.detect([frame.image for _, frame in due])
        share_s = (time.perf_counter() - started) / max(1, len(due))
        for (camera, frame), detections in zip(due, found, strict=True):
            camera.seconds["detect"] += share_s
            camera.take(frame, detections)
        reading = [camera for camera in reading if not camera.ended]


class HostedCamera:
    """One camera inside a worker: its source, its tracker, its open tracklets and its counters."""

    def __init__(
        self,
        job: CameraJob,
        config: Config,
        send: Callable[[Message], None],
        report: Callable[[Message], None],
        threads: int = 1,
    ) -> None:
        """Nothing is opened yet; `send` passes messages on, `report` tells the supervisor."""
        self.camera, self.recording = job.camera, job.recording
        self.send, self.report, self.threads = send, report, threads
        self.tracks = CameraTracks(self.camera, self.recording, config)
        self.builder = self.tracks.builder
        self.grid = Grid(self.camera.detection_fps or config.detector.fps)
        self.source: Source | None = None
        self.frames: Iterator[Frame] = iter(())
        self.read = self.detected = 0
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.ended = False
        self.reported_s = 0.0
        self.watermark_ns = -1
        self.first_ns = self.last_ns = 0
        self.bridge_ns = round(config.live.bridge_s * 1e9)
        self.away_ns = 0  # time in holes that the tracker did not feel

    def open(self) -> bool:
        """Whether the source could be opened; if not, the recording has ended as failed."""
        try:
            self.source = open_source(self.camera, threads=self.threads)
            self.frames = iter(self.source)
        except SourceError as error:
            self.end("failed", str(error))
            return False
        except Exception as error:
            self.end("failed", f"{self.camera.place}: cannot be read: {error!r}")
            return False
        for note in self.source.notes:
            self.report(Notice("info", f"{self.camera.name}: {note}"))
        info = self.source.info
        self.send(RecordingStarted(self.recording, info.width, info.height, info.fps))
        return True

    def next_due(self) -> Frame | None:
        """The next frame to detect; None when the source has ended, and the recording with it."""
        while True:
            started = time.perf_counter()
            try:
                frame = next(self.frames, None)
                due = frame is not None and self.grid.due(frame.time_ns)
                if frame is not None and due:
                    frame.image  # noqa: B018 (conversion to RGB is part of decoding)
            except SourceError as error:
                self.finish("failed", str(error))
                return None
            except Exception as error:  # whatever a decoder does is damage of this camera alone
                self.finish("failed", f"after frame {self.read}: cannot be read: {error!r}")
                return None
            self.seconds["decode"] += time.perf_counter() - started
            if frame is None:
                self.finish_source()
                return None
            self.first_ns = frame.time_ns if self.read == 0 else self.first_ns
            self.away_ns += self.unfelt_ns(frame.time_ns) if self.read else 0
            self.last_ns = frame.time_ns
            self.read += 1
            if due:
                return frame
            self.builder.skip(frame.index, frame.time_ns)

    def unfelt_ns(self, time_ns: int) -> int:
        """How much of the time since the frame before is no time to the tracker: tracks span short holes."""
        assert self.source is not None
        gap_ns = time_ns - self.last_ns
        hole = gap_ns > max(STEP_NS, HOLE_FRAMES * 1e9 / self.source.info.fps)
        return gap_ns - STEP_NS if hole and gap_ns <= self.bridge_ns and self.builder.presences else 0

    def take(self, frame: Frame, detections: Detections) -> None:
        """Update, and fail this camera alone where that goes wrong."""
        try:
            self.update(frame, detections)
        except ReceiverGone:
            raise
        except Exception as error:
            self.end("failed", f"frame {frame.index}: internal error: {error!r}")

    def update(self, frame: Frame, detections: Detections) -> None:
        """Track one detected frame and send what has closed."""
        started = time.perf_counter()
        self.detected += 1
        closed = self.tracks.update(frame.index, frame.time_ns, frame.image, detections, away_ns=self.away_ns)
        self.seconds["track"] += time.perf_counter() - started
        self.pass_on(closed)
        if self.builder.watermark_ns >= self.watermark_ns + WATERMARK_S * 1e9 or self.watermark_ns < 0:
            self.watermark_ns = self.builder.watermark_ns
            self.send(Watermark(self.recording, self.watermark_ns))
        if time.monotonic() - self.reported_s > PROGRESS_S:
            self.tell()

    def pass_on(self, closed: list[TrackletClosed]) -> None:
        """Send closed tracklets; time spent waiting for the next stage is counted."""
        started = time.perf_counter()
        for tracklet in closed:
            self.send(tracklet)
        self.seconds["wait"] += time.perf_counter() - started

    def finish_source(self) -> None:
        """The source has no more frames: done, or short of what it declared."""
        assert self.source is not None
        shortfall = self.source.shortfall
        remarks = [remark for remark in (shortfall, str(self.source.repairs)) if remark]
        self.finish("short" if shortfall else "done", "; ".join(remarks))

    def finish(self, state: RecordingState, message: str) -> None:
        """Close open tracklets, then end the recording; what was found before a failure is kept."""
        self.pass_on(self.builder.close())
        self.end(state, message)

    def interrupt(self) -> None:
        """Stop in the middle: the next run starts this recording over, so open tracklets are dropped."""
        self.end("interrupted", "")

    def end(self, state: RecordingState, message: str) -> None:
        """Tell the matcher and the supervisor that nothing more will come."""
        self.ended = True
        if self.source is not None:
            self.source.close()
        if message:
            self.report(Notice("error" if state == "failed" else "warning", f"{self.camera.name}: {message}"))
        ended = RecordingEnded(
            self.recording, state, self.read, self.detected, self.last_ns / 1e9 - self.first_ns / 1e9, message
        )
        self.tell()
        self.send(ended)
        self.report(ended)

    def tell(self) -> None:
        """Report progress."""
        self.reported_s = time.monotonic()
        total = self.source.info.frames if self.source else None
        total = total and max(total, self.read)  # an estimate may be too low
        self.report(
            Progress(
                self.camera.name,
                self.recording,
                self.read,
                total,
                self.tracks.people,
                dict(self.seconds),
            )
        )

"""Live worker: detects and tracks the newest frames of the live cameras it hosts, and shares fairly."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

import msgspec
import numpy as np

from pipeline.cameras.live.reception import LiveFrame
from pipeline.messages import Notice, RecordingEnded, TrackletClosed
from pipeline.parents import minding
from pipeline.running.channels import PROGRESS, TRACKLETS, Sender, clock_of, open_context
from pipeline.running.workers.camera import WorkerJob
from pipeline.running.workers.detection_rates import Load
from pipeline.running.workers.live_camera import LiveCamera
from pipeline.running.workers.outbox import Outbox
from pipeline.tracking.detect import Detector, DetectorError, load_detector

TICK_S = 0.05
"""Longest wait for a frame, and so how late a deadline may be seen."""
RATES_S = 2.0
"""How often the rates follow the load."""
USUAL_PX = ((720, 1280), (480, 640))
"""Height and width: the detector gets ready for these shapes before the first frame comes."""
ANY_HZ = 1000.0
"""Stands for every frame, where rates are shared out."""


def main(job: bytes, stopped: Callable[[], bool], embeds: Callable[[], bool]) -> None:
    """Run one live worker until `stopped` says so, or every replayed file has ended.

    Args:
        job: an encoded `WorkerJob` of live cameras.
        stopped: asked many times a second.
        embeds: whether the ReID worker is ready; no camera is connected before.
    """
    work = msgspec.msgpack.decode(job, type=WorkerJob)
    context = open_context()
    alive = minding(work.link.parent)
    tracklets = Sender(context, work.link, TRACKLETS, alive)
    progress = Sender(context, work.link, PROGRESS, alive)
    try:
        try:
            detector = load_detector(work.config.detector, threads=work.threads)
        except DetectorError as error:
            progress.send(Notice("error", str(error)))
            for one in work.jobs:
                tracklets.send(RecordingEnded(one.recording, "failed", 0, 0, message=str(error)))
            return
        worker = LiveWorker(work, detector, tracklets, progress)
        detector.detect([np.zeros((height, width, 3), np.uint8) for height, width in USUAL_PX])
        while not embeds() and not stopped() and alive():
            time.sleep(TICK_S)
        worker.run(lambda: stopped() or not alive())
    finally:
        tracklets.close()
        progress.close()
        context.term()


class LiveWorker:
    """The cameras of one worker and what they share: the detector, the load, the way out."""

    def __init__(self, work: WorkerJob, detector: Detector, tracklets: Sender, progress: Sender) -> None:
        self.detector, self.tracklets, self.progress = detector, tracklets, progress
        self.outbox = Outbox(tracklets.offer, self.count_crops, now_s=clock_of(work.link))
        self.cameras = [LiveCamera(job, work.config, self.outbox.send, progress.send) for job in work.jobs]
        self.load = Load([camera.wanted_hz or ANY_HZ for camera in self.cameras])
        self.rated_s, self.passed_over = 0.0, 0

    def run(self, stopped: Callable[[], bool]) -> None:
        """Take one frame of every camera that has one, detect them together, and mind the rest."""
        reading = list(self.cameras)
        while reading and not stopped():
            wait(reading)
            for camera in reading:
                camera.attend()
            self.detect([(c, frame) for c in reading if (frame := c.reception.next_frame()) is not None])
            self.share()
            self.outbox.flush()
            for camera in [c for c in reading if c.reception.finished and not c.reception.waiting]:
                reading.remove(camera)
                camera.finish()
        for camera in reading:
            camera.finish()
        self.outbox.empty(self.tracklets.send)

    def detect(self, due: list[tuple[LiveCamera, LiveFrame]]) -> None:
        """Detect and track one frame of each camera, and learn what that costs."""
        if not due:
            return
        started = time.perf_counter()
        found = self.detector.detect([frame.image for _, frame in due])
        for camera, _ in due:
            camera.seconds["detect"] += (time.perf_counter() - started) / len(due)
        for (camera, frame), detections in zip(due, found, strict=True):
            try:
                camera.take(frame, detections)
            except Exception as error:
                camera.meter.drop("track", "error")
                self.progress.send(Notice("error", f"{camera.camera.name}: frame {frame.index}: {error!r}"))
        self.load.spent(time.perf_counter() - started, len(due))

    def share(self) -> None:
        """Give every camera its fair part of what can be detected, once frames had to wait too long."""
        if time.monotonic() - self.rated_s < RATES_S:
            return
        self.rated_s = time.monotonic()
        passed_over = sum(camera.reception.passed_over for camera in self.cameras)
        short, self.passed_over = passed_over > self.passed_over, passed_over
        for camera, wanted_hz, rate_hz in zip(
            self.cameras, self.load.wanted_hz, self.load.rates_hz(), strict=True
        ):
            limited = short or camera.reception.limit_hz is not None
            camera.reception.limit(rate_hz if limited and rate_hz < wanted_hz else None)

    def count_crops(self, tracklet: TrackletClosed, count: int) -> None:
        """Count the crops that a tracklet had to go without."""
        for camera in self.cameras:
            if count and camera.recording == tracklet.key.recording:
                camera.meter.drop("tracklets", "crops", count)


def wait(cameras: list[LiveCamera]) -> None:
    """Wait until a capture process has something to say, or a moment."""
    if any(camera.reception.waiting for camera in cameras):
        return
    speaking = [camera.reception.process for camera in cameras if camera.reception.process]
    select.select(speaking, [], [], TICK_S)

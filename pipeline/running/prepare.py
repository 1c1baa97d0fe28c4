"""Which recordings a run reads, skips or starts over, and which cannot be read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from pipeline.cameras.recordings import SourceError, open_source, source_fingerprint
from pipeline.config import CameraConfig
from pipeline.messages import Level
from pipeline.running.workers.camera import CameraJob
from pipeline.store.cameras import add_camera
from pipeline.store.corrections import corrections
from pipeline.store.database import Store
from pipeline.store.recordings import (
    find_recording,
    forget_recordings,
    recording_starts,
    start_recording,
    unfinished_recordings,
)
from pipeline.store.removal import FINISHED
from pipeline.times import iso


class Listener(Protocol):
    """Who is told what is read, and what is not."""

    def notice(self, level: Level, text: str) -> None:
        """One line for whoever started the run."""


def prepare(
    store: Store, run_id: int, cameras: Sequence[CameraConfig], listener: Listener, *, fresh: bool = False
) -> tuple[list[CameraJob], tuple[str, ...], dict[str, str]]:
    """Recordings to read, cameras whose recording is done already, and cameras that cannot be read."""
    jobs: list[CameraJob] = []
    skipped: list[str] = []
    failed: dict[str, str] = {}
    for camera in cameras:
        try:
            fingerprint = content(camera)
            if fresh:
                forget_earlier(store, camera, listener)
        except SourceError as error:
            failed[camera.name] = str(error)
            listener.notice("error", f"{camera.name}: {error}")
            continue
        if told := started_otherwise(store, camera, fingerprint):
            failed[camera.name] = told
            listener.notice("error", f"{camera.name}: {told}")
            continue
        row = add_camera(store, camera.name, clock_known=camera.clock_known, overlaps=camera.overlaps)
        earlier = find_recording(store, row, fingerprint) if fingerprint else None
        if earlier and earlier.finished:
            skipped.append(camera.name)
            text = f"{camera.name}: this recording is in the database already (--fresh reads it again)"
            listener.notice("info", text)
            continue
        recording = start_recording(
            store,
            run=run_id,
            camera=row,
            source=camera.source,
            fingerprint=fingerprint,
            start_ns=time.time_ns() if camera.live else camera.start_ns,
        )
        jobs.append(CameraJob(camera, recording))
    return jobs, tuple(skipped), failed


def started_otherwise(store: Store, camera: CameraConfig, fingerprint: str | None) -> str | None:
    """What is wrong where the database holds other start times of a camera than the configuration; or None.

    A camera's times are all UTC, or all counted from the starts of its recordings.
    """
    dated = camera.live or camera.start_ns != 0
    for held in recording_starts(store, camera.name):
        same = held.fingerprint is not None and held.fingerprint == fingerprint
        if same and held.state not in FINISHED:
            continue  # it is read again anyway
        if (held.start_ns != 0) != dated or (same and held.start_ns != camera.start_ns):
            before, now = said_start(held.start_ns), "live" if camera.live else said_start(camera.start_ns)
            return f"the database holds it with {before}, now it is {now}: --fresh reads it again"
    return None


def said_start(start_ns: int) -> str:
    """A recording's start in words."""
    return f"start {iso(start_ns)}" if start_ns else "no start"


def forget_earlier(store: Store, camera: CameraConfig, listener: Listener) -> None:
    """Remove what the database holds of a camera, once it is certain that the camera can be read again.

    Raises:
        SourceError: it cannot; what is there stays.
    """
    if not camera.live:
        open_source(camera).close()
    void = sum(one.void for one in corrections(store))
    if forget_recordings(store, [camera.name]):
        listener.notice("info", f"{camera.name}: read again from the start")
    if lost := sum(one.void for one in corrections(store)) - void:
        text = f"{camera.name}: {lost} of your corrections spoke of what is read again, and are void"
        listener.notice("warning", text)


def content(camera: CameraConfig) -> str | None:
    """The fingerprint of a recording; None for what is watched live.

    Raises:
        SourceError: it cannot be read.
    """
    if camera.realtime and not camera.url_env and not Path(camera.source).is_file():
        raise SourceError(f"{camera.source}: only a video file can be replayed in real time")
    return None if camera.live else source_fingerprint(camera)


def read_again(store: Store, run_id: int, jobs: Sequence[CameraJob]) -> list[CameraJob]:
    """Jobs for those recordings that had not ended, with all removed that was stored of them."""
    left = unfinished_recordings(store, [job.recording for job in jobs])
    again = []
    for job in jobs:
        if job.recording in left:
            row = add_camera(
                store, job.camera.name, clock_known=job.camera.clock_known, overlaps=job.camera.overlaps
            )
            recording = start_recording(
                store,
                run=run_id,
                camera=row,
                source=job.camera.source,
                fingerprint=content(job.camera),
                start_ns=job.camera.start_ns,
            )
            again.append(msgspec.structs.replace(job, recording=recording))
    return again

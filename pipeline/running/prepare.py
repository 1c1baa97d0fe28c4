"""Which recordings a run reads, skips or starts over, and which cannot be read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from pipeline.cameras.recordings import SourceError, open_source, single_file, source_fingerprint
from pipeline.config import CameraConfig
from pipeline.messages import Level
from pipeline.running.workers.camera import CameraJob
from pipeline.store.cameras import add_camera
from pipeline.store.corrections import corrections
from pipeline.store.database import Store
from pipeline.store.recordings import (
    StoredStart,
    cameras_of_content,
    find_recording,
    forget_recording,
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
    begun: dict[str, str | None] = {}  # content by camera

    def fail(camera: CameraConfig, why: str) -> None:
        failed[camera.name] = why
        listener.notice("error", f"{camera.name}: {why}")

    for camera in cameras:
        try:
            fingerprint = content(camera)
            if fresh:
                forget_earlier(store, camera, listener)
        except SourceError as error:
            fail(camera, str(error))
            continue
        told = started_otherwise(store, camera, fingerprint) or changed_otherwise(store, camera, fingerprint)
        if told:
            fail(camera, told)
            continue
        others = cameras_of_content(store, fingerprint) if fingerprint else []
        others += [one for one, content_read in begun.items() if content_read == fingerprint and fingerprint]
        if others := [name for name in others if name != camera.name]:
            skipped.append(camera.name)
            text = f"{camera.name}: shows exactly what camera {others[0]} shows: not stored twice"
            listener.notice("warning", text)
            continue
        row = add_camera(store, camera.name, clock_known=camera.clock_known, overlaps=camera.overlaps)
        earlier = find_recording(store, row, fingerprint) if fingerprint else None
        if earlier and earlier.finished:
            skipped.append(camera.name)
            text = f"{camera.name}: this recording is in the database already (--fresh reads it again)"
            listener.notice("info", text)
            continue
        try:
            replace_outgrown(store, camera, fingerprint, listener)
        except SourceError as error:
            fail(camera, str(error))
            continue
        recording = start_recording(
            store,
            run=run_id,
            camera=row,
            source=place(camera),
            fingerprint=fingerprint,
            start_ns=time.time_ns() if camera.live else camera.start_ns,
        )
        jobs.append(CameraJob(camera, recording))
        begun[camera.name] = fingerprint
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


def place(camera: CameraConfig) -> str:
    """Where a camera's pictures come from, the same whatever folder one is in; a live one's as given."""
    if camera.live:
        return camera.source
    return ", ".join(os.path.abspath(one) for one in camera.clips or (camera.source,))


def other_contents(store: Store, camera: CameraConfig, fingerprint: str | None) -> list[StoredStart]:
    """The camera's recordings of the same place that held something else when they were read."""
    if fingerprint is None:
        return []
    return [
        held
        for held in recording_starts(store, camera.name)
        if held.source == place(camera) and held.fingerprint not in (None, fingerprint)
    ]


def outgrown(held: StoredStart, camera: CameraConfig) -> bool:
    """Whether a recording is what its place held before more was written to it.

    So it is where both begin at one known time, and where what was read broke off.
    """
    return held.start_ns == camera.start_ns and (camera.start_ns != 0 or held.state != "done")


def changed_otherwise(store: Store, camera: CameraConfig, fingerprint: str | None) -> str | None:
    """What is wrong where a place holds something else than it did, and not more of the same; or None.

    Another film of a known other time in the same file is another recording.
    """
    for held in other_contents(store, camera, fingerprint):
        if outgrown(held, camera) or (held.start_ns != camera.start_ns and single_file(camera)):
            continue
        return (
            "what is there has changed since it was read, and may show the same people again: "
            "--fresh reads it again in place of all that was read of this camera"
        )
    return None


def replace_outgrown(store: Store, camera: CameraConfig, fingerprint: str | None, listener: Listener) -> None:
    """Remove what was read of a place before it grew: all of it is read again.

    Raises:
        SourceError: it cannot be; what is there stays.
    """
    for held in other_contents(store, camera, fingerprint):
        if outgrown(held, camera):
            open_source(camera).close()
            with void_corrections_told(store, camera, listener):
                forget_recording(store, held.id)
            text = f"{camera.name}: it has grown since it was read: read again from the start"
            listener.notice("info", text)


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
    with void_corrections_told(store, camera, listener):
        if forget_recordings(store, [camera.name]):
            listener.notice("info", f"{camera.name}: read again from the start")


@contextmanager
def void_corrections_told(store: Store, camera: CameraConfig, listener: Listener) -> Iterator[None]:
    """Tell how many corrections spoke of what is removed inside."""
    void = sum(one.void for one in corrections(store))
    yield
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
                source=place(job.camera),
                fingerprint=content(job.camera),
                start_ns=job.camera.start_ns,
            )
            again.append(msgspec.structs.replace(job, recording=recording))
    return again

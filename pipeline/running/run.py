"""One run over recordings: which to read, skip or start over; the processes; what came of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console

from pipeline import __version__
from pipeline.cameras.recordings import SourceError, open_source, source_fingerprint
from pipeline.cli.progress import RunDisplay
from pipeline.config import CameraConfig, Config, ConfigError
from pipeline.credentials import hide
from pipeline.linking.recluster import TooManyTracklets, recluster
from pipeline.linking.relink import relink
from pipeline.messages import CameraHealth, Message, Progress, RecordingEnded
from pipeline.running.processes import run_processes
from pipeline.running.status import StatusBoard
from pipeline.running.status_server import serve_status
from pipeline.running.workers.camera import CameraJob
from pipeline.shipped_files import shipped
from pipeline.store.cameras import add_camera
from pipeline.store.corrections import corrections
from pipeline.store.database import Store
from pipeline.store.identity_claims import unlinked_tracklets
from pipeline.store.open_store import open_store
from pipeline.store.recordings import find_recording, forget_recordings, recording_starts, start_recording
from pipeline.store.removal import FINISHED
from pipeline.store.runs import begin_run, end_run
from pipeline.store.versions import current_version, new_version
from pipeline.times import iso
from pipeline.tracking.detect import DetectorError, choose_device, find_weights
from reid.network.weights import WeightsError, read_notes


@dataclass
class RunReport:
    """What a run did, for the closing table and the exit code."""

    wall_s: float
    source_s: float
    """Length of what was read, in source time, all cameras together."""
    stage_s: dict[str, float]
    ended: dict[str, RecordingEnded]
    """By camera; those read in this run."""
    skipped: tuple[str, ...]
    """Cameras whose recording was in the database already."""
    failed: dict[str, str] = field(default_factory=dict)
    """Cameras that could not be read at all, and why."""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0: all done; 1: some source failed or is short; 130: interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.failed or any(e.state != "done" for e in self.ended.values()) else 0


def run(config: Config, database: str, *, fresh: bool, command: str, console: Console) -> RunReport:
    """Read every recording of `config` into `database`, link who was seen, and say what came of it.

    This process is the store's one writer all the while; its match worker writes on its behalf.

    Args:
        config: cameras and settings.
        database: SQLite file (made if missing) or URL.
        fresh: forget what the database holds of those of these cameras that can be read.
        command: the command line, for the record.
        console: where progress and notices go.

    Raises:
        ConfigError: weights or device that cannot be used; nothing was begun.
        StoreError: the database cannot be written.
        WorkerDied: a worker all cameras need crashed; what was stored is kept.
    """
    started_s = time.monotonic()
    config = hide(config)
    check_weights(config)
    with open_store(database, create=True, write=True) as store:
        run_id = begin_run(store, command=command, config=config, software=__version__)
        jobs, skipped, failed = prepare(store, run_id, config.cameras, console, fresh=fresh)
        identities = current_version(store) or new_version(store, "online", "first run")
        report = RunReport(0.0, 0.0, {}, {}, skipped, failed)
        state = "failed"
        try:
            if jobs:
                carry_out(jobs, config, database, identities, report, console)
            state = "interrupted" if report.interrupted else "done"
            left = any(unlinked_tracklets(store, None, identities))
            if state == "done" and (jobs or left) and not any(job.camera.live for job in jobs):
                relink(store, config)
                look_back(store, config, console)
        finally:
            end_run(store, run_id, state)
    report.wall_s = time.monotonic() - started_s
    return report


def check_weights(config: Config) -> None:
    """Refuse weights that are not there or not ours before anything is begun.

    Raises:
        ConfigError: which, and why.
    """
    try:
        find_weights(config.detector.weights)
        choose_device(config.detector.device)
        read_notes(shipped(config.reid.weights))
        if config.reid.device == "cuda" and config.reid.runtime != "auto":
            raise ConfigError(f"reid.runtime {config.reid.runtime} is for a CPU, reid.device says cuda")
    except (DetectorError, WeightsError) as error:
        raise ConfigError(str(error)) from error


def look_back(store: Store, config: Config, console: Console) -> None:
    """End with everything compared with everything, as an identity version of its own."""
    try:
        with console.status("comparing everybody with everybody"):
            recluster(store, config.matcher, note="at the end of a run")
    except TooManyTracklets as error:
        console.print(f"people stay as they were linked on the way: {error}", style="yellow", markup=False)


def prepare(
    store: Store, run_id: int, cameras: Sequence[CameraConfig], console: Console, *, fresh: bool = False
) -> tuple[list[CameraJob], tuple[str, ...], dict[str, str]]:
    """Recordings to read, cameras whose recording is done already, and cameras that cannot be read."""
    jobs: list[CameraJob] = []
    skipped: list[str] = []
    failed: dict[str, str] = {}
    for camera in cameras:
        try:
            fingerprint = content(camera)
            if fresh:
                forget_earlier(store, camera, console)
        except SourceError as error:
            failed[camera.name] = str(error)
            console.print(f"{camera.name}: {error}", style="bold red", markup=False, highlight=False)
            continue
        if told := started_otherwise(store, camera, fingerprint):
            failed[camera.name] = told
            console.print(f"{camera.name}: {told}", style="bold red", markup=False, highlight=False)
            continue
        row = add_camera(store, camera.name, clock_known=camera.clock_known, overlaps=camera.overlaps)
        earlier = find_recording(store, row, fingerprint) if fingerprint else None
        if earlier and earlier.finished:
            skipped.append(camera.name)
            console.print(
                f"{camera.name}: this recording is in the database already (--fresh reads it again)"
            )
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


def forget_earlier(store: Store, camera: CameraConfig, console: Console) -> None:
    """Remove what the database holds of a camera, once it is certain that the camera can be read again.

    Raises:
        SourceError: it cannot; what is there stays.
    """
    if not camera.live:
        open_source(camera).close()
    void = sum(one.void for one in corrections(store))
    if forget_recordings(store, [camera.name]):
        console.print(f"{camera.name}: read again from the start", style="dim", markup=False, highlight=False)
    if lost := sum(one.void for one in corrections(store)) - void:
        text = f"{camera.name}: {lost} of your corrections spoke of what is read again, and are void"
        console.print(text, style="yellow", markup=False, highlight=False)


def content(camera: CameraConfig) -> str | None:
    """The fingerprint of a recording; None for what is watched live.

    Raises:
        SourceError: it cannot be read.
    """
    if camera.realtime and not camera.url_env and not Path(camera.source).is_file():
        raise SourceError(f"{camera.source}: only a video file can be replayed in real time")
    return None if camera.live else source_fingerprint(camera)


def carry_out(
    jobs: list[CameraJob], config: Config, database: str, version: int, report: RunReport, console: Console
) -> None:
    """Run the processes, filling in the report."""
    names = {job.recording: job.camera.name for job in jobs}
    recorded = [job for job in jobs if not job.camera.live]
    with RunDisplay(names, console) as display, ExitStack() as stack:
        board = None
        if len(recorded) < len(jobs):
            board = stack.enter_context(StatusBoard(database))
            stack.enter_context(serve_status(board.status, config.status.port))
        try:
            finished = run_processes(
                jobs,
                config,
                database=database,
                version=version,
                report=partial(show, display, board),
                started=board.processes.__setitem__ if board else lambda name, process: None,
            )
            whole = board is not None and not any(cut_short(display, job) for job in recorded)
            report.interrupted = not finished and not whole
        except KeyboardInterrupt:
            report.interrupted = True
    report.ended = {names[recording]: ended for recording, ended in display.ended.items()}
    report.stage_s = display.seconds
    report.source_s = sum(ended.duration_s for ended in report.ended.values())


def cut_short(display: RunDisplay, job: CameraJob) -> bool:
    """Whether a recording was not read to its end; beside live cameras, which end when stopped, it may be."""
    ended = display.ended.get(job.recording)
    return ended is None or ended.state == "interrupted"


def show(display: RunDisplay, board: StatusBoard | None, message: Message) -> None:
    """Put a worker's report where people and programs look for it."""
    if board and isinstance(message, CameraHealth):
        board.update(message)
        return
    if board and isinstance(message, Progress):
        board.left_out |= message.left_out
    display(message)

"""One run: which recordings to read, the workers that read them, what is owed at the end, what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from pipeline import __version__
from pipeline.config import Config, ConfigError
from pipeline.credentials import hide
from pipeline.linking.recluster import TooManyTracklets, recluster
from pipeline.linking.relink import relink
from pipeline.messages import CameraHealth, Level, Message, Progress, RecordingEnded
from pipeline.reid_weights import check_reid
from pipeline.running.engine.engine import Engine
from pipeline.running.engine.local import LocalEngine
from pipeline.running.prepare import prepare, read_again
from pipeline.running.status import StatusBoard
from pipeline.running.status_server import serve_status
from pipeline.running.supervise import WorkerDied, supervise
from pipeline.running.workers.camera import CameraJob
from pipeline.store.database import Store
from pipeline.store.identity_claims import unlinked_tracklets
from pipeline.store.open_store import open_store
from pipeline.store.recordings import unfinished_recordings
from pipeline.store.runs import begin_run, end_run, work_owed
from pipeline.store.versions import current_version, new_version
from pipeline.store.writer_lock import WriterLock
from pipeline.tracking.detect import DetectorError, choose_device, find_weights

TRIES = 3
"""How often recordings are read while the workers that they share are killed from outside."""


class RunListener(Protocol):
    """Who is told what a run does: a terminal, a page, a test."""

    def notice(self, level: Level, text: str) -> None:
        """One line for whoever started the run."""

    def reading(self, cameras: Mapping[int, str]) -> AbstractContextManager[Callable[[Message], None]]:
        """Meanwhile the cameras (names by recording) are read; what it yields is told every report."""

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Meanwhile something goes on that has no measure of progress."""


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


@dataclass
class Tally:
    """What the reports of a run's workers add up to."""

    ended: dict[int, RecordingEnded] = field(default_factory=dict)
    stage_s: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)
    """Seconds spent in each stage, by worker and recording (0: all)."""

    def __call__(self, report: Message) -> None:
        """Count one report."""
        if isinstance(report, RecordingEnded):
            self.ended[report.recording] = report
        elif isinstance(report, Progress):
            self.stage_s[report.worker, report.recording] = report.stage_s

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent in each stage, all cameras together."""
        total: dict[str, float] = {}
        for spent in self.stage_s.values():
            for stage, spent_s in spent.items():
                total[stage] = total.get(stage, 0.0) + spent_s
        return total


def run(
    config: Config,
    database: str,
    *,
    fresh: bool,
    command: str,
    listener: RunListener,
    engine: Callable[[], Engine] = LocalEngine,
) -> RunReport:
    """Read every recording of `config` into `database`, link who was seen, and say what came of it.

    This process is the store's one writer all the while; its match worker writes on its behalf.

    Args:
        config: cameras and settings.
        database: SQLite file (made if missing) or URL.
        fresh: forget what the database holds of those of these cameras that can be read.
        command: the command line, for the record.
        listener: told what goes on.
        engine: makes what starts the workers.

    Raises:
        ConfigError: weights or device that cannot be used; nothing was begun.
        StoreError: the database cannot be written.
        WorkerDied: a worker all cameras need crashed; what was stored is kept.
    """
    started_s = time.monotonic()
    config = hide(config)
    check_weights(config)
    with open_store(database, create=True, write=True) as store:
        owed = work_owed(store)
        run_id = begin_run(store, command=command, config=config, software=__version__)
        jobs, skipped, failed = prepare(store, run_id, config.cameras, listener, fresh=fresh)
        identities = current_version(store) or new_version(store, "online", "first run")
        report = RunReport(0.0, 0.0, {}, {}, skipped, failed)
        state = "failed"
        try:
            if jobs:
                reading = Reading(config, database, identities, report, listener, engine, store)
                read(reading, jobs, run_id)
            state = "interrupted" if report.interrupted else "done"
            newest = current_version(store) or identities  # an operator may have spoken meanwhile
            owed = owed or bool(jobs) or any(unlinked_tracklets(store, None, newest))
            if state == "done" and owed and not any(job.camera.live for job in jobs):
                finish(store, config, listener)
        finally:
            end_run(store, run_id, state)
    report.wall_s = time.monotonic() - started_s
    return report


def check_weights(config: Config) -> None:
    """Refuse weights that are not there, not ours or never calibrated before anything is begun.

    Raises:
        ConfigError: which, and why.
    """
    try:
        find_weights(config.detector.weights)
        choose_device(config.detector.device)
    except DetectorError as error:
        raise ConfigError(str(error)) from error
    check_reid(config.reid)


def finish(store: Store, config: Config, listener: RunListener) -> None:
    """End with everything compared with everything, as an identity version of its own.

    A run that dies before this is done leaves it to the next one: see `work_owed`.
    """
    relink(store, config)
    try:
        with listener.busy("comparing everybody with everybody"):
            recluster(store, config.matcher, note="at the end of a run")
    except TooManyTracklets as error:
        listener.notice("warning", f"people stay as they were linked on the way: {error}")


@dataclass
class Reading:
    """What reading recordings needs besides the recordings."""

    config: Config
    database: str
    version: int
    """The identity version that sightings go to."""
    report: RunReport
    """Filled in."""
    listener: RunListener
    engine: Callable[[], Engine]
    store: Store
    """Whose lock the match worker holds too; beside it stands where the writer listens to requests."""


def read(reading: Reading, jobs: list[CameraJob], run_id: int) -> None:
    """Have the recordings read; again where a worker that all share was killed.

    What such a worker held in its hands is nowhere else, so recordings that had not ended are read from their
    start. Beside live cameras, which cannot be, the supervisor does it while the run goes on.

    Raises:
        WorkerDied: see `supervise`.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            return carry_out(reading, jobs)
        except WorkerDied as error:
            if not error.killed or not tries_left or any(job.camera.live for job in jobs):
                raise
            text = f"{error}; recordings that had not ended are read again"
            reading.listener.notice("warning", text)
            jobs = read_again(reading.store, run_id, jobs)


def carry_out(reading: Reading, jobs: list[CameraJob]) -> None:
    """Run the workers once, filling in the report."""
    names = {job.recording: job.camera.name for job in jobs}
    recorded = [job for job in jobs if not job.camera.live]
    tally, report = Tally(), reading.report
    with reading.listener.reading(names) as show, ExitStack() as stack:
        board = None
        if len(recorded) < len(jobs):
            board = stack.enter_context(StatusBoard(reading.database))
            stack.enter_context(serve_status(board.status, reading.config.status.port))
        try:
            engine = reading.engine()
            announce(reading.store.lock, engine.link.requests)
            finished = supervise(
                jobs,
                reading.config,
                engine=engine,
                database=reading.database,
                version=reading.version,
                report=partial(tell, (tally, show), board),
                started=board.processes.__setitem__ if board else lambda name, process: None,
                lock=reading.store.lock.descriptor if reading.store.lock else None,
                unfinished=partial(unfinished_recordings, reading.store),
            )
            whole = board is not None and not any(cut_short(tally, job) for job in recorded)
            report.interrupted = not finished and not whole
        except KeyboardInterrupt:
            report.interrupted = True
        finally:
            announce(reading.store.lock, "")
            report.ended |= {names[recording]: ended for recording, ended in tally.ended.items()}
            report.stage_s = tally.seconds
            report.source_s = sum(ended.duration_s for ended in report.ended.values())


def announce(lock: WriterLock | None, address: str) -> None:
    """Tell others where the writer listens to requests."""
    if lock:
        lock.announce(address)


def cut_short(tally: Tally, job: CameraJob) -> bool:
    """Whether a recording was not read to its end; beside live cameras, which end when stopped, it may be."""
    ended = tally.ended.get(job.recording)
    return ended is None or ended.state == "interrupted"


def tell(
    listeners: tuple[Callable[[Message], None], ...], board: StatusBoard | None, message: Message
) -> None:
    """Put a worker's report where people and programs look for it."""
    if board and isinstance(message, CameraHealth):
        board.update(message)
        return
    if board and isinstance(message, Progress):
        board.left_out |= message.left_out
    for listener in listeners:
        listener(message)

"""Who is started, watched, started over and stopped in a run; an engine does it, wherever it runs them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from pipeline.config import Config
from pipeline.errors import MendableError
from pipeline.messages import Message, MessageError, ModelReady, Notice, RecordingEnded
from pipeline.running.channels import (
    PROGRESS,
    TRACKLETS,
    Context,
    Receiver,
    Sender,
    open_context,
)
from pipeline.running.engine.engine import Engine, Running, Start
from pipeline.running.shares import cores, dealt
from pipeline.running.workers import camera as camera_worker
from pipeline.running.workers import live as live_worker
from pipeline.running.workers import match as match_worker
from pipeline.running.workers import reid as reid_worker
from pipeline.running.workers.camera import CameraJob, WorkerJob
from pipeline.running.workers.match import MatchJob
from pipeline.running.workers.reid import ReidJob

STOP_S = 30.0
"""How long the processes of a stopped run may take to hand over what they hold."""
END_S = 2.0
"""How long workers that have done their part may take to end."""
RESTARTS, RESTARTS_S = 10, 60.0
"""A live run starts at most so many dead workers over in so many seconds."""
KILLED_S = 5.0
"""How long a worker that was killed may take to be gone: one that waits for a disk takes its time."""
PROVEN_S = 30.0
"""A worker that ran for so long was not wrongly configured."""
LINKED_S = 600.0
"""How long the matcher may take after the last camera ended."""


@dataclass
class Worker:
    """One started process and the cameras it hosts (none for the ReID and match workers)."""

    name: str
    process: Running
    jobs: tuple[CameraJob, ...] = ()
    first_try: bool = True
    started_s: float = field(default_factory=time.monotonic)


@dataclass
class Supervised:
    """What the supervisor knows of a run while it goes on."""

    config: Config
    database: str
    version: int
    engine: Engine
    report: Callable[[Message], None]
    threads: int
    jobs: tuple[CameraJob, ...]
    started: Callable[[str, int], None]
    """Told the name and process id of every worker."""
    lock: int | None = None
    """The open file whose lock makes this run the only writer."""
    unfinished: Callable[[Sequence[int]], set[int]] = set
    """Those of these recordings whose end is not stored."""
    ready: ModelReady | None = None
    restarts: list[float] = field(default_factory=list)
    """When workers of a live run were started over, s."""
    ended: dict[int, RecordingEnded] = field(default_factory=dict)
    """The end of each recording, as its camera worker told it."""
    told: list[Sender] = field(default_factory=list)
    """By which ends were told once more, open until they have been taken."""
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stop, self.embeds = self.engine.signal(), self.engine.signal()
        """`embeds` is set once the ReID worker is ready: until then starting takes all the machine has."""


class WorkerDied(MendableError, RuntimeError):
    """The ReID or match worker ended before its work was done."""

    def __init__(self, text: str, *, killed: bool = False) -> None:
        super().__init__(text)
        self.killed = killed
        """Whether something ended it from outside, so that a new one may do better."""


def supervise(
    jobs: Sequence[CameraJob],
    config: Config,
    *,
    engine: Engine,
    database: str,
    version: int,
    report: Callable[[Message], None],
    started: Callable[[str, int], None] = lambda name, process: None,
    lock: int | None = None,
    unfinished: Callable[[Sequence[int]], set[int]] = set,
) -> bool:
    """Run every camera of `jobs` through to the store; False when the user stopped it.

    Args:
        jobs: cameras to read, with their recordings' rows.
        config: the run's configuration.
        engine: starts the workers; closed at the end.
        database: path or URL of the store, which exists.
        version: identity version the sightings go to.
        report: gets every `Progress`, `Notice` and `CameraHealth`.
        started: gets the name and process id of every worker.
        lock: open file whose lock makes this run the only writer; the match worker holds it too.
        unfinished: which of these recordings have not ended in the store.

    Raises:
        WorkerDied: the ReID worker or the match worker crashed; what was stored is kept.
    """
    shares = dealt(jobs, config)
    threads = config.workers.threads or max(1, cores() // len(shares))
    run = Supervised(
        config, database, version, engine, report, threads, tuple(jobs), started, lock, unfinished
    )
    context = open_context()
    progress = Receiver(context, engine.link, PROGRESS)
    try:
        with engine.interruptible(partial(interrupt, run)):
            for name in ("reid", "match"):
                start_shared(run, name)
            for number, share in enumerate(shares):
                start_camera_worker(run, f"camera-worker-{number}", share)
            watch(run, context, progress)
        return not run.stop.is_set()
    finally:
        end_all(run.workers)
        for sender in run.told:
            sender.socket.close(linger=0)
        progress.close()
        context.term()
        engine.close()


def ends_untaken(run: Supervised) -> list[RecordingEnded]:
    """What camera workers said at their end that the store does not know."""
    left = run.unfinished(list(run.ended)) if run.ended else set()
    return [ended for recording, ended in run.ended.items() if recording in left]


def start_shared(run: Supervised, name: str) -> None:
    """Start one of the two workers there is one of, `reid` or `match`."""
    link = run.engine.link
    ended = run.ended.keys() - {end.recording for end in ends_untaken(run)}
    recordings = tuple(job.recording for job in run.jobs if job.recording not in ended)
    if name == "reid":
        live = tuple(job.recording for job in run.jobs if job.camera.live)
        embedding = msgspec.msgpack.encode(ReidJob(link, recordings, live, run.config.reid))
        start(run, Start(name, reid_worker.main, embedding, (run.stop,), threads=1))
    else:
        matching = MatchJob(link, recordings, run.config, run.database, run.version, run.ready)
        # Were the supervisor's lock free while its matcher still lived, the next run would write beside it.
        holds = () if run.lock is None else (run.lock,)
        work = msgspec.msgpack.encode(matching)
        start(run, Start(name, match_worker.main, work, (run.stop,), threads=1, holds=holds))


def start_camera_worker(
    run: Supervised, name: str, jobs: tuple[CameraJob, ...], *, first_try: bool = True
) -> None:
    """Start a worker for `jobs`, which are all live or all recorded."""
    work = msgspec.msgpack.encode(WorkerJob(name, run.engine.link, jobs, run.config, run.threads))
    worker = (
        Start(name, live_worker.main, work, (run.stop, run.embeds), run.threads)
        if jobs[0].camera.live
        else Start(name, camera_worker.main, work, (run.stop,), run.threads)
    )
    start(run, worker, jobs, first_try=first_try)


def start(
    run: Supervised, worker: Start, jobs: tuple[CameraJob, ...] = (), *, first_try: bool = True
) -> None:
    """Start a worker, and remember it."""
    started = Worker(worker.name, run.engine.start(worker), jobs, first_try)
    run.workers.append(started)
    if started.process.pid is not None:
        run.started(started.name, started.process.pid)


def watch(run: Supervised, context: Context, progress: Receiver) -> None:
    """Pass reports on and mind the processes until the matcher has finished."""
    deadline = None
    while True:
        pass_reports(run, progress)
        if run.stop.is_set() and not begun(run):
            run.report(Notice("warning", "stopped before any camera was connected"))
            return
        for worker in [w for w in run.workers if w.process.exitcode is not None]:
            if worker.name == "match" and worker.process.exitcode == 0:
                pass_reports(run, progress)
                return
            run.workers.remove(worker)
            if start_over(run, worker, context):
                continue
            if worker.jobs:
                mind_camera_worker(run, worker, context)
            elif worker.process.exitcode != 0:
                pass_reports(run, progress)  # its last one says why
                code = worker.process.exitcode
                text = f"the {worker.name} worker stopped (exit code {code}); what was stored is kept"
                raise WorkerDied(text, killed=code is not None and code < 0)
        cameras_left = any(worker.jobs for worker in run.workers)
        if run.stop.is_set() or not cameras_left:
            deadline = deadline or time.monotonic() + (STOP_S if run.stop.is_set() else LINKED_S)
            if time.monotonic() > deadline:
                raise WorkerDied("the workers did not finish in time; what was stored is kept")


def begun(run: Supervised) -> bool:
    """Whether a worker may hold anything: live cameras are connected only once the ReID worker is ready."""
    return bool(run.embeds.is_set()) or any(not job.camera.live for job in run.jobs)


def pass_reports(run: Supervised, progress: Receiver) -> None:
    """Hand on what the workers reported."""
    wait_ms = 100
    while True:
        try:
            message = progress.receive(wait_ms)
        except MessageError as error:
            message = Notice("error", f"a report was refused: {error}")
        if message is None:
            return
        wait_ms = 0
        if isinstance(message, RecordingEnded):
            run.ended[message.recording] = message
        if isinstance(message, ModelReady):
            run.ready = message
            run.embeds.set()
        else:
            run.report(message)


def start_over(run: Supervised, worker: Worker, context: Context) -> bool:
    """Whether a worker that ended was started again: a live run goes on, unless it fails all the time.

    A worker that ends at once with an error of its own would do so again. Live cameras go on in the same
    recording; the matcher finds its gallery in the store. What the dead worker held in its hands is lost;
    recordings beside live cameras are read again for it.
    """
    now_s = time.monotonic()
    run.restarts = [when for when in run.restarts if now_s - when < RESTARTS_S]
    if not replaceable(run, worker, now_s) or len(run.restarts) >= RESTARTS:
        return False
    run.restarts.append(now_s)
    code = worker.process.exitcode
    run.report(Notice("warning", f"the {worker.name} worker stopped (exit code {code}); starting it over"))
    if worker.jobs:
        left = [job for job in worker.jobs if job.recording not in run.ended]
        jobs = tuple(msgspec.structs.replace(job, attempt=job.attempt + 1) for job in left)
        start_camera_worker(run, worker.name, jobs)
    else:
        start_shared_over(run, worker.name, context)
    return True


def start_shared_over(run: Supervised, name: str, context: Context) -> None:
    """Start the ReID or the match worker anew, and with it all that has to do with recordings.

    What a dead matcher had been sent of a recording is nowhere else, not even the news that it has ended, for
    which a new one would wait for ever. What comes again and is stored already is left as it is.
    """
    left = recordings_left(run)
    shared = ["reid", "match"] if name == "match" and left else [name]
    end_now(run, [w for w in run.workers if left and (w.name in shared or recorded(w.jobs))])
    for one in shared:
        start_shared(run, one)
    tell_again(run, context)
    for number, share in enumerate(dealt(left, run.config)):
        start_camera_worker(run, f"camera-worker-again-{number}", share)


def tell_again(run: Supervised, context: Context) -> None:
    """Say once more that a camera has ended where that died with a worker: the matcher would wait for ever.

    Nobody waits here until it is taken: a worker that is just starting takes its time.
    """
    if ends := ends_untaken(run):
        run.told.append(Sender(context, run.engine.link, TRACKLETS, lambda: shared_alive(run, "reid")))
        for ended in ends:
            run.told[-1].send(ended)


def recordings_left(run: Supervised) -> list[CameraJob]:
    """Jobs for the recordings that must be read again; once a run is being stopped, the next one does it."""
    if run.stop.is_set():
        return []
    left = run.unfinished([job.recording for job in run.jobs if recorded([job])])
    for recording in left:
        run.ended.pop(recording, None)
    return [
        msgspec.structs.replace(job, attempt=job.attempt + 1) for job in run.jobs if job.recording in left
    ]


def recorded(jobs: Sequence[CameraJob]) -> bool:
    """Whether these are recordings; jobs of one worker are all recorded or all live."""
    return bool(jobs) and not jobs[0].camera.live


def end_now(run: Supervised, workers: Sequence[Worker]) -> None:
    """End workers whose work is done by others from now on."""
    for worker in workers:
        worker.process.kill()
        worker.process.join(KILLED_S)
        run.workers.remove(worker)


def replaceable(run: Supervised, worker: Worker, now_s: float) -> bool:
    """Whether a worker that ended may be started over: of a live run, unless it would do the same again.

    While a run is being stopped, cameras are not connected any more, but what they saw is still embedded and
    stored.
    """
    live = any(job.camera.live for job in worker.jobs or run.jobs)
    code = worker.process.exitcode or 0
    ended = code == 0
    hopeless = code > 0 and now_s - worker.started_s < PROVEN_S
    closing = run.stop.is_set() and bool(worker.jobs)
    return live and not (ended or hopeless or closing)


def mind_camera_worker(run: Supervised, worker: Worker, context: Context) -> None:
    """A camera worker has ended: after a crash its cameras are tried once more, each on its own."""
    if worker.process.exitcode == 0:
        return
    reason = f"its worker crashed (exit code {worker.process.exitcode})"
    if worker.first_try and not run.stop.is_set():
        # It may have told us of an end, and died before it told the matcher, who would wait for ever.
        left = run.unfinished([job.recording for job in worker.jobs])
        for recording in left:
            run.ended.pop(recording, None)
        for job in [job for job in worker.jobs if job.recording in left]:
            run.report(Notice("warning", f"{job.camera.name}: {reason}; starting it over on its own"))
            start_camera_worker(run, f"camera-worker-{job.camera.name}", (job,), first_try=False)
        return
    unfinished = [job for job in worker.jobs if job.recording not in run.ended]
    sender = Sender(context, run.engine.link, TRACKLETS, lambda: shared_alive(run, "reid"))
    for job in unfinished:
        ended = RecordingEnded(job.recording, "failed", 0, 0, message=reason)
        run.report(Notice("error", f"{job.camera.name}: {reason}"))
        run.report(ended)
        sender.send(ended)
    sender.close()


def shared_alive(run: Supervised, name: str) -> bool:
    """Whether the ReID or the match worker runs."""
    return any(worker.name == name and worker.process.exitcode is None for worker in run.workers)


def interrupt(run: Supervised) -> None:
    """Somebody stops the program: first the run, in order; the second time at once."""
    if run.stop.is_set():
        raise KeyboardInterrupt
    run.stop.set()
    run.report(Notice("warning", "stopping: what was found so far is being stored (again to stop at once)"))


def end_all(workers: list[Worker]) -> None:
    """Give the workers a moment to end by themselves, then end what still runs."""
    deadline = time.monotonic() + END_S
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join(KILLED_S)

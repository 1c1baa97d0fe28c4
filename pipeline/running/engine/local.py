"""Workers as processes of this machine, each with its share of the cores; they end with their supervisor."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.parents import Parent, end_with, is_alive, this_process
from pipeline.running.channels import CHANNELS, Link
from pipeline.running.engine.engine import Running, Signal, Start

SPAWN = multiprocessing.get_context("spawn")
PREFIX = "fpr-"
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a run to stop: Ctrl-C, a service manager, a terminal that is closed."""
ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""The C library's own limits, held fast: left alone it raises them with every larger block that is freed,
and then keeps the most that was ever needed, in pieces, instead of giving it back. Unless already set."""


@dataclass
class Flag:
    """A picklable question to an event: has it happened?"""

    event: Any

    def __call__(self) -> bool:
        return bool(self.event.is_set())


class LocalEngine:
    """Starts each worker as a process; their sockets lie in a folder that only this user may enter."""

    def __init__(self) -> None:
        """Nothing runs yet; what dead runs left behind is swept."""
        sweep(Path(tempfile.gettempdir()))
        me = this_process()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{me.pid}-{me.started_ticks or 0}-"))
        self.folder.chmod(0o700)
        addresses = {name: f"ipc://{self.folder / name}" for name in CHANNELS}
        self.link = Link(addresses, f"ipc://{self.folder}/bye-", f"ipc://{self.folder}/requests", me)

    def signal(self) -> Signal:
        """A new signal, an event that processes share."""
        event: Signal = SPAWN.Event()
        return event

    def start(self, worker: Start) -> Running:
        """Start a process that leaves Ctrl-C and its like to the supervisor, with its share of the cores."""
        questions = tuple(Flag(event) for event in worker.signals)
        arguments = (worker.main, self.link.parent, worker.job, questions)
        process = SPAWN.Process(target=serve, args=arguments, name=worker.name)
        kept = {name: value for name, value in ALLOCATION.items() if name not in os.environ}
        with environment({"OMP_NUM_THREADS": str(worker.threads)} | kept), signals_left_to_us():
            process.start()
        return process

    @contextmanager
    def interruptible(self, interrupted: Callable[[], None]) -> Iterator[None]:
        """Meanwhile Ctrl-C and its like call `interrupted`."""
        before = {number: signal.signal(number, lambda *_: interrupted()) for number in STOPS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        """Remove the folder of sockets."""
        shutil.rmtree(self.folder, ignore_errors=True)


def serve(main: Callable[..., None], parent: Parent, job: bytes, questions: tuple[Flag, ...]) -> None:
    """A worker's life: it ends with its supervisor, also one that died while this process was starting."""
    end_with(parent)
    main(job, *questions)


def sweep(folder: Path) -> None:
    """Remove what runs left in a folder for temporary files whose supervisor is dead; only this user's."""
    for left in folder.glob(f"{PREFIX}*-*-*"):
        with suppress(OSError, ValueError):
            pid, ticks = map(int, left.name.removeprefix(PREFIX).split("-")[:2])
            ours = not left.is_symlink() and left.stat().st_uid == os.getuid()
            if ours and not is_alive(Parent(pid, ticks or None)):
                shutil.rmtree(left, ignore_errors=True)


@contextmanager
def signals_left_to_us() -> Iterator[None]:
    """Processes started meanwhile inherit blocked signals; what came for us is delivered after."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Processes started meanwhile have these variables; OpenMP and malloc read theirs when one starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

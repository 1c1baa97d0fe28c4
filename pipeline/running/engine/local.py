"""Workers as processes of this machine, each with its share of the cores; they end with their supervisor."""

from __future__ import annotations

import fcntl
import importlib
import mmap
import multiprocessing
import os
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.context import get_spawning_popen
from pathlib import Path
from typing import Any

from pipeline.errors import MendableError
from pipeline.parents import Parent, end_with, this_process
from pipeline.running.channels import CHANNELS, Link
from pipeline.running.engine.engine import Running, Signal, Start

SPAWN = multiprocessing.get_context("spawn")
PREFIX, NEW = "fpr-run-", ".fpr-new-"
"""Of a run's folder; and until it is locked."""
PAGE, PAGE_BYTES = "signals", 64
"""A file of the folder: one byte for each signal. No semaphore, which would outlive a run that is killed."""
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a run to stop: Ctrl-C, a service manager, a terminal that is closed."""
ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""The C library's own limits, held fast: left alone it raises them with every larger block that is freed,
and then keeps the most that was ever needed, in pieces, instead of giving it back. Unless already set."""


class NoRoomError(MendableError, kind="unavailable"):
    """There is no place for a run's sockets."""


@dataclass(frozen=True)
class Named:
    """A worker's `main` by name: a process is to know whom it serves before it loads what a worker needs."""

    module: str
    name: str

    def found(self) -> Callable[..., None]:
        """What it names."""
        main: Callable[..., None] = getattr(importlib.import_module(self.module), self.name)
        return main


@dataclass(frozen=True)
class Held:
    """An open file that a worker keeps open as long as it lives, under the same number."""

    descriptor: int

    def __reduce__(self) -> tuple[type[Held], tuple[int]]:
        """Passed on while a process is being started, and at no other time."""
        popen: Any = get_spawning_popen()
        return Held, (popen.duplicate_for_child(self.descriptor),)


class SharedByte:
    """A signal: a byte of a page that all processes of a run see."""

    def __init__(self, page: Path, place: int) -> None:
        self.page, self.place = page, place
        with page.open("r+b") as file:
            self.seen = mmap.mmap(file.fileno(), PAGE_BYTES)

    def set(self) -> None:
        """It has happened."""
        self.seen[self.place] = 1

    def is_set(self) -> bool:
        """Whether it has happened; also once the page's file is gone."""
        return self.seen[self.place] == 1

    def __reduce__(self) -> tuple[type[SharedByte], tuple[Path, int]]:
        """Found again by a process that is started."""
        return SharedByte, (self.page, self.place)


class LocalEngine:
    """Starts each worker as a process; their sockets lie in a folder that only this user may enter.

    The folder is locked as long as its run lives. By that the next run knows what it may sweep, also where
    several containers share a folder for temporary files and a process number says nothing; and services
    that clear away what is old leave it alone.
    """

    def __init__(self) -> None:
        """Nothing runs yet; what dead runs left behind is swept.

        Raises:
            NoRoomError: the folder cannot be made.
        """
        try:
            temporary = Path(tempfile.gettempdir())
            sweep(temporary)
            self.lock, self.folder = locked_folder(temporary)
            (self.folder / PAGE).write_bytes(bytes(PAGE_BYTES))
        except OSError as error:
            where = tempfile.tempdir or "the folder for temporary files"
            raise NoRoomError(
                f"{where}: no place for a run's sockets: {error.strerror}: make room, or set TMPDIR"
            ) from error
        addresses = {name: f"ipc://{self.folder / name}" for name in CHANNELS}
        answers, requests = f"ipc://{self.folder}/bye-", f"ipc://{self.folder}/requests"
        self.link = Link(addresses, answers, requests, "machine", this_process())
        self.signals = 0

    def signal(self) -> Signal:
        """A new signal."""
        self.signals += 1
        return SharedByte(self.folder / PAGE, self.signals - 1)

    def start(self, worker: Start) -> Running:
        """Start a process that leaves Ctrl-C and its like to the supervisor, with its share of the cores."""
        main = Named(worker.main.__module__, worker.main.__qualname__)
        held = tuple(Held(descriptor) for descriptor in worker.holds)
        arguments = (main, self.link.parent, worker.job, tuple(worker.signals), held)
        process = SPAWN.Process(target=serve, args=arguments, name=worker.name)
        kept = {name: value for name, value in ALLOCATION.items() if name not in os.environ}
        resource_tracker.ensure_running()  # started between blocking and start it would unblock them
        with environment({"OMP_NUM_THREADS": str(worker.threads)} | kept), signals_left_to_us():
            process.start()
        return process

    @contextmanager
    def interruptible(self, interrupted: Callable[[], None]) -> Iterator[None]:
        """Meanwhile Ctrl-C and its like call `interrupted`; under `nohup` the terminal may go."""
        heard = [n for n in STOPS if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, lambda *_: interrupted()) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        """Remove the folder of sockets."""
        remove(self.folder)
        os.close(self.lock)


def serve(
    main: Named, parent: Parent, job: bytes, signals: tuple[Signal, ...], held: tuple[Held, ...]
) -> None:
    """A worker's life: it ends with its supervisor, also one that died while this process was starting.

    What is `held` stays open: nobody needs to know of it.
    """
    end_with(parent)
    main.found()(job, *(one.is_set for one in signals))


def locked_folder(temporary: Path) -> tuple[int, Path]:
    """A new folder, and the open lock on it; it gets its name once it is locked, lest it be swept before.

    Where the file system knows no locks on folders, nothing is ever swept.
    """
    new = Path(tempfile.mkdtemp(prefix=NEW, dir=temporary))
    lock = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    folder = temporary / new.name.replace(NEW, PREFIX)
    new.rename(folder)
    return lock, folder


def sweep(temporary: Path) -> None:
    """Remove what dead runs of this user left in a folder for temporary files."""
    for left in temporary.glob(f"{PREFIX}*"):
        with suppress(OSError):
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_uid == os.getuid() and (left / PAGE).is_file():
                    remove(left)
            finally:
                os.close(lock)


def remove(folder: Path) -> None:
    """Remove a run's folder with all that a run puts there; with anything else in it, it stays."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name == PAGE or stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
        folder.rmdir()


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

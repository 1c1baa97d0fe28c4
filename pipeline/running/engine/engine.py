"""What a supervisor asks of whatever starts its workers, on this machine or on several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pipeline.running.channels import Link


class Signal(Protocol):
    """Something that happens once, and that workers can be asked about wherever they run."""

    def set(self) -> None:
        """It has happened."""

    def is_set(self) -> bool:
        """Whether it has happened."""


class Running(Protocol):
    """One worker that was started."""

    @property
    def pid(self) -> int | None:
        """Its process number on this machine; None where it has none."""

    @property
    def exitcode(self) -> int | None:
        """None while it runs; 0: its work is done; above: it gave up by itself; below: it was killed."""

    def join(self, timeout_s: float) -> None:
        """Wait for its end."""

    def kill(self) -> None:
        """End it at once, whatever it is doing."""


@dataclass(frozen=True)
class Start:
    """A worker to be started."""

    name: str
    main: Callable[..., None]
    """A worker module's `main(job, *signals)`; the signals are questions that answer whether they are set."""
    job: bytes
    signals: Sequence[Signal]
    threads: int
    """Compute threads it may have."""
    holds: Sequence[int] = ()
    """Open files that it keeps open as long as it lives, where it runs on this machine: the lock under which
    it writes is not free before it is gone."""


class Engine(Protocol):
    """Starts workers, and knows where they find each other."""

    @property
    def link(self) -> Link:
        """What every worker of this run is told: where the channels are, and whom it serves."""

    def signal(self) -> Signal:
        """A new signal of this run."""

    def start(self, worker: Start) -> Running:
        """Start a worker."""

    def interruptible(self, interrupted: Callable[[], None]) -> AbstractContextManager[None]:
        """Meanwhile whoever stops the program (Ctrl-C, SIGTERM, SIGHUP) is heard instead."""

    def close(self) -> None:
        """Leave nothing of this run behind; all its workers have ended."""

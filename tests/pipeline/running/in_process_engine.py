"""A second engine: every worker is a thread of this process."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from pipeline.running.channels import CHANNELS, Link
from pipeline.running.engine.engine import Running, Signal, Start


class Thread:
    """A worker that runs as a thread; nothing can kill it."""

    pid: int | None = None

    def __init__(self, worker: Start) -> None:
        self.exitcode: int | None = None
        self.thread = threading.Thread(target=self.run, args=(worker,), name=worker.name, daemon=True)
        self.thread.start()

    def run(self, worker: Start) -> None:
        code = 1
        try:
            worker.main(worker.job, *(signal.is_set for signal in worker.signals))
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            self.exitcode = code

    def join(self, timeout_s: float) -> None:
        self.thread.join(timeout_s)

    def kill(self) -> None:
        raise AssertionError(f"{self.thread.name} should have ended")


class InProcessEngine:
    """Starts workers as threads; what they are told is what any engine tells them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        addresses = {name: f"ipc://{self.folder / name}" for name in CHANNELS}
        self.link = Link(addresses, f"ipc://{self.folder}/bye-", f"ipc://{self.folder}/requests")
        self.started: list[str] = []

    def signal(self) -> Signal:
        return threading.Event()

    def start(self, worker: Start) -> Running:
        self.started.append(worker.name)
        return Thread(worker)

    def interruptible(self, interrupted: Callable[[], None]) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        shutil.rmtree(self.folder)

"""Starts, hears and kills one camera's capture process."""

from __future__ import annotations

import multiprocessing
from typing import Any

import msgspec

from pipeline.cameras.live import capture
from pipeline.cameras.live.capture import CaptureJob
from pipeline.cameras.live.capture_messages import LinkClosed, Word, link_pair

SPAWN = multiprocessing.get_context("spawn")
JOIN_S = 1.0


class CaptureProcess:
    """A capture process while it lives, and the link to it.

    Args:
        job: its camera.
    """

    def __init__(self, job: CaptureJob) -> None:
        self.link, theirs = link_pair()
        with theirs:
            self.process: Any = SPAWN.Process(
                target=capture.main,
                args=(msgspec.msgpack.encode(job), theirs),
                name=f"capture-{job.camera.name}",
                daemon=True,
            )
            self.process.start()

    def fileno(self) -> int:
        """For `select`."""
        return self.link.fileno()

    def send(self, word: Word) -> None:
        """Tell it something; one that is gone is noticed when it is next heard."""
        try:
            self.link.send(word)
        except LinkClosed:
            return

    def heard(self) -> list[tuple[Word, list[int]]]:
        """What it has said since last asked.

        Raises:
            LinkClosed: it has ended.
        """
        words = []
        while (word := self.link.receive(0)) is not None:
            words.append(word)
        return words

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self.process.kill()
        self.process.join(JOIN_S)
        self.link.close()

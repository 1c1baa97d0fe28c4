"""Capture process: one camera's connection, decoder and clock, in something that can be killed."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys

import msgspec

from pipeline.cameras.live.capture_messages import Connect, Finished, Link, LinkClosed, Lost
from pipeline.cameras.live.connection import Connection, LostError
from pipeline.cameras.live.session import Session
from pipeline.cameras.live.watchdog import Stillness
from pipeline.config import CameraConfig, LiveConfig
from pipeline.credentials import CredentialsError, resolve
from pipeline.urls import redact

PR_SET_PDEATHSIG = 1


class CaptureJob(msgspec.Struct, frozen=True):
    """What a capture process is started with."""

    camera: CameraConfig
    live: LiveConfig
    secrets: str | None


def main(job: bytes, end: socket.socket) -> None:
    """Connect as often as told, until the camera worker is gone.

    Args:
        job: an encoded `CaptureJob`.
        end: socket to the camera worker.
    """
    die_with_parent()
    work, link = msgspec.msgpack.decode(job, type=CaptureJob), Link(end)
    stillness = Stillness()
    try:
        while True:
            heard = link.receive(None)
            if heard and isinstance(heard[0], Connect):
                serve(work, link, heard[0], stillness)
    except LinkClosed:
        return


def die_with_parent() -> None:
    """Have the kernel end this process when the camera worker dies, even inside a decoder (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == 1:
        sys.exit()


def serve(work: CaptureJob, link: Link, order: Connect, stillness: Stillness) -> None:
    """One connection, from the attempt to the loss; the reason goes to the camera worker."""
    url = ""
    try:
        url = resolve(work.camera, secrets=work.secrets)
        with Connection(work.camera, url, work.live) as connection:
            Session(connection, link, order, work.live, stillness).run()
        link.send(Finished())
    except (LostError, CredentialsError) as error:
        link.send(Lost(redact(str(error), url)))

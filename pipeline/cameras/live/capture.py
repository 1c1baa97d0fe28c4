"""Capture process: one camera's connection, decoder and clock, in something that can be killed."""

from __future__ import annotations

import socket

import msgspec

from pipeline.cameras.live.capture_messages import CaptureLink, Connect, Finished, LinkClosed, Lost
from pipeline.cameras.live.connection import Connection, EndsError, LostError
from pipeline.cameras.live.session import Session
from pipeline.cameras.live.watchdog import Stillness
from pipeline.config import CameraConfig, LiveConfig
from pipeline.credentials import CredentialsError, resolve
from pipeline.parents import Parent, end_with
from pipeline.urls import redact


class CaptureJob(msgspec.Struct, frozen=True):
    """What a capture process is started with."""

    camera: CameraConfig
    live: LiveConfig
    secrets: str | None
    parent: Parent
    """The camera worker."""


def main(job: bytes, end: socket.socket) -> None:
    """Connect as often as told, until the camera worker is gone.

    Args:
        job: an encoded `CaptureJob`.
        end: socket to the camera worker.
    """
    work, link = msgspec.msgpack.decode(job, type=CaptureJob), CaptureLink(end)
    end_with(work.parent)
    stillness = Stillness()
    try:
        while True:
            heard = link.receive(None)
            if heard and isinstance(heard[0], Connect):
                serve(work, link, heard[0], stillness)
    except LinkClosed:
        return


def serve(work: CaptureJob, link: CaptureLink, order: Connect, stillness: Stillness) -> None:
    """One connection, from the attempt to the loss; the reason goes to the camera worker."""
    url = ""
    try:
        url = resolve(work.camera, secrets=work.secrets)
        with Connection(work.camera, url, work.live) as connection:
            Session(connection, link, order, work.live, stillness).run()
        link.send(Finished())
    except (LostError, CredentialsError) as error:
        link.send(Lost(redact(str(error), url), final=isinstance(error, EndsError)))

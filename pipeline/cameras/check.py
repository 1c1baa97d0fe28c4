"""Says, before a run, whether every camera of a configuration can be read and what it delivers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import msgspec

from pipeline.cameras.live.connection import Connection, LostError
from pipeline.cameras.recordings import SourceError, open_source
from pipeline.config import CameraConfig, LiveConfig
from pipeline.credentials import CredentialsError, resolve
from pipeline.urls import redact

AT_ONCE = 8
"""Cameras probed at the same time: one that is silent does not make the others wait."""


class CameraCheck(msgspec.Struct, frozen=True):
    """What one camera's source delivers, or why it does not."""

    camera: str
    source: str
    """Without credentials."""
    problem: str | None = None
    width: int | None = None
    """Of the upright frame, px."""
    height: int | None = None
    codec: str | None = None
    """None for a recording."""
    fps: float | None = None
    """None where a live stream does not tell."""
    duration_s: float | None = None
    """None for a live camera."""
    first_frame_s: float | None = None
    """How long it took until the first frame was there."""
    clock_known: bool = False
    label: str = ""
    """What people call the camera; empty: by its name."""
    notes: tuple[str, ...] = ()
    """What is left out or assumed when the camera is read, one line each."""


def check_cameras(
    cameras: Sequence[CameraConfig], *, live: LiveConfig | None = None, secrets: str | None = None
) -> list[CameraCheck]:
    """Open each camera's source once and decode its first frame.

    Args:
        cameras: live ones and recordings.
        live: time limits of live ones; None: those a run has by default.
        secrets: file that credentials are looked up in.
    """

    def check(camera: CameraConfig) -> CameraCheck:
        return check_live(camera, live or LiveConfig(), secrets) if camera.live else check_recording(camera)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(check, cameras))


def check_recording(camera: CameraConfig) -> CameraCheck:
    """Open one recording and decode its first frame."""
    started = time.perf_counter()
    seen = CameraCheck(camera.name, camera.place, clock_known=camera.clock_known, label=camera.label)
    try:
        with open_source(camera) as source:
            next(iter(source)).image  # noqa: B018 (converted on access)
            info, notes = source.info, source.notes
    except SourceError as error:
        return msgspec.structs.replace(seen, problem=str(error))
    except StopIteration:
        return msgspec.structs.replace(seen, problem=f"{camera.place}: holds no frame")
    return msgspec.structs.replace(
        seen,
        width=info.width,
        height=info.height,
        fps=round(info.fps, 3),
        duration_s=info.duration_s,
        notes=notes,
        first_frame_s=round(time.perf_counter() - started, 3),
    )


def check_live(camera: CameraConfig, live: LiveConfig, secrets: str | None) -> CameraCheck:
    """Connect to one live camera and decode its first frame."""
    source = redact(camera.source) or f"the URL in {camera.url_env}"
    seen = CameraCheck(camera.name, source, clock_known=camera.clock_known, label=camera.label)
    started = time.perf_counter()
    try:
        with closing(Connection(camera, resolve(camera, secrets=secrets), live)) as connection:
            height, width = first_shape(connection, started + live.connect_s + live.stall_s)
            codec, fps = connection.codec, connection.fps
    except (LostError, CredentialsError) as error:
        return msgspec.structs.replace(seen, problem=str(error))
    return msgspec.structs.replace(
        seen,
        width=width,
        height=height,
        codec=codec,
        fps=round(fps, 3) or None,
        first_frame_s=round(time.perf_counter() - started, 3),
    )


def first_shape(connection: Connection, deadline_s: float) -> tuple[int, int]:
    """Height and width of the first picture.

    Raises:
        LostError: none came until `deadline_s` of the performance counter.
    """
    for packet in connection:
        for frame in connection.decode(packet) or ():
            return connection.picture(frame).shape[:2]
        if time.perf_counter() > deadline_s:
            break
    raise LostError("data comes, but no picture can be decoded from it")

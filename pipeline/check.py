"""Says, before a run, whether every camera of a configuration can be read and what it delivers."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from pipeline.config import CameraConfig
from pipeline.sources import SourceError, open_source


class CameraCheck(msgspec.Struct, frozen=True):
    """What one camera's source delivers, or why it does not."""

    camera: str
    source: str
    problem: str | None = None
    width: int | None = None
    """Of the upright frame, px."""
    height: int | None = None
    fps: float | None = None
    duration_s: float | None = None
    first_frame_s: float | None = None
    """How long it took until the first frame was there."""
    clock_known: bool = False


def check_cameras(cameras: Sequence[CameraConfig]) -> list[CameraCheck]:
    """Open each camera's source once and decode its first frame."""
    return [check_camera(camera) for camera in cameras]


def check_camera(camera: CameraConfig) -> CameraCheck:
    """Open one source and decode its first frame."""
    started = time.perf_counter()
    seen = CameraCheck(camera.name, camera.source, clock_known=camera.clock_known)
    try:
        with open_source(camera) as source:
            next(iter(source)).image  # noqa: B018 (converted on access)
            info = source.info
    except SourceError as error:
        return msgspec.structs.replace(seen, problem=str(error))
    except StopIteration:
        return msgspec.structs.replace(seen, problem=f"{camera.source}: holds no frame")
    return msgspec.structs.replace(
        seen,
        width=info.width,
        height=info.height,
        fps=round(info.fps, 3),
        duration_s=info.duration_s,
        first_frame_s=round(time.perf_counter() - started, 3),
    )

"""Addresses that end: a film or a picture is no live camera, and is refused or fetched again and again."""

from __future__ import annotations

import msgspec
from av.container import InputContainer

from pipeline.config import CameraConfig, LiveConfig

MOST_PICTURE_BYTES = 64 << 20
PICTURES = ("image2", "jpeg_pipe", "png_pipe", "webp_pipe", "bmp_pipe", "gif", "tiff_pipe", "mjpeg")
"""Formats in which FFmpeg reads one picture."""
MISSED = 3
"""So many pictures may fail to come before that counts as a loss."""
ENDLESS = ("mpjpeg",)
"""JPEG after JPEG: some cameras declare a length for it that means nothing."""


def what_ends(container: InputContainer) -> str | None:
    """What is wrong with an http address as a live camera; None where it does not end."""
    name = container.format.name
    if name in ENDLESS:
        return None
    if is_picture(container):
        return "this address gives one picture, not a stream: `poll_s: 1` fetches it every second"
    if name == "hls" and container.duration:
        return "this address plays a film that ends, not a live camera: save it and give the file"
    if container.size > 0 and name != "hls":
        return (
            f"this address holds a film of {container.size / 1e6:.1f} MB that ends, not a live camera: "
            "save it and give the file"
        )
    return None


def is_picture(container: InputContainer) -> bool:
    """Whether an address gives one picture."""
    return container.format.name in PICTURES and 0 < container.size <= MOST_PICTURE_BYTES


def patient(live: LiveConfig, camera: CameraConfig) -> LiveConfig:
    """The limits of one camera: one whose pictures are fetched seldom is not lost, nor hangs, between two."""
    if camera.poll_s is None:
        return live
    least_s = MISSED * camera.poll_s
    return msgspec.structs.replace(
        live,
        stall_s=max(live.stall_s, least_s),
        frozen_s=max(live.frozen_s, MISSED * least_s),
        bridge_s=max(live.bridge_s, least_s),
    )

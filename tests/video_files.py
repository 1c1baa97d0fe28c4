"""Small generated recordings for tests: clips written with PyAV and folders of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

LEVEL_STEP = 10
"""Frame i is grey level 40 + i * LEVEL_STEP (modulo 200) outside its red corner."""


def picture(index: int, width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """(H, W, 3) RGB: a grey level that tells the index, and a red upper left quarter that tells the top."""
    image = np.full((height, width, 3), 40 + index * LEVEL_STEP % 200, np.uint8)
    image[: height // 2, : width // 2] = (230, 20, 20)
    return image


def moving_scene(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """(H, W, 3) RGB: fixed texture with a block that moves, about as hard to decode as a camera's view."""
    rng = np.random.default_rng(0)
    small = rng.integers(60, 200, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    image = np.repeat(np.repeat(small, 8, 0), 8, 1)[:height, :width].copy()
    left = index * 7 % max(width - width // 8, 1)
    image[height // 4 : height * 3 // 4, left : left + width // 8] = (200, 180, 40)
    return image


def write_clip(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    *,
    fps: int = 10,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
    rotation: int = 0,
    gop: int = 5,
    options: dict[str, str] | None = None,
    audio_s: float = 0.0,
) -> Path:
    """A video of `images`; the container follows from the name of `path`.

    Args:
        path: where to write.
        images: (H, W, 3) uint8 RGB each.
        fps: frames a second.
        codec: encoder.
        pix_fmt: of the encoded video.
        pts: time stamp of each frame in units of 1 / (10 fps); None: evenly spaced.
        rotation: degrees counterclockwise that a player turns the picture by.
        gop: frames between key frames.
        options: of the container, such as {"movflags": "faststart"}.
        audio_s: length of a silent sound track.
    """
    height, width = images[0].shape[:2]
    base = Fraction(1, fps * 10 if pts else fps)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, pix_fmt, gop
        stream.codec_context.time_base = base
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "crf": "18", "bf": "0"}
        if rotation:
            stream.set_display_rotation(rotation)
        sound = container.add_stream("aac", rate=8000) if audio_s else None
        assert sound is None or isinstance(sound, AudioStream)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = pts[index] if pts else index
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            for start in range(0, int(audio_s * 8000), 1024):
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                silence.sample_rate, silence.pts = 8000, start
                container.mux(sound.encode(silence))
            container.mux(sound.encode(None))
    return path


def counting_clip(path: Path, frames: int = 20, *, width: int = 96, height: int = 64, fps: int = 10) -> Path:
    """`write_clip` of `picture` 0, 1, 2, ..."""
    return write_clip(path, [picture(i, width, height) for i in range(frames)], fps=fps)


def write_pictures(folder: Path, images: Sequence[NDArray[np.uint8]], *, suffix: str = ".png") -> Path:
    """A folder of pictures numbered from 1 without leading zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images, 1):
        path = folder / f"{number}{suffix}"
        if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
            raise OSError(f"cannot write {path}")
    return folder


def cut(path: Path, target: Path, *, keep: float) -> Path:
    """A copy of the first part of a file: `keep` of its bytes."""
    data = path.read_bytes()
    target.write_bytes(data[: int(len(data) * keep)])
    return target


def first_frames(video: Path, out: Path, frames: int) -> Path:
    """The first frames of a video, not re-encoded."""
    with av.open(str(video)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for count, packet in enumerate(source.demux(source.streams.video[0])):
            if count >= frames or packet.dts is None:
                break
            packet.stream = stream
            target.mux(packet)
    return out

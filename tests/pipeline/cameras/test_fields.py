"""Interlaced video: one whole picture a frame, none lost, none of two moments."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tests.pipeline.cameras.test_recordings import MS, read
from tests.video_files import counting_clip


def moving_bar(moment: int) -> NDArray[np.uint8]:
    """(128, 192, 3): a white bar that moves 8 px a moment."""
    image = np.zeros((128, 192, 3), np.uint8)
    image[:, 40 + 8 * moment : 72 + 8 * moment] = 255
    return image


def interlaced_clip(path: Path, frames: int, *, interlaced: bool = True) -> Path:
    """A film whose even lines show one moment and whose odd ones the next."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 192, 128, "yuv444p"
        stream.options = (
            {"crf": "1", "bf": "0", "x264opts": "tff=1"} if interlaced else {"crf": "1", "bf": "0"}
        )
        for index in range(frames):
            woven = moving_bar(2 * index)
            woven[1::2] = moving_bar(2 * index + 1)[1::2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(woven, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def combing(image: NDArray[np.uint8]) -> float:
    """How much neighbouring lines differ, grey levels."""
    return float(np.abs(np.diff(image[8:-8].astype(int), axis=0)).mean())


def test_each_frame_of_two_fields_becomes_one_picture_at_its_time(tmp_path: Path) -> None:
    source, frames = read(interlaced_clip(tmp_path / "hall.mp4", 6))
    assert [f.time_ns for f in frames] == [i * 100 * MS for i in range(6)]
    assert str(source.repairs) == "interlaced frames put together: 6" and source.shortfall is None
    woven = read(interlaced_clip(tmp_path / "woven.mp4", 6, interlaced=False))[1]
    assert max(combing(f.image) for f in frames[1:-1]) < 0.2 * min(combing(f.image) for f in woven)


def test_progressive_video_goes_through_untouched(tmp_path: Path) -> None:
    source, frames = read(counting_clip(tmp_path / "clip.mp4", 5))
    assert source.repairs.lines == () and len(frames) == 5


def test_video_that_changes_between_both_loses_nothing(tmp_path: Path) -> None:
    joined = tmp_path / "joined.ts"
    parts = [counting_clip(tmp_path / "a.ts", 12, width=192, height=128)]
    parts.append(interlaced_clip(tmp_path / "b.ts", 12))
    parts.append(counting_clip(tmp_path / "c.ts", 12, width=96, height=64))
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    source, frames = read(joined)
    assert len(frames) == 36 and source.repairs.interlaced == 12
    assert {f.image.shape for f in frames} == {(128, 192, 3)}
    steps = np.diff([f.time_ns for f in frames])
    assert steps.min() > 0 and steps.max() <= 110 * MS

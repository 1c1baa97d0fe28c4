"""Pictures in their true shape and their true colours."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from pipeline.cameras.shapes import letterbox, true_size
from pipeline.config import ConfigError, parse_config
from tests.pipeline.cameras.test_recordings import read
from tests.video_files import picture


def oblong_clip(path: Path, aspect: Fraction, *, rotation: int = 0) -> Path:
    """A film of 96 x 64 stored pixels of this shape."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(2), (192, 64)), (Fraction(1, 2), (96, 128)), (1, (96, 64))]
)
def test_pixels_that_are_not_square_are_made_so(
    tmp_path: Path, name: str, aspect: Fraction, size: tuple[int, int]
) -> None:
    source, frames = read(oblong_clip(tmp_path / name, Fraction(aspect)))
    assert (source.info.width, source.info.height) == size
    assert {f.image.shape for f in frames} == {(size[1], size[0], 3)}
    corner = frames[0].image[size[1] // 4, size[0] // 4]
    np.testing.assert_allclose(corner, (230, 20, 20), atol=8)


def test_oblong_pixels_are_mended_before_the_picture_is_turned(tmp_path: Path) -> None:
    source, frames = read(oblong_clip(tmp_path / "clip.mp4", Fraction(2), rotation=90))
    assert frames[0].image.shape == (192, 64, 3) == (source.info.height, source.info.width, 3)


def test_the_configuration_overrules_what_a_file_says_of_its_pixels(tmp_path: Path) -> None:
    path = oblong_clip(tmp_path / "clip.mp4", Fraction(2))
    assert read(path, pixel_aspect="1:1")[1][0].image.shape == (64, 96, 3)
    assert read(path, pixel_aspect="3/2")[1][0].image.shape == (64, 144, 3)


@pytest.mark.parametrize("said", ["wide", "0:1", "2", 971, "1:2:3"])
def test_a_pixel_aspect_that_cannot_be_meant_is_refused(said: object) -> None:
    with pytest.raises(
        ConfigError, match=r"pixel_aspect: write width to height of a stored pixel, in quotes"
    ):
        parse_config({"cameras": [{"name": "a", "source": "a.mp4", "pixel_aspect": said}]})


def test_true_sizes_lose_nothing_and_damage_is_not_believed() -> None:
    assert true_size(720, 576, Fraction(16, 11)) == (1047, 576)
    assert true_size(720, 480, Fraction(10, 11)) == (720, 528)
    assert true_size(1920, 1080, Fraction(1001, 1000)) == (1920, 1080)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p"])
def test_limited_and_full_range_give_the_same_colours(tmp_path: Path, pix_fmt: str) -> None:
    path = tmp_path / "clip.mp4"
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, 48:] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pix_fmt
        stream.codec_context.color_range = 2 if pix_fmt == "yuvj420p" else 1
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    _, frames = read(path)
    assert frames[0].image[:, :40].max() <= 3 and frames[0].image[:, 56:].min() >= 252


def test_letterbox_keeps_proportions() -> None:
    framed = letterbox(np.full((10, 10, 3), 255, np.uint8), 40, 20)
    assert framed[:, 10:30].min() == 255 and framed[:, :10].max() == framed[:, 30:].max() == 0

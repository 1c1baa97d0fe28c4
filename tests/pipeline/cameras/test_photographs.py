"""Photographs that people hand in, harmless and not."""

from __future__ import annotations

import io
import os
import resource
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from pipeline.cameras.photographs import LONGEST_PX, PhotographError, decode_photograph, read_photograph


def encoded(image: PIL.Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def striped(mode: str = "RGB", size: tuple[int, int] = (40, 20)) -> PIL.Image.Image:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, : size[0] // 2] = (250, 10, 60)
    return PIL.Image.fromarray(pixels).convert(mode)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few KB that says it is huge, with as many rows as fit."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(2**22), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "JPEG"])
def test_a_picture_is_read_as_rgb(kind: str) -> None:
    options = (
        {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    )
    image = decode_photograph(encoded(striped(), kind, **options))
    assert image.shape == (20, 40, 3)
    np.testing.assert_allclose(image[10, 4], (250, 10, 60), atol=3)
    np.testing.assert_allclose(image[10, 35], 0, atol=3)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK", "I;16"])
def test_every_kind_of_pixels_becomes_rgb(mode: str) -> None:
    if mode == "I;16":
        picture = PIL.Image.fromarray(np.arange(800, dtype=np.uint16).reshape(20, 40) * 80)
    else:
        picture = striped("L").convert(mode) if mode in ("LA", "1") else striped(mode)
    image = decode_photograph(encoded(picture, "TIFF" if mode == "CMYK" else "PNG"))
    assert image.shape == (20, 40, 3) and image.dtype == np.uint8


def test_a_photograph_stands_upright_as_its_camera_noted() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    image = decode_photograph(encoded(striped(), "JPEG", exif=exif.tobytes(), quality=95))
    assert image.shape == (40, 20, 3) and image[2].mean() > 80 > image[-2].mean()


def test_a_large_photograph_is_scaled_down() -> None:
    image = decode_photograph(encoded(striped(size=(6000, 3000)), "JPEG"))
    assert image.shape == (LONGEST_PX // 2, LONGEST_PX, 3)


@pytest.mark.parametrize("size", [(50_000, 50_000), (2**31 - 1, 1), (1, 2**31 - 1), (20_000, 5_001)])
def test_a_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    began = time.monotonic()
    with pytest.raises(PhotographError):
        decode_photograph(bomb(*size))
    assert time.monotonic() - began < 20
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(before, 500_000)  # KB


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PhotographError, match=r"pipe\.jpg: not a file"):
        read_photograph(tmp_path / "pipe.jpg")
    with pytest.raises(PhotographError, match="not a file"):
        read_photograph(Path("/dev/zero"))
    with pytest.raises(PhotographError, match=str(tmp_path)):
        read_photograph(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"GIF89a" + bytes(20),
        b"#EXTM3U\n/etc/passwd\n",
        encoded(striped(), "JPEG")[:-200],
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(PhotographError) as error:
        read_photograph(tmp_path / "a.jpg")
    assert str(error.value).startswith(f"{tmp_path}/a.jpg: ") and "\n" not in str(error.value)


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(PhotographError):
        read_photograph(Path("a\0b.jpg"))
    with pytest.raises(PhotographError):
        read_photograph(Path("x" * 5000))

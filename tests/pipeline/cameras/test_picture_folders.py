"""Folders of pictures: their times from names, from EXIF, or a rate that is told."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.cameras.exif import exif_time_ns
from pipeline.cameras.frames import Repairs
from pipeline.cameras.picture_folders import in_order
from pipeline.cameras.starts import with_starts
from pipeline.time_zones import zone_named
from tests.pipeline.cameras.test_recordings import MS, camera, error_of, read
from tests.video_files import LEVEL_STEP, picture, write_pictures


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_folder_is_read_in_numeric_order_at_its_rate(tmp_path: Path, suffix: str) -> None:
    folder = write_pictures(tmp_path / "seq", [picture(i) for i in range(12)], suffix=suffix)
    (folder / "readme.txt").write_text("ignored")
    (folder / f"._1{suffix}").write_bytes(b"ignored")
    source, frames = read(folder, rotation=90)
    assert [round((f.image[-20:, :20].mean() - 40) / LEVEL_STEP) for f in frames] == list(range(12))
    assert [f.time_ns for f in frames] == [i * 40 * MS for i in range(12)]
    assert (source.info.width, source.info.height, source.info.frames) == (64, 96, 12)
    np.testing.assert_allclose(frames[0].image[8, -8], (230, 20, 20), atol=8)
    assert read(folder, fps=2)[1][3].time_ns == 1500 * MS


def test_an_unreadable_picture_leaves_its_moment_empty(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "seq", [picture(i) for i in range(4)])
    (folder / "2.png").write_bytes(b"broken")
    (folder / "3.png").write_bytes(b"")
    source, frames = read(folder)
    assert [(f.index, f.time_ns) for f in frames] == [(0, 0), (1, 120 * MS)]
    assert source.repairs.skipped == 2


def test_pictures_of_mixed_size_take_the_size_of_the_first(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "seq", [picture(0), picture(1, 100, 200), picture(2, 33, 21)])
    source, frames = read(folder)
    assert {f.image.shape for f in frames} == {(64, 96, 3)} and source.repairs.resized == 2


def test_a_folder_without_usable_pictures_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "1.jpg").write_bytes(b"broken")
    assert "no clips and no pictures" in error_of(tmp_path / "empty")
    assert "none of its 1 pictures can be decoded" in error_of(tmp_path / "broken")


def exif(text: str, *, tag: int = 0x9003, offset: str = "", order: str = "<") -> bytes:
    """A JPEG's EXIF block with one or two texts, in either order of bytes."""
    texts = {tag: text, **({0x9011: offset} if offset else {})}
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    root = struct.pack(order + "HHHII", 1, 0x8769, 4, 1, 26) + bytes(4)
    rows, data = struct.pack(order + "H", len(texts)), b""
    at = 26 + 2 + 12 * len(texts) + 4
    for number, value in texts.items():
        raw = value.encode() + b"\0"
        rows += struct.pack(order + "HHII", number, 2, len(raw), at + len(data))
        data += raw
    body = b"Exif\0\0" + head + root + rows + bytes(4) + data
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def with_exif(path: Path, block: bytes) -> Path:
    """A picture with this block in front."""
    data = path.read_bytes()
    path.write_bytes(data[:2] + block + data[2:])
    return path


def snapshots(folder: Path, names: list[str]) -> Path:
    """Pictures with these names."""
    write_pictures(folder, [picture(i) for i in range(len(names))], suffix=".jpg")
    for number, name in enumerate(names, 1):
        (folder / f"{number}.jpg").rename(folder / name)
    return folder


def test_snapshots_have_the_times_in_their_names(tmp_path: Path) -> None:
    folder = snapshots(tmp_path / "snap", [f"2026-01-31_08-00-{s:02}.jpg" for s in (0, 1, 2, 10, 11)])
    source, frames = read(folder)
    assert [f.time_ns for f in frames] == [s * 1000 * MS for s in (0, 1, 2, 10, 11)]
    assert source.info.fps == 1 and source.info.duration_s == 12 and source.notes == ()
    (dated,) = with_starts([camera(folder, timezone="Europe/Berlin")]).cameras
    assert dated.start_ns == 1_769_842_800 * 10**9


def test_snapshots_of_one_second_are_spread_over_it(tmp_path: Path) -> None:
    names = [f"20260131_08000{s}_{n}.jpg" for s in (0, 1) for n in range(4)]
    source, frames = read(snapshots(tmp_path / "snap", names))
    assert [f.time_ns for f in frames] == [i * 250 * MS for i in range(8)] and source.repairs.time_stamps == 6


def test_snapshots_without_named_times_have_those_of_their_exif(tmp_path: Path) -> None:
    folder = snapshots(tmp_path / "snap", ["a.jpg", "b.jpg", "c.jpg"])
    for name, second in (("a.jpg", 5), ("b.jpg", 0), ("c.jpg", 2)):
        with_exif(folder / name, exif(f"2026:01:31 08:00:0{second}"))
    _, frames = read(folder)
    assert [f.time_ns for f in frames] == [0, 2000 * MS, 5000 * MS]
    assert [round((f.image[-20:, -20:].mean() - 40) / LEVEL_STEP) for f in frames] == [1, 2, 0]


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_may_say_its_offset_and_else_is_the_sites(tmp_path: Path, order: str) -> None:
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    eight = 1_769_842_800 * 10**9
    berlin = zone_named("Europe/Berlin")
    path = with_exif(tmp_path / "x.jpg", exif("2026:01:31 08:00:00", order=order))
    assert exif_time_ns(path, berlin) == eight
    path.write_bytes(b"\xff\xd8\xff\xd9")
    with_exif(path, exif("2026:01:31 08:00:00", offset="-05:00", order=order))
    assert exif_time_ns(path, berlin) == eight + 6 * 3600 * 10**9


@pytest.mark.parametrize(
    "block", [b"", b"Exif\0\0II", b"Exif\0\0II*\0\xff\xff\xff\xff", exif("soon"), exif("")]
)
def test_damaged_exif_is_none(tmp_path: Path, block: bytes) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(b"\xff\xd8" + block)
    assert exif_time_ns(path) is None


def test_a_rate_that_is_assumed_is_told(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "seq", [picture(0), picture(1)])
    assert "taken for 25 a second; `fps:` says another" in read(folder)[0].notes[0]
    assert read(folder, fps=2)[0].notes == ()


def test_pictures_of_one_moment_never_share_a_time() -> None:
    named = [(Path(str(i)), 5) for i in range(3)]
    assert [offset for _, offset in in_order(iter(named), Repairs())] == [0, 333_333_333, 666_666_666]


def test_pictures_with_oblong_pixels_are_shown_in_their_true_shape(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "seq", [picture(0)])
    assert read(folder, pixel_aspect="2:1")[1][0].image.shape == (64, 192, 3)


def test_a_picture_made_to_fill_the_memory_is_skipped(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "seq", [picture(0), picture(1)])
    rows = zlib.compress(bytes(1) * 30_000, 9)
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    (folder / "1.png").write_bytes(png)
    source, frames = read(folder)
    assert len(frames) == 1 and source.repairs.skipped == 1

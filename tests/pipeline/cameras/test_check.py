"""Whether cameras can be read is told before a run, camera by camera."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pipeline.cameras.check import check_cameras
from pipeline.config import CameraConfig
from tests.video_files import counting_clip, picture, write_clip, write_pictures


def test_a_clip_tells_its_size_rate_and_length(tmp_path: Path) -> None:
    clip = counting_clip(tmp_path / "hall.mp4", 20, width=96, height=64, fps=10)
    start = datetime(2026, 1, 31, 8, tzinfo=UTC)
    (seen,) = check_cameras([CameraConfig(name="hall", source=str(clip), start=start)])
    assert (seen.problem, seen.width, seen.height, seen.fps) == (None, 96, 64, 10)
    assert seen.duration_s == 2 and seen.clock_known and seen.first_frame_s is not None


def test_the_size_is_that_of_the_upright_frame(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "tall.mp4", [picture(i) for i in range(5)], rotation=90)
    (seen,) = check_cameras([CameraConfig(name="tall", source=str(clip))])
    assert (seen.width, seen.height) == (64, 96)


def test_a_camera_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 20)
    pictures = write_pictures(tmp_path / "pictures", [picture(0), picture(1)])
    sources = {"gone": tmp_path / "gone.mp4", "text": text, "pictures": pictures}
    gone, wrong, good = check_cameras([CameraConfig(name=n, source=str(s)) for n, s in sources.items()])
    assert "no such file" in str(gone.problem) and "text file" in str(wrong.problem)
    assert good.problem is None and not good.clock_known

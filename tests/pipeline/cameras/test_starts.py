"""Starts of recordings that cannot be found stay unknown, and say so later."""

from __future__ import annotations

from pathlib import Path

from pipeline.cameras.starts import with_starts
from pipeline.config import CameraConfig
from tests.video_files import counting_clip


def test_a_camera_that_has_a_start_is_live_or_missing_stays_as_it_is(tmp_path: Path) -> None:
    cameras = (
        CameraConfig(name="gate", source="rtsp://10.0.0.1/1"),
        CameraConfig(name="gone", source=str(tmp_path / "2026-01-31_08-00-00.mp4")),
        CameraConfig(name="plain", source=str(counting_clip(tmp_path / "plain.mp4", 2))),
    )
    assert with_starts(cameras) == (cameras, ())

"""One recorded camera inside its worker: holes, damage and what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import CameraConfig, Config
from pipeline.messages import Message, Notice, RecordingEnded, TrackletClosed
from pipeline.running.workers.camera import CameraJob, HostedCamera
from pipeline.tracking.detect import Detections
from tests.video_files import counting_clip, picture, write_clip, write_pictures

BOX = np.array([[20, 10, 44, 58]], np.float32)


def recorded(camera: CameraConfig) -> tuple[list[TrackletClosed], RecordingEnded, list[str]]:
    """What a camera sends in whose every frame somebody stands still."""
    sent: list[Message] = []
    hosted = HostedCamera(CameraJob(camera, 1), Config(), sent.append, sent.append)
    if hosted.open():
        while not hosted.ended:
            if (frame := hosted.next_due()) is not None:
                hosted.take(frame, Detections(BOX, np.array([0.9], np.float32)))
    (ended,) = {id(one): one for one in sent if isinstance(one, RecordingEnded)}.values()
    tracklets = [one for one in sent if isinstance(one, TrackletClosed)]
    return tracklets, ended, [one.text for one in sent if isinstance(one, Notice)]


def folder_of(path: Path, seconds: Sequence[int]) -> CameraConfig:
    """A camera whose clips of one second begin at these."""
    path.mkdir()
    for second in seconds:
        write_clip(path / f"20260131_0800{second:02}.mp4", [picture(1)] * 25, fps=25)
    return CameraConfig(name="hall", source=str(path))


@pytest.mark.parametrize(
    ("seconds", "tracks"),
    [((0, 1, 2, 3), 1), ((0, 1, 3, 4), 1), ((0, 1, 4, 5), 1), ((0, 1, 6, 7), 2)],
    ids=["a cut", "a hole of one second", "a hole of two", "a hole longer than is bridged"],
)
def test_one_track_goes_on_over_cuts_and_short_holes(
    tmp_path: Path, seconds: tuple[int, ...], tracks: int
) -> None:
    tracklets, ended, _ = recorded(folder_of(tmp_path / "hall", seconds))
    assert len({one.key.track for one in tracklets}) == tracks
    assert (ended.state, ended.frames, ended.message) == ("done", 100, "")
    frames = np.concatenate([one.frames for one in tracklets]).tolist()
    assert len(set(frames)) == len(frames) >= 97  # one after the last that is detected may be nobody's


def test_pictures_taken_every_two_seconds_are_no_holes(tmp_path: Path) -> None:
    write_pictures(tmp_path / "hall", [picture(1)] * 6, suffix=".jpg")
    for number in range(1, 7):
        name = f"2026-01-31_08-00-{2 * number:02}.jpg"
        (tmp_path / "hall" / f"{number}.jpg").rename(tmp_path / "hall" / name)
    hosted = HostedCamera(
        CameraJob(CameraConfig(name="hall", source=str(tmp_path / "hall")), 1), Config(), print, print
    )
    assert hosted.open()
    while hosted.next_due() is not None:
        pass
    assert hosted.away_ns == 0 and hosted.read == 6


def test_repairs_and_what_is_left_out_are_told_once_and_end_in_the_recordings_row(tmp_path: Path) -> None:
    camera = folder_of(tmp_path / "hall", (0, 1, 2))
    (tmp_path / "hall" / "20260131_080001.mp4").write_bytes(bytes(range(128, 256)))
    write_pictures(tmp_path / "hall", [picture(0)])
    _, ended, told = recorded(camera)
    assert ended.state == "short" and ended.message.startswith("1 of 3 clips are missing or cut")
    assert told == [
        "hall: left out, pictures beside clips: 1 (1.png)",
        f"hall: {ended.message}",
    ]


def test_whatever_a_decoder_raises_is_damage_of_this_camera_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.cameras.video_file import VideoSource

    def broken(*_: object) -> None:
        raise RuntimeError("decoder gone mad")

    monkeypatch.setattr(VideoSource, "convert", broken)
    _, ended, told = recorded(CameraConfig(name="hall", source=str(counting_clip(tmp_path / "a.mp4", 3))))
    assert ended.state == "failed" and "decoder gone mad" in ended.message and len(told) == 1

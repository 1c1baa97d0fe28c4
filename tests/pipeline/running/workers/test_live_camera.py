"""One live camera: tracks span short losses, newcomers are told at once, a dead camera holds nobody up."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.cameras.live.reception import LiveFrame
from pipeline.config import CameraConfig, Config
from pipeline.messages import Message, RecordingEnded, TrackletClosed, Watermark
from pipeline.running.workers.camera import CameraJob
from pipeline.running.workers.live_camera import TRACKS_AN_ATTEMPT, LiveCamera
from pipeline.tracking.detect import Detections

T0 = 1_800_000_000 * 10**9
STEP_NS = 200_000_000
NOISE = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)


class Door:
    """A live camera without a network: somebody walks slowly through its picture."""

    def __init__(self, *, attempt: int = 0, behind_s: float = 0.0) -> None:
        self.sent: list[Message] = []
        self.behind_ns = round(behind_s * 1e9)
        """How far the camera's own clock is behind ours."""
        self.time_ns, self.index = T0, 0
        job = CameraJob(CameraConfig(name="door", source="rtsp://127.0.0.1:9/door"), 1, attempt)
        self.camera = LiveCamera(
            job,
            Config(),
            self.sent.append,
            lambda _: None,
            now_s=lambda: self.time_ns / 1e9,
            utc_ns=lambda: self.time_ns,
        )
        self.camera.reception.retry_s = math.inf

    def see(self, seconds: float) -> None:
        """The person is in view, at 5 frames a second."""
        for _ in range(round(seconds * 5)):
            self.wait(0.2)
            x = 100 + (self.time_ns - T0) / 1e9 * 5
            boxes = np.array([[x, 100, x + 80, 340]], np.float32)
            shown_ns = self.time_ns - self.behind_ns
            frame = LiveFrame(self.index, shown_ns, shown_ns, self.time_ns, NOISE, (), 0, 0)
            self.camera.take(frame, Detections(boxes, np.array([0.9], np.float32)))
            self.index += 1

    def wait(self, seconds: float) -> None:
        """Time passes; the worker minds the camera."""
        self.time_ns += round(seconds * 1e9)
        self.camera.attend()

    @property
    def parts(self) -> list[tuple[int, int]]:
        """(track, part) of every closed tracklet."""
        return [(m.key.track, m.key.part) for m in self.sent if isinstance(m, TrackletClosed)]

    @property
    def watermark_s(self) -> float:
        """How far the camera is, since the beginning."""
        return max((m.time_ns - T0) / 1e9 for m in self.sent if isinstance(m, Watermark))


@pytest.mark.parametrize(("away_s", "tracks"), [(1.0, 1), (2.5, 1), (3.5, 2), (60.0, 2)])
def test_somebody_before_and_after_a_short_loss_is_one_track(away_s: float, tracks: int) -> None:
    door = Door()
    door.see(2)
    door.wait(away_s)
    door.see(2)
    door.camera.finish()
    assert len({track for track, _ in door.parts}) == tracks
    assert len(door.parts) == len(set(door.parts))


def test_a_live_part_has_fewer_crops_than_a_recorded_one() -> None:
    door = Door()
    door.see(25)
    crops = [len(m.crops) for m in door.sent if isinstance(m, TrackletClosed)]
    assert max(crops) == Config().live.crops < Config().tracklets.crops


def test_the_first_part_of_a_presence_is_sent_within_a_second_the_others_every_ten() -> None:
    door = Door()
    door.see(1.0)
    assert door.parts == [(1, 0)]
    door.see(24.4)
    assert door.parts == [(1, 0), (1, 1), (1, 2)]
    starts = [(m.times_ns[0] - T0) / 1e9 - 0.2 for m in door.sent if isinstance(m, TrackletClosed)]
    assert starts == pytest.approx([0, 0.8, 10])


def test_a_dead_camera_holds_nobody_up() -> None:
    door = Door()
    door.see(2)
    door.wait(2)
    assert door.watermark_s <= 2
    for _ in range(20):
        door.wait(0.5)
    assert door.watermark_s >= 12.5
    assert door.parts, "who was in view when the picture went is stored"


def test_a_camera_whose_clock_is_behind_is_not_away() -> None:
    door = Door(behind_s=4)
    door.see(3)
    door.wait(0)
    assert door.parts == [(1, 0)] and door.watermark_s <= 0


def test_a_picture_that_waits_for_the_detector_has_come() -> None:
    door = Door()
    door.see(3)
    waiting = LiveFrame(door.index, door.time_ns, door.time_ns, door.time_ns, NOISE, (), 0, 0)
    door.camera.reception.waiting.append(waiting)
    door.wait(10)
    assert door.parts == [(1, 0)] and door.watermark_s <= 3


def test_no_frame_after_a_loss_is_older_than_what_was_promised() -> None:
    door = Door()
    door.see(2)
    for _ in range(20):
        door.wait(0.5)
    assert door.camera.reception.last_ns >= T0 + round(door.watermark_s * 1e9)


def test_an_empty_view_does_not_hold_others_up_either() -> None:
    door = Door()
    for _ in range(25):
        door.wait(0.2)
        nobody = Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32))
        frame = LiveFrame(door.index, door.time_ns, door.time_ns, door.time_ns, NOISE, (), 0, 0)
        door.camera.take(frame, nobody)
        door.index += 1
    assert door.watermark_s >= 4.4


def test_everybody_is_counted_once_and_only_who_is_there_is_remembered() -> None:
    door = Door()
    for _ in range(3):
        door.see(2)
        door.wait(60)
    door.see(2)
    assert door.camera.tracks.people == 4 and len(door.camera.tracks.going_on) == 1


def test_a_worker_that_was_started_over_gives_out_new_track_numbers() -> None:
    door = Door(attempt=2)
    door.see(1.4)
    assert door.parts == [(2 * TRACKS_AN_ATTEMPT + 1, 0)]


def test_the_end_closes_what_is_open_and_the_recording_is_done() -> None:
    door = Door()
    door.see(3)
    door.camera.finish()
    assert door.parts == [(1, 0), (1, 1)]
    ended = door.sent[-1]
    assert isinstance(ended, RecordingEnded)
    assert (ended.state, ended.detected, ended.duration_s) == ("done", 15, pytest.approx(2.8))

"""Frames of a live camera keep coming, in order, whatever happens to the server or the capture process."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from pipeline.cameras.frames import Grid
from pipeline.cameras.live.health import HealthMeter
from pipeline.cameras.live.reception import LiveFrame, Reception
from pipeline.cameras.recordings import open_source
from pipeline.config import CameraConfig, LiveConfig
from tests.rtsp.server import RtspServer, missing_packages
from tests.video_files import moving_scene, write_clip

WITHIN_S = 60.0
NOTHING = np.empty((0, 0, 3), np.uint8)
LIVE = LiveConfig(connect_s=2, stall_s=2, frozen_s=2, backoff_s=0.2, backoff_cap_s=1)
pytestmark = pytest.mark.alone
rtsp = pytest.mark.skipif(missing_packages() is not None, reason=missing_packages() or "")


class Listener:
    """A camera worker's part that only receives."""

    def __init__(self, camera: CameraConfig) -> None:
        self.meter = HealthMeter(camera.name, 1, monotonic_s=time.monotonic, utc_ns=time.time_ns)
        self.reception = Reception(
            camera, LIVE, None, self.meter, now_s=time.monotonic, opened=lambda _: None, rate_hz=5.0
        )
        self.frames: list[LiveFrame] = []
        self.pictures: list[NDArray[np.uint8]] = []

    def until(self, satisfied: Callable[[], bool]) -> None:
        """Receive until something holds."""
        deadline = time.monotonic() + WITHIN_S
        while not satisfied():
            health = self.meter.health()
            assert time.monotonic() < deadline, f"{health.state}: {health.last_error}"
            self.reception.attend()
            while (frame := self.reception.next_frame()) is not None:
                self.frames.append(replace(frame, image=NOTHING))
                self.pictures.append(frame.image.copy())
                self.reception.give_back(frame)
            time.sleep(0.005)

    def more(self, count: int) -> Callable[[], bool]:
        """Whether so many more frames than now have come."""
        wanted = len(self.frames) + count
        return lambda: len(self.frames) >= wanted

    def reached(self, state: str) -> Callable[[], bool]:
        return lambda: self.meter.state == state

    @property
    def pid(self) -> int:
        assert self.reception.process is not None
        return int(self.reception.process.process.pid)


@contextmanager
def listening(source: str, **options: object) -> Iterator[Listener]:
    listener = Listener(CameraConfig(name="door", source=source, **options))  # type: ignore[arg-type]
    try:
        yield listener
    finally:
        listener.reception.end_process()


def assert_in_order(frames: list[LiveFrame]) -> None:
    """Numbers and times rise, also of the frames that were passed over."""
    moments = [m for frame in frames for m in (*frame.passed, (frame.index, frame.time_ns))]
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(moments))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of a moving scene at 25 fps."""
    images = [moving_scene(i, 320, 240) for i in range(100)]
    return write_clip(tmp_path_factory.mktemp("live") / "door.mp4", images, fps=25, gop=25)


@pytest.fixture(scope="module")
def server(clip: Path) -> Iterator[RtspServer]:
    with RtspServer({"door": clip}) as running:
        yield running


@rtsp
def test_a_stream_shows_the_frames_that_its_recording_gives(clip: Path) -> None:
    grid = Grid(5.0)
    with open_source(CameraConfig(name="door", source=str(clip))) as source:
        recorded = {f.index: f.image for f in source if grid.due(f.time_ns)}
    with RtspServer({"door": clip}, loop=False) as once, listening(once.url("door")) as live:
        live.until(lambda: live.meter.frames_in == 100 and live.meter.state == "reconnecting")
    assert len(live.frames) + live.meter.dropped.total() == len(recorded), (
        "none is lost without being counted"
    )
    for frame, picture in zip(live.frames, live.pictures, strict=True):
        np.testing.assert_array_equal(picture, recorded[frame.index])
    stamps = [frame.stream_ns - live.frames[0].stream_ns for frame in live.frames]
    assert stamps == [(frame.index - live.frames[0].index) * 40_000_000 for frame in live.frames]
    times = [frame.time_ns - live.frames[0].time_ns for frame in live.frames]
    np.testing.assert_allclose(times, stamps, rtol=0.01)


@rtsp
def test_a_server_that_dies_and_comes_back_is_found_again(clip: Path) -> None:
    with RtspServer({"door": clip}) as server, listening(server.url("door")) as live:
        live.until(live.more(3))
        server.kill()
        live.until(live.reached("reconnecting"))
        live.until(lambda: "refused" in live.meter.last_error)
        server.start()
        live.until(live.more(3))
        assert live.meter.state == "live" and live.meter.reconnects == 1
    assert_in_order(live.frames)


@rtsp
def test_a_server_that_hangs_is_called_stalled_and_then_left(clip: Path) -> None:
    with RtspServer({"door": clip}) as server, listening(server.url("door")) as live:
        live.until(live.more(3))
        server.suspend()
        live.until(live.reached("stalled"))
        live.until(live.reached("reconnecting"))
        server.resume()
        live.until(live.more(3))
    assert_in_order(live.frames)


@rtsp
@pytest.mark.parametrize("signum", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)])
def test_a_capture_process_that_dies_or_hangs_is_replaced(server: RtspServer, signum: int) -> None:
    with listening(server.url("door")) as live:
        live.until(live.more(2))
        first = live.pid
        os.kill(first, signum)
        live.until(live.reached("reconnecting"))
        live.until(live.more(2))
        assert live.pid != first and not psutil.pid_exists(first)
    assert_in_order(live.frames)


@rtsp
def test_a_picture_that_does_not_change_is_frozen_and_not_detected(tmp_path: Path) -> None:
    still = write_clip(tmp_path / "still.mp4", [moving_scene(0, 160, 120)] * 50, fps=25)
    with RtspServer({"door": still}) as server, listening(server.url("door")) as live:
        live.until(live.reached("frozen"))
        live.until(lambda: live.meter.dropped["capture:frozen"] >= 5)
        before = len(live.frames)
        server.swap("door", write_clip(tmp_path / "door.mp4", [moving_scene(i, 160, 120) for i in range(50)]))
        live.until(lambda: live.meter.state == "live" and len(live.frames) > before + 3)


@rtsp
def test_a_picture_of_another_size_is_fitted_into_the_first(clip: Path, tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "wide.mp4", [moving_scene(i, 640, 240) for i in range(50)], fps=25)
    with RtspServer({"door": clip}) as server, listening(server.url("door")) as live:
        live.until(live.more(2))
        server.kill()
        server.cameras["door"] = wide
        server.start()
        live.until(live.more(3))
    assert {picture.shape for picture in live.pictures} == {(240, 320, 3)}
    assert not live.pictures[-1][:50].any(), "black above a picture that is wider"


@rtsp
def test_connecting_again_and_again_leaves_nothing_behind(server: RtspServer) -> None:
    us = psutil.Process()
    with listening(server.url("door")) as live:
        live.until(live.more(2))
        before = us.num_fds()
        for _ in range(3):
            server.kick()
            live.until(live.reached("reconnecting"))
            live.until(live.more(2))
        assert us.num_fds() == before
        child = psutil.Process(live.pid)
    assert not child.is_running() and us.num_fds() < before


def test_a_file_in_real_time_takes_as_long_as_it_is_and_ends(clip: Path) -> None:
    with listening(str(clip), realtime=True) as live:
        live.until(live.more(1))
        started = time.monotonic()
        live.until(lambda: live.reception.finished)
        assert time.monotonic() - started > 3.5
    assert len(live.frames) + live.meter.dropped.total() == 20 and live.meter.frames_in == 100


def test_the_frames_that_a_decoder_holds_back_at_the_end_are_not_lost(tmp_path: Path) -> None:
    images = [moving_scene(i, 320, 240) for i in range(26)]
    reordered = write_clip(tmp_path / "door.mp4", images, fps=25, codec="libx265")
    with listening(str(reordered), realtime=True) as live:
        live.until(lambda: live.reception.finished)
    assert live.meter.frames_in == 26
    assert [frame.index for frame in live.frames][-1] == 25


def test_a_camera_that_refuses_is_tried_again_and_again() -> None:
    with listening("rtsp://127.0.0.1:9/door") as live:
        live.until(lambda: live.reception.backoff.tries >= 3)
        assert live.meter.state == "reconnecting" and "refused" in live.meter.last_error

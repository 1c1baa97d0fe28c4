"""The sender's clock, as a real server tells it in its reports, and what times the frames get from it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.cameras.live.clock import SLEW
from pipeline.cameras.live.connection import Connection
from pipeline.cameras.live.session import sender_us
from pipeline.config import CameraConfig, LiveConfig
from tests.pipeline.cameras.live.test_reception import Listener, listening
from tests.rtsp.relay import UdpRelay
from tests.rtsp.server import RtspServer, missing_packages
from tests.video_files import write_clip

WITHIN_S = 30.0
WATCHED_S = 8.0
SOON_S = 1.0
"""A server's packets are here within this, also on a busy machine."""
pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(missing_packages() is not None, reason=missing_packages() or ""),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtspServer]:
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(1000)]
    clip = write_clip(tmp_path_factory.mktemp("clock") / "door.mp4", images, fps=25, gop=25)
    with RtspServer({"door": clip}) as running:
        yield running


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_packets_carry_the_senders_clock_once_its_first_report_has_come(
    server: RtspServer, transport: str
) -> None:
    url, until_s = server.url("door"), time.monotonic() + WITHIN_S
    camera = CameraConfig(name="door", source=url, transport=transport)  # type: ignore[arg-type]
    with Connection(camera, url, LiveConfig()) as connection:
        for packet in connection:
            sent_us = sender_us(packet, None, None)
            if sent_us is not None:
                assert 0 <= time.time() - sent_us / 1e6 + 0.01 < SOON_S
                return
            assert time.monotonic() < until_s, "no report came"


def watched(server: RtspServer, ahead_s: float) -> Listener:
    """A camera whose clock is ahead by so much, watched for a while after it has told so."""
    with UdpRelay(server.port, loss=0.0) as relay:
        relay.ahead_s = ahead_s
        with listening(relay.url("door"), transport="udp") as live:
            live.until(lambda: live.meter.clock_offset_s is not None)
            live.frames.clear()
            live.until(lambda: bool(live.frames) and live.frames[-1].stream_ns > until_ns(live))
    return live


def until_ns(live: Listener) -> float:
    """Stream time when enough has been seen."""
    return live.frames[0].stream_ns + WATCHED_S * 1e9


def offsets_s(live: Listener) -> np.ndarray:
    """UTC minus stream time of the first and the last frame, from that of the first."""
    offsets = np.array([frame.time_ns - frame.stream_ns for frame in live.frames[:: len(live.frames) - 1]])
    return np.asarray((offsets - offsets[0]) / 1e9)


def test_frames_move_towards_a_senders_clock_that_is_two_seconds_behind(server: RtspServer) -> None:
    live = watched(server, -2.0)
    assert live.meter.clock_offset_s == pytest.approx(-2.0, abs=SOON_S)
    assert offsets_s(live)[-1] == pytest.approx(-SLEW * WATCHED_S, rel=0.2)


def test_a_sender_that_boots_with_a_clock_of_another_year_is_dated_by_arrival(server: RtspServer) -> None:
    year_s = 365 * 86400.0
    live = watched(server, -year_s)
    assert live.meter.clock_offset_s == pytest.approx(-year_s, abs=SOON_S)
    late_s = [(frame.arrival_ns - frame.time_ns) / 1e9 for frame in live.frames]
    assert max(map(abs, late_s)) < SOON_S
    assert offsets_s(live)[-1] > -0.9 * SLEW * WATCHED_S

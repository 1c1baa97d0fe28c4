"""A live camera is probed once, and what is wrong with it is said in words that hold no password."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline.check import CameraCheck, check_cameras
from pipeline.config import CameraConfig, LiveConfig
from tests.rtsp.relay import TcpRelay
from tests.rtsp.server import Login, RtspServer, free_port, missing_packages
from tests.video_files import moving_scene, write_clip

pytestmark = pytest.mark.skipif(missing_packages() is not None, reason=str(missing_packages()))

LIVE = LiveConfig(connect_s=1, stall_s=1)
PASSWORD = "p@s.s%40ä/:?#"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = [moving_scene(i, 320, 240) for i in range(50)]
    return write_clip(tmp_path_factory.mktemp("clips") / "cam.mp4", images, fps=25)


@pytest.fixture(scope="module")
def server(clip: Path) -> Iterator[RtspServer]:
    with RtspServer({"cam": clip}, login=Login("me", PASSWORD)) as server:
        yield server


def look(url: str, **camera: object) -> CameraCheck:
    """What is said about a camera; whatever it is, it holds no password."""
    (seen,) = check_cameras([CameraConfig(name="cam", source=url, **camera)], live=LIVE)  # type: ignore[arg-type]
    assert PASSWORD not in repr(seen) and "p%40s" not in repr(seen)
    return seen


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_live_camera_tells_size_rate_codec_and_how_long_it_took(server: RtspServer, transport: str) -> None:
    seen = look(server.url("cam"), transport=transport)
    assert (seen.problem, seen.width, seen.height, seen.codec, seen.fps) == (None, 320, 240, "h264", 25)
    assert seen.duration_s is None and seen.first_frame_s is not None and seen.first_frame_s < 5


def test_a_password_of_any_characters_is_taken_from_the_environment(
    server: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAM_USER", "me")
    monkeypatch.setenv("CAM_PASSWORD", PASSWORD)
    url = f"rtsp://127.0.0.1:{server.port}/cam"
    assert look(url, username_env="CAM_USER", password_env="CAM_PASSWORD").problem is None


def test_a_wrong_password_is_named(server: RtspServer) -> None:
    assert "401: wrong user name or password" in str(look(server.url("cam").replace("me:", "me:x")).problem)
    assert "401: wrong" in str(look(f"rtsp://127.0.0.1:{server.port}/cam").problem)


def test_a_wrong_path_is_named(clip: Path) -> None:
    with RtspServer({"cam": clip}) as server:
        assert "404: the camera has no stream at this path" in str(look(server.url("cum")).problem)


def test_a_missing_variable_is_named() -> None:
    assert look("rtsp://127.0.0.1/cam", password_env="NOT_SET").problem == (
        "camera cam: NOT_SET is not set, here or in the secrets file"
    )


def test_a_closed_port_is_named() -> None:
    assert "connection refused" in str(look(f"rtsp://127.0.0.1:{free_port()}/cam").problem)


def test_an_unknown_host_is_named() -> None:
    assert "host name is not known" in str(look("rtsp://no-such-host.invalid/cam").problem)


def test_a_silent_camera_is_named(server: RtspServer) -> None:
    with TcpRelay(server.port) as relay:
        relay.fault = "hold"
        assert "takes connections but says nothing" in str(look(relay.url("cam")).problem)


def test_what_does_not_speak_rtsp_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=greet_twice, args=(listener,), daemon=True).start()
        problem = look(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/cam").problem
    assert "does not speak RTSP (it speaks SSH)" in str(problem)


def greet_twice(listener: socket.socket) -> None:
    """Two connections get an SSH server's first words."""
    for _ in range(2):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.recv(1)


def test_a_camera_that_is_silent_does_not_delay_the_others(server: RtspServer) -> None:
    with TcpRelay(server.port) as relay:
        relay.fault = "hold"
        silent = [CameraConfig(name=f"s{i}", source=relay.url("cam")) for i in range(4)]
        good = CameraConfig(name="good", source=server.url("cam"))
        seen = check_cameras([*silent, good], live=msgspec.structs.replace(LIVE, connect_s=1.5))
    assert [bool(check.problem) for check in seen] == [True] * 4 + [False]
    assert seen[-1].first_frame_s is not None and seen[-1].first_frame_s < 3

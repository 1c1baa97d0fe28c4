"""A live camera is probed once, and what is wrong with it is said in words that hold no password."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cameras.check import CameraCheck, check_cameras
from pipeline.cameras.live.connection import NVIDIA
from pipeline.config import CameraConfig, LiveConfig
from tests.rtsp.relay import TcpRelay
from tests.rtsp.server import Login, RtspServer, free_port, missing_packages
from tests.rtsp.tls import TlsRelay, certify
from tests.video_files import moving_scene, write_clip

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(missing_packages() is not None, reason=str(missing_packages())),
]

LIVE = LiveConfig(connect_s=3, stall_s=3)
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
    assert seen.duration_s is None and seen.first_frame_s is not None


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


def test_a_camera_with_tls_must_have_a_certificate_that_is_trusted(
    server: RtspServer, tmp_path: Path
) -> None:
    own, password = (
        certify(tmp_path / "camera.pem"),
        {"username_env": "CAM_USER", "password_env": "CAM_PASSWORD"},
    )
    with pytest.MonkeyPatch.context() as patch, TlsRelay(server.port, own) as relay:
        patch.setenv("CAM_USER", "me")
        patch.setenv("CAM_PASSWORD", PASSWORD)
        assert "not trusted (self-signed certificate)" in str(look(relay.url("cam"), **password).problem)
        for trust in ({"tls_ca": str(own)}, {"tls_verify": False}):
            seen = look(relay.url("cam"), **password, **trust)
            assert (seen.problem, seen.codec) == (None, "h264")


def test_a_certificate_must_be_the_cameras_own(server: RtspServer, tmp_path: Path) -> None:
    others = certify(tmp_path / "other.pem", address="192.0.2.7")
    with TlsRelay(server.port, others) as relay:
        assert "not valid for '127.0.0.1'" in str(look(relay.url("cam"), tls_ca=str(others)).problem)


def test_what_is_wrong_with_tls_is_named(server: RtspServer, tmp_path: Path) -> None:
    url = f"rtsps://127.0.0.1:{server.port}/cam"
    assert "does not speak TLS" in str(look(url).problem)
    assert "no file of trusted certificates" in str(look(url, tls_ca=str(tmp_path / "none.pem")).problem)
    (tmp_path / "text.pem").write_text("none")
    assert "not a file of certificates" in str(look(url, tls_ca=str(tmp_path / "text.pem")).problem)


def test_a_device_that_is_not_there_is_named() -> None:
    assert look("/dev/video99").problem == "there is no such device or file"


@pytest.mark.skipif(NVIDIA.exists(), reason="there is one")
def test_a_decoder_that_is_not_there_is_named(server: RtspServer) -> None:
    assert "decode: cuda does not work here" in str(look(server.url("cam"), decode="cuda").problem)
    assert look(server.url("cam"), decode="auto").problem is None


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
        began = time.monotonic()
        seen = check_cameras([*silent, good], live=LIVE)
        assert time.monotonic() - began < 4 * LIVE.connect_s, "one after the other would take longer"
    assert [bool(check.problem) for check in seen] == [True] * 4 + [False]

"""The relays do what their faults say, and the server what its commands say: the live tests rest on it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import pytest

from tests.rtsp.relay import TcpRelay, UdpRelay
from tests.rtsp.server import RtspServer, missing_packages
from tests.video_files import moving_scene, write_clip

pytestmark = pytest.mark.alone
LIMITS = {"timeout": "1000000", "analyzeduration": "100000"}


@pytest.fixture
def relay() -> Iterator[TcpRelay]:
    """A relay before a server that sends everything back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        with TcpRelay(listener.getsockname()[1]) as relay:
            yield relay


def echo(listener: socket.socket) -> None:
    """Serve one client after the other."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, suppress(ConnectionError):
            while data := client.recv(100):
                client.sendall(data)


def test_a_held_connection_goes_on_where_it_stood(relay: TcpRelay) -> None:
    with socket.create_connection(("127.0.0.1", relay.port), 0.3) as client:
        client.sendall(b"one")
        assert client.recv(3) == b"one"
        relay.fault = "hold"
        client.sendall(b"two")
        with pytest.raises(TimeoutError):
            client.recv(3)
        relay.fault = "none"
        assert client.recv(3) == b"two"


def test_garbage_has_the_length_of_what_was_said(relay: TcpRelay) -> None:
    relay.fault = "garbage"
    with socket.create_connection(("127.0.0.1", relay.port), 2) as client:
        client.sendall(b"word")
        answer = client.recv(10)
    assert len(answer) == 4 and answer != b"word"


def test_a_cut_connection_is_reset_and_a_refusing_relay_refuses(relay: TcpRelay) -> None:
    with socket.create_connection(("127.0.0.1", relay.port), 2) as client:
        client.sendall(b"word")
        client.recv(4)
        relay.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(4)
    relay.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", relay.port), 2)
    relay.accept()
    socket.create_connection(("127.0.0.1", relay.port), 2).close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = [moving_scene(i, 320, 240) for i in range(50)]
    return write_clip(tmp_path_factory.mktemp("clips") / "cam.mp4", images, fps=25)


@pytest.mark.skipif(missing_packages() is not None, reason=str(missing_packages()))
def test_a_lossy_relay_loses_datagrams_and_the_stream_goes_on(clip: Path) -> None:
    with RtspServer({"cam": clip}) as server, UdpRelay(server.port, loss=0.1) as relay:
        assert len(widths(relay.url("cam"), 30, transport="udp")) == 30
        assert relay.lost > 0


@pytest.mark.skipif(missing_packages() is not None, reason=str(missing_packages()))
def test_a_swapped_clip_appears_in_the_running_session(clip: Path, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "wide.mp4", [moving_scene(i, 480, 240) for i in range(50)], fps=25)
    with RtspServer({"cam": clip}) as server:
        seen: list[int] = []
        with av.open(server.url("cam"), options={"rtsp_transport": "tcp", **LIMITS}, timeout=5) as camera:
            for frame in camera.decode(video=0):
                if not seen:
                    server.swap("cam", other)
                seen.append(frame.width)
                if frame.width == 480:
                    break
        assert len(seen) < 50 and server.sent("cam") >= len(seen)


def widths(url: str, frames: int, *, transport: str) -> list[int]:
    """The width of each of a camera's next frames."""
    with av.open(url, options={"rtsp_transport": transport, **LIMITS}, timeout=5) as camera:
        return [frame.width for frame, _ in zip(camera.decode(video=0), range(frames), strict=False)]

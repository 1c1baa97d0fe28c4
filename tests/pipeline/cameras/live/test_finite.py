"""Addresses that end: films and pictures over HTTP, from a real server."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import pytest

from pipeline.cameras.check import check_cameras
from pipeline.cameras.live.connection import Connection, EndsError
from pipeline.cameras.live.finite import patient
from pipeline.config import CameraConfig, ConfigError, LiveConfig, parse_config
from tests.video_files import LEVEL_STEP, counting_clip, picture, write_pictures

LIVE = LiveConfig(connect_s=3, stall_s=3)


class Files(SimpleHTTPRequestHandler):
    """Serves a folder; says nothing."""

    def log_message(self, *_: object) -> None:
        return None


class Snapshot(Files):
    """A camera that gives another picture each time."""

    shown = itertools.count()

    def do_GET(self) -> None:
        _, jpeg = cv2.imencode(".jpg", picture(next(self.shown))[:, :, ::-1])
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(jpeg)))
        self.end_headers()
        self.wfile.write(jpeg.tobytes())


@contextmanager
def served(handler: type[Files], folder: Path) -> Iterator[str]:
    """The address of a server on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts", "film.avi", "film.flv"])
def test_a_film_is_refused_in_words(tmp_path: Path, name: str) -> None:
    counting_clip(tmp_path / name, 20)
    with served(Files, tmp_path) as address:
        (seen,) = check_cameras([CameraConfig(name="gate", source=f"{address}/{name}")], live=LIVE)
    assert seen.problem is not None and "holds a film" in seen.problem and "127.0.0.1" not in seen.problem


def test_a_playlist_that_ends_is_a_film(tmp_path: Path) -> None:
    film = counting_clip(tmp_path / "film.ts", 40)
    with av.open(str(film)) as source, av.open(str(tmp_path / "list.m3u8"), "w", format="hls") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with served(Files, tmp_path) as address:
        (seen,) = check_cameras([CameraConfig(name="gate", source=f"{address}/list.m3u8")], live=LIVE)
    assert "plays a film that ends" in str(seen.problem)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_is_refused_with_what_to_do(tmp_path: Path, suffix: str) -> None:
    write_pictures(tmp_path, [picture(0)], suffix=suffix)
    with served(Files, tmp_path) as address:
        camera = CameraConfig(name="gate", source=f"{address}/1{suffix}")
        with pytest.raises(EndsError, match=r"gives one picture, not a stream: `poll_s: 1` fetches it"):
            Connection(camera, camera.source, LIVE)


def test_a_picture_is_fetched_again_and_again(tmp_path: Path) -> None:
    with served(Snapshot, tmp_path) as address:
        camera = CameraConfig(name="gate", source=f"{address}/now.jpg", poll_s=0.2)
        with Connection(camera, camera.source, LIVE) as connection:
            assert connection.fps == 5
            levels, stamps = [], []
            for packet in itertools.islice(connection, 4):
                for frame in connection.decode(packet) or ():
                    levels.append(
                        round((float(connection.picture(frame)[-9:, -9:].mean()) - 40) / LEVEL_STEP)
                    )
                    stamps.append(frame.pts * frame.time_base)
    assert levels == sorted(set(levels)) and len(levels) == 4
    assert all(0.1 < b - a < 1.5 for a, b in itertools.pairwise(stamps))


def test_a_stream_is_not_polled(tmp_path: Path) -> None:
    counting_clip(tmp_path / "film.mp4", 5)
    with served(Files, tmp_path) as address:
        camera = CameraConfig(name="gate", source=f"{address}/film.mp4", poll_s=1)
        with pytest.raises(EndsError, match="leave out `poll_s`"):
            Connection(camera, camera.source, LIVE)


def test_only_an_address_is_polled() -> None:
    with pytest.raises(ConfigError, match=r"cameras.gate.poll_s: is for an http:// or https:// address"):
        parse_config({"cameras": [{"name": "gate", "source": "gate.mp4", "poll_s": 1}]})


def test_a_picture_every_minute_is_no_loss() -> None:
    slow = patient(LIVE, CameraConfig(name="gate", source="http://10.0.0.1/now.jpg", poll_s=60))
    assert slow.stall_s == 180 and slow.frozen_s == 540 and slow.bridge_s == 180
    assert patient(LIVE, CameraConfig(name="gate", source="rtsp://10.0.0.1/1")) == LIVE


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.ffconcat", "ffconcat version 1.0\nfile film.mp4\n"),
        (
            "list.sdp",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        ),
        ("list.mpd", '<?xml version="1.0"?><MPD><Period><BaseURL>film.mp4</BaseURL></Period></MPD>'),
    ],
)
def test_an_address_never_makes_the_program_read_what_it_lists(tmp_path: Path, name: str, text: str) -> None:
    counting_clip(tmp_path / "film.mp4", 5)
    (tmp_path / name).write_text(text)
    with served(Files, tmp_path) as address:
        (seen,) = check_cameras([CameraConfig(name="gate", source=f"{address}/{name}")], live=LIVE)
    assert seen.problem == "what came is not a video stream"

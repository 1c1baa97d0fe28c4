"""A real HTTP camera for tests: JPEG after JPEG as multipart/x-mixed-replace, in real time, over and over."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import Self

import cv2

from pipeline.cameras.recordings import open_source
from pipeline.config import CameraConfig
from tests.rtsp.server import Login

BOUNDARY = "picture"


class MjpegServer:
    """A camera at http://127.0.0.1:port/video.

    Args:
        video: what it shows.
        login: None: everybody may watch.
    """

    def __init__(self, video: Path, *, login: Login | None = None) -> None:
        with open_source(CameraConfig(name="video", source=str(video))) as source:
            self.period_s = 1 / source.info.fps
            self.pictures = [jpeg(frame.image) for frame in source]
        self.login = login and base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.port = self.http.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/video"

    def parts(self) -> Iterator[bytes]:
        """Every picture when it is due."""
        due_s = time.monotonic()
        for picture in cycle(self.pictures):
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            yield head.encode() + picture + b"\r\n"
            due_s += self.period_s
            time.sleep(max(0.0, due_s - time.monotonic()))

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers a request."""
        camera = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != "/video":
                    return self.send_error(404)
                if camera.login and self.headers["Authorization"] != f"Basic {camera.login}":
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    return self.end_headers()
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
                self.end_headers()
                try:
                    for part in camera.parts():
                        self.wfile.write(part)
                except OSError:  # nobody watches any more
                    return None

            def log_message(self, *_: object) -> None:
                return None

        return Answer


def jpeg(image: object) -> bytes:
    """An RGB picture as the camera sends it."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))  # type: ignore[call-overload]
    return bytes(encoded)

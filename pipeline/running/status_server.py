"""Serves a live run's status on the loopback interface: /health as JSON, /metrics for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import get_args

import msgspec

from pipeline.config import ConfigError
from pipeline.messages import CameraHealth, CameraState
from pipeline.running.status import CameraStatus, Status

LOOPBACK = "127.0.0.1"
LOCAL_NAMES = ("127.0.0.1", "localhost")
"""Hosts that a request may name: a web page that resolves its own name to us gets nothing."""
TEXT = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_S = 5.0
"""A client that says nothing for so long is dropped."""


class PortTakenError(ConfigError, kind="busy"):
    """The status port cannot be listened on."""


@contextmanager
def serve_status(status: Callable[[], Status], port: int | None) -> Iterator[int | None]:
    """Serve `status` while the context lasts; gives the port, or None where none is wanted.

    Args:
        status: asked for each request.
        port: 0: any free one; None: nothing is served.

    Raises:
        PortTakenError: the port is taken or not permitted.
    """
    if port is None:
        yield None
        return
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), handler_of(status))
    except OSError as error:
        raise PortTakenError(f"status.port {port}: {(error.strerror or str(error)).lower()}") from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def handler_of(status: Callable[[], Status]) -> type[BaseHTTPRequestHandler]:
    """What answers a request."""

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_S

        def do_GET(self) -> None:
            if (self.headers.get("Host") or "").rpartition(":")[0] not in LOCAL_NAMES:
                self.send_error(403)
            elif self.path == "/health":
                self.reply("application/json", health_json(status()))
            elif self.path == "/metrics":
                self.reply(TEXT, metrics_text(status()).encode())
            else:
                self.send_error(404)

        def reply(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Requests are not logged."""

    return Handler


def health_json(status: Status) -> bytes:
    """'ok' where every camera is live, else 'degraded', and everything that is known."""
    live = all(camera.health.state == "live" for camera in status.cameras)
    return msgspec.json.encode({"status": "ok" if live else "degraded", **msgspec.to_builtins(status)})


def metrics_text(status: Status) -> str:
    """The status in Prometheus' text format."""
    rows = [line for name, help, kind, of in METRICS for line in family(name, help, kind, of, status)]
    return "\n".join(rows) + "\n"


Samples = Iterator[tuple[dict[str, str], float | None]]


def family(
    name: str, help: str, kind: str, of: Callable[[CameraStatus, Status], Samples], status: Status
) -> Iterator[str]:
    """The lines of one metric."""
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} {kind}"
    for camera in status.cameras:
        for labels, value in of(camera, status):
            if value is not None:
                named = {"camera": camera.health.camera, **labels}
                inner = ",".join(f'{key}="{escaped(text)}"' for key, text in named.items())
                yield f"{name}{{{inner}}} {value:.15g}"


def escaped(text: str) -> str:
    """A label's value as the format wants it."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def field(name: str) -> Callable[[CameraStatus, Status], Samples]:
    """A number of the camera's health by its name."""

    def samples(camera: CameraStatus, _: Status) -> Samples:
        yield {}, getattr(camera.health, name)

    return samples


def states(camera: CameraStatus, _: Status) -> Samples:
    """1 for the state the camera is in, 0 for each other."""
    for state in get_args(CameraState):
        yield {"state": state}, float(camera.health.state == state)


def drops(camera: CameraStatus, _: Status) -> Samples:
    """Frames not detected, by stage and reason."""
    for where, count in camera.health.dropped.items():
        stage, reason = where.split(":", 1)
        yield {"stage": stage, "reason": reason}, count


def latencies(camera: CameraStatus, _: Status) -> Samples:
    """The two quantiles."""
    health: CameraHealth = camera.health
    yield {"quantile": "0.5"}, health.latency_p50_s
    yield {"quantile": "0.95"}, health.latency_p95_s


def report_age(camera: CameraStatus, status: Status) -> Samples:
    """Since the camera's worker was heard of."""
    yield {}, (status.written_ns - camera.heard_ns) / 1e9


METRICS = (
    ("fpr_camera_state", "1 for the state a camera is in.", "gauge", states),
    ("fpr_camera_frames_in_total", "Frames that arrived.", "counter", field("frames_in")),
    ("fpr_camera_frames_detected_total", "Frames searched for people.", "counter", field("frames_detected")),
    ("fpr_camera_frames_dropped_total", "Frames not searched, by stage and reason.", "counter", drops),
    ("fpr_camera_fps_in", "Frames a second that arrive.", "gauge", field("fps_in")),
    ("fpr_camera_fps_detected", "Frames a second that are searched.", "gauge", field("fps_detected")),
    ("fpr_camera_latency_seconds", "From arrival to the end of tracking.", "gauge", latencies),
    (
        "fpr_camera_reconnects_total",
        "Times the camera was connected to again.",
        "counter",
        field("reconnects"),
    ),
    ("fpr_camera_clock_offset_seconds", "Its clock minus ours.", "gauge", field("clock_offset_s")),
    ("fpr_camera_clock_uncertainty_seconds", "Of that offset.", "gauge", field("clock_uncertainty_s")),
    ("fpr_camera_report_age_seconds", "Since its worker was heard of.", "gauge", report_age),
)
"""Name, help, type and samples of every metric."""

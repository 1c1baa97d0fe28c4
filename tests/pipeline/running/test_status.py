"""A live run tells how it is: to `status`, to Prometheus, and without anybody's password."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from pipeline.cameras.live.health import HealthMeter
from pipeline.cli.status_table import show_status
from pipeline.messages import CameraHealth, Progress
from pipeline.running.run import Tally, tell
from pipeline.running.status import StatusBoard, StatusError, read_status, status_path
from pipeline.running.status_server import PortTakenError, metrics_text, serve_status
from pipeline.store.database import now_ns

HALL = CameraHealth("hall", 1, "live", 5, frames_in=20, dropped={"decode:newer": 3}, latency_p95_s=0.25)


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_ns(self) -> int:
        return round(self.now_s * 1e9)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[StatusBoard]:
    with StatusBoard(str(tmp_path / "out.db")) as board:
        yield board


def test_a_reader_sees_what_the_supervisor_was_told(board: StatusBoard, tmp_path: Path) -> None:
    board.processes = {"match": 12}
    board.update(HALL)
    status = read_status(str(tmp_path / "out.db"))
    assert [camera.health for camera in status.cameras] == [HALL] and status.processes == {"match": 12}
    assert list(tmp_path.iterdir()) == [tmp_path / "out.db.status.json"]
    assert board.path.stat().st_mode & 0o777 == 0o600


def test_crops_that_another_worker_left_out_stand_beside_what_the_camera_dropped(board: StatusBoard) -> None:
    tell((Tally(),), board, Progress("reid", 0, 9, None, 0, {}, {1: 4, 2: 7}))
    board.update(HALL)
    (camera,) = board.status().cameras
    assert camera.health.dropped == {"decode:newer": 3, "embed:crops": 4}


def test_the_file_is_written_once_a_second(tmp_path: Path) -> None:
    clock = Clock()
    board = StatusBoard(str(tmp_path / "out.db"), clock=clock.utc_ns)
    written = []
    for _ in range(30):
        board.update(HALL)
        written.append(read_status(str(tmp_path / "out.db")).written_ns)
        clock.now_s += 0.1
    assert len(set(written)) == 3


def test_there_is_no_status_after_the_run(tmp_path: Path) -> None:
    with StatusBoard(str(tmp_path / "out.db")) as board:
        board.update(HALL)
    with pytest.raises(StatusError, match="no live run goes on"):
        read_status(str(tmp_path / "out.db"))


def test_a_broken_status_file_is_one_clear_line(tmp_path: Path) -> None:
    status_path(str(tmp_path / "out.db")).write_text("{")
    with pytest.raises(StatusError, match="not a status file"):
        read_status(str(tmp_path / "out.db"))


def test_a_password_in_an_error_is_not_passed_on(board: StatusBoard) -> None:
    board.update(msgspec.structs.replace(HALL, last_error="cannot open rtsp://me:secret@host/cam"))
    for told in (board.path.read_text(), metrics_text(board.status()), repr(board.status())):
        assert "secret" not in told


def fetch(port: int, path: str, host: str = "localhost") -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": f"{host}:{port}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return str(answer.read().decode())


def test_metrics_and_health_are_served(board: StatusBoard) -> None:
    board.update(HALL)
    with serve_status(board.status, 0) as port:
        assert port is not None
        metrics, health = fetch(port, "/metrics"), json.loads(fetch(port, "/health"))
    assert 'fpr_camera_state{camera="hall",state="live"} 1\n' in metrics
    assert 'fpr_camera_frames_dropped_total{camera="hall",stage="decode",reason="newer"} 3\n' in metrics
    assert 'fpr_camera_latency_seconds{camera="hall",quantile="0.95"} 0.25\n' in metrics
    assert 'quantile="0.5"' not in metrics
    assert health["status"] == "ok" and health["cameras"][0]["health"]["frames_in"] == 20


def test_every_line_of_the_metrics_is_a_sample_or_a_comment(board: StatusBoard) -> None:
    board.update(HALL)
    for line in metrics_text(board.status()).splitlines():
        assert line.startswith(("# HELP fpr_", "# TYPE fpr_")) or float(line.rsplit(" ", 1)[1]) >= 0


def test_one_camera_that_is_not_live_makes_a_run_degraded(board: StatusBoard) -> None:
    board.update(HALL)
    board.update(CameraHealth("door", 2, "reconnecting", 5))
    with serve_status(board.status, 0) as port:
        assert port is not None and json.loads(fetch(port, "/health"))["status"] == "degraded"


@pytest.mark.parametrize(
    ("path", "host", "code"), [("/", "localhost", 404), ("/health", "evil.example", 403)]
)
def test_nothing_else_is_served(board: StatusBoard, path: str, host: str, code: int) -> None:
    with serve_status(board.status, 0) as port, pytest.raises(urllib.error.HTTPError) as refused:
        assert port is not None
        fetch(port, path, host)
    assert refused.value.code == code
    refused.value.close()


def test_a_taken_port_is_one_clear_line(board: StatusBoard) -> None:
    with (
        serve_status(board.status, 0) as port,
        pytest.raises(PortTakenError, match=r"status\.port .*: address already in use"),
        serve_status(board.status, port),
    ):
        pass


def test_the_table_names_each_cameras_trouble(board: StatusBoard, tmp_path: Path) -> None:
    board.update(CameraHealth("door", 2, "reconnecting", now_ns(), reconnects=4, last_error="no answer"))
    board.cameras["yard"] = msgspec.structs.replace(board.cameras["door"], health=HALL, heard_ns=5)
    board.write()
    out = Console(file=io.StringIO(), width=300)
    show_status(str(tmp_path / "out.db"), out)
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert any("door" in line and "reconnecting" in line and "no answer" in line for line in lines)
    assert any("hall" in line and "no report for" in line and "250 ms" in line for line in lines)


def test_rates_and_latencies_are_those_of_the_last_seconds() -> None:
    clock = Clock()
    meter = HealthMeter("hall", 1, monotonic_s=clock.monotonic_s, utc_ns=clock.utc_ns)
    for latency_s in (9.0, *[0.1] * 19, 0.3):
        meter.arrive()
        meter.detect(latency_s)
        clock.now_s += 12 if latency_s == 9 else 0.5
    health = meter.health()
    assert health.frames_in == 21 and health.fps_in == pytest.approx(2, abs=0.1)
    assert health.latency_p50_s == pytest.approx(0.1) and health.latency_p95_s < 0.31  # type: ignore[operator]


def test_a_state_keeps_the_time_it_was_entered() -> None:
    clock = Clock()
    meter = HealthMeter("hall", 1, monotonic_s=clock.monotonic_s, utc_ns=clock.utc_ns)
    meter.enter("reconnecting", "refused")
    clock.now_s += 5
    meter.enter("reconnecting")
    assert meter.health().since_ns == 100_000_000_000 and meter.health().last_error == "refused"
    meter.enter("live")
    assert meter.health().since_ns == 105_000_000_000

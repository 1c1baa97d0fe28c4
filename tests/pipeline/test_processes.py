"""The supervisor says why a worker stopped, and loses no Ctrl-C."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.camera_worker import CameraJob
from pipeline.config import CameraConfig, Config, ReidConfig, WorkersConfig
from pipeline.messages import Message, Notice
from pipeline.processes import WorkerDied, environment, run_processes, signals_left_to_us
from tests.video_files import counting_clip


def test_the_reason_a_worker_gives_is_heard_before_the_run_ends(tmp_path: Path) -> None:
    clip = counting_clip(tmp_path / "hall.mp4", 5)
    camera = CameraConfig(name="hall", source=str(clip), start=datetime(2026, 1, 31, tzinfo=UTC))
    config = Config(workers=WorkersConfig(cameras=1, threads=1), reid=ReidConfig(device="cpu"))
    heard: list[Message] = []
    gone = str(tmp_path / "gone.db")
    with pytest.raises(WorkerDied, match="match worker stopped"):
        run_processes([CameraJob(camera, 1)], config, database=gone, version=1, report=heard.append)
    assert any(isinstance(said, Notice) and "no such database" in said.text for said in heard)


def test_a_worker_has_its_variables_and_we_keep_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    with environment({"OMP_NUM_THREADS": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}):
        assert os.environ["OMP_NUM_THREADS"] == "2" and os.environ["MALLOC_TRIM_THRESHOLD_"] == "131072"
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MALLOC_TRIM_THRESHOLD_" not in os.environ


def test_ctrl_c_while_a_worker_is_being_started_is_not_lost() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), signals_left_to_us():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)

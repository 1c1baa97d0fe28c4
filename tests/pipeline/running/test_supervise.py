"""The supervisor says why a worker stopped, and loses no Ctrl-C."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.config import CameraConfig, Config, ReidConfig, WorkersConfig
from pipeline.messages import Message, Notice, RecordingEnded
from pipeline.running.channels import TRACKLETS, Receiver, open_context
from pipeline.running.engine.local import LocalEngine
from pipeline.running.supervise import (
    Supervised,
    Worker,
    WorkerDied,
    begun,
    ends_untaken,
    replaceable,
    supervise,
    tell_again,
)
from pipeline.running.workers.camera import CameraJob
from pipeline.store.open_store import open_store
from tests.video_files import counting_clip


def test_the_reason_a_worker_gives_is_heard_before_the_run_ends(tmp_path: Path) -> None:
    clip = counting_clip(tmp_path / "hall.mp4", 5)
    camera = CameraConfig(name="hall", source=str(clip), start=datetime(2026, 1, 31, tzinfo=UTC))
    config = Config(workers=WorkersConfig(cameras=1, threads=1), reid=ReidConfig(device="cpu"))
    heard: list[Message] = []
    gone = str(tmp_path / "gone.db")
    with pytest.raises(WorkerDied, match="match worker stopped"):
        supervise(
            [CameraJob(camera, 1)],
            config,
            engine=LocalEngine(),
            database=gone,
            version=1,
            report=heard.append,
        )
    assert any(isinstance(said, Notice) and "no such database" in said.text for said in heard)


@pytest.mark.parametrize(
    ("live", "ready", "holds"), [(True, False, False), (True, True, True), (False, False, True)]
)
def test_only_live_cameras_that_wait_for_the_reid_worker_hold_nothing(
    tmp_path: Path, live: bool, ready: bool, holds: bool
) -> None:
    camera = CameraConfig(name="hall", source="rtsp://127.0.0.1:9/hall" if live else "hall.mp4")
    job = CameraJob(camera, 1)
    run = Supervised(
        Config(), "", 1, LocalEngine(), lambda message: None, 1, (job,), lambda name, process: None
    )
    if ready:
        run.embeds.set()
    assert begun(run) is holds


def test_a_live_run_stopped_while_it_starts_ends_at_once(tmp_path: Path) -> None:
    database = str(tmp_path / "live.db")
    with open_store(database, create=True):
        pass
    job = CameraJob(CameraConfig(name="hall", source="rtsp://127.0.0.1:9/hall"), 1)
    heard: list[Message] = []
    began_s: list[float] = []

    def stop(name: str, process: int) -> None:
        if name.startswith("camera"):
            began_s.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGTERM)

    config = Config(workers=WorkersConfig(cameras=1, threads=1), reid=ReidConfig(device="cpu"))
    whole = supervise(
        [job], config, engine=LocalEngine(), database=database, version=1, report=heard.append, started=stop
    )
    assert not whole and time.monotonic() - began_s[0] < 5
    assert any(isinstance(said, Notice) and "before any camera was connected" in said.text for said in heard)


@pytest.mark.parametrize(
    ("cameras", "exitcode", "stopping", "replaced"),
    [
        (1, -9, False, True),
        (1, -9, True, False),
        (0, -9, False, True),
        (0, -9, True, True),
        (0, 0, True, False),
        (0, 1, True, False),
    ],
)
def test_who_is_killed_while_a_live_run_is_stopped_is_replaced_where_others_still_need_it(
    tmp_path: Path, cameras: int, exitcode: int, stopping: bool, replaced: bool
) -> None:
    jobs = (CameraJob(CameraConfig(name="hall", source="rtsp://127.0.0.1:9/hall"), 1),)
    run = Supervised(
        Config(), "", 1, LocalEngine(), lambda message: None, 1, jobs, lambda name, process: None
    )
    if stopping:
        run.stop.set()
    worker = Worker("reid", SimpleNamespace(exitcode=exitcode), jobs[:cameras])
    assert replaceable(run, worker, worker.started_s + 1) is replaced


def test_an_end_that_died_with_a_worker_is_told_again_and_waited_for() -> None:
    jobs = tuple(CameraJob(CameraConfig(name=f"c{n}", source=f"rtsp://127.0.0.1:9/{n}"), n) for n in (1, 2))
    engine = LocalEngine()
    run = Supervised(Config(), "", 1, engine, lambda message: None, 1, jobs, lambda name, process: None)
    run.ended = {n: RecordingEnded(n, "done", 9, 9) for n in (1, 2)}
    run.unfinished = lambda recordings: {2} & set(recordings)
    with open_context() as context:
        tell_again(run, context)
        tracklets = Receiver(context, engine.link, TRACKLETS)
        assert tracklets.receive(5000) == run.ended[2] and tracklets.receive(100) is None
        tracklets.socket.close(linger=0)
        for sender in run.told:
            sender.socket.close(linger=0)
    engine.close()
    assert ends_untaken(run) == [run.ended[2]]

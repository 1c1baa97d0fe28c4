"""A live run end to end: the people of a recording, soon, whatever dies, and a clean end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.config import CameraConfig, Config, DetectorConfig, LiveConfig, WorkersConfig
from pipeline.demo.scene import Scene
from pipeline.status import Status, status_path
from pipeline.store import open_store
from tests.pipeline.test_run import exported, partition, read
from tests.rtsp.server import RtspServer, missing_packages

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0
rtsp = pytest.mark.skipif(missing_packages() is not None, reason=missing_packages() or "")


class LiveRun:
    """`run_pipeline.py run` in a process of its own."""

    def __init__(self, config: Config, folder: Path) -> None:
        import msgspec

        self.database = folder / "live.db"
        site = folder / "site.yaml"
        site.write_bytes(msgspec.yaml.encode(config))
        command = [
            sys.executable,
            str(ROOT / "run_pipeline.py"),
            "run",
            str(site),
            "--db",
            str(self.database),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def status(self) -> Status | None:
        """What the run says of itself; None before it says anything."""
        import msgspec

        try:
            return msgspec.json.decode(status_path(str(self.database)).read_bytes(), type=Status)
        except FileNotFoundError:
            return None

    def states(self) -> list[str]:
        status = self.status()
        return [camera.health.state for camera in status.cameras] if status else []

    def until(self, satisfied: Callable[[], object]) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + WITHIN_S
        while not satisfied():
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, self.status()
            time.sleep(0.05)

    def stop(self) -> tuple[int, str, float]:
        """Press Ctrl-C; exit code, what was said, and how long the end took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=WITHIN_S)
        return self.process.returncode, said, time.monotonic() - started


@contextmanager
def running(config: Config, folder: Path) -> Iterator[LiveRun]:
    run = LiveRun(config, folder)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.communicate()


def live_config(server: RtspServer, **live: Any) -> Config:
    cameras = tuple(CameraConfig(name=name, source=server.url(name)) for name in server.cameras)
    return Config(cameras=cameras, live=LiveConfig(**live), workers=WorkersConfig(cameras=1, threads=1))


def sightings(database: Path) -> int:
    with open_store(database) as store:
        return len(exported(database)) if store.current_version() else 0


@rtsp
def test_a_stream_gives_the_people_of_its_recording(scene: Scene, tmp_path: Path) -> None:
    fps = 5.0
    recorded = Config(
        cameras=tuple(CameraConfig(name=c.name, source=str(c.video), clock="unknown") for c in scene.cameras),
        detector=DetectorConfig(fps=fps),
        workers=WorkersConfig(cameras=1, threads=1),
    )
    assert read(recorded, tmp_path / "recorded.db").exit_code == 0
    with RtspServer({c.name: c.video for c in scene.cameras}, loop=False) as server:
        config = live_config(server, fps=fps, first_part_s=10.0, backoff_s=30.0)
        import msgspec

        cameras = tuple(msgspec.structs.replace(c, clock="unknown") for c in config.cameras)
        with running(msgspec.structs.replace(config, cameras=cameras), tmp_path) as run:
            run.until(lambda: "live" in run.states())
            run.until(lambda: set(run.states()) == {"reconnecting"})
            status = run.status()
            code, said, _ = run.stop()
    assert code == 0, said
    assert status is not None
    assert not any(sum(camera.health.dropped.values()) for camera in status.cameras), status
    ours, theirs = exported(run.database), exported(tmp_path / "recorded.db")
    assert partition(ours) == partition(theirs)


@rtsp
def test_somebody_is_known_three_seconds_after_being_seen(scene: Scene, tmp_path: Path) -> None:
    with RtspServer({c.name: c.video for c in scene.cameras}) as server:
        with running(live_config(server), tmp_path) as run:
            run.until(lambda: sightings(run.database) if run.database.exists() and run.states() else 0)
            known_ns = time.time_ns()
            code, said, stopping_s = run.stop()
    assert code == 0 and "Traceback" not in said, said
    first_ns = min(box.time_ns for box in exported(run.database))
    assert (known_ns - first_ns) / 1e9 < 3
    assert stopping_s < 10
    with open_store(run.database) as store:
        assert {r.state for r in store.recordings()} == {"done"} if hasattr(store, "recordings") else True


@rtsp
def test_every_worker_may_die_and_people_are_still_known(scene: Scene, tmp_path: Path) -> None:
    camera = scene.cameras[0]
    with RtspServer({camera.name: camera.video}) as server, running(live_config(server), tmp_path) as run:
        run.until(lambda: run.states() == ["live"])
        for name in ("match", "reid", "camera-worker-0"):
            status = run.status()
            assert status is not None
            dead = status.processes[name]
            os.kill(dead, signal.SIGKILL)
            run.until(lambda name=name, dead=dead: run.status().processes[name] != dead)  # type: ignore
            before = sightings(run.database)
            run.until(lambda before=before: sightings(run.database) > before)  # type: ignore
        children = psutil.Process(run.process.pid).children(recursive=True)
        code, said, _ = run.stop()
    assert code == 0, said
    assert said.count("starting it over") == 3
    assert not [child for child in children if child.is_running()]


def test_a_file_replayed_in_real_time_ends_by_itself(scene: Scene, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", "--realtime", "--json"]
    command += [str(scene.cameras[0].video), "--db", str(tmp_path / "out.db")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) and len(exported(tmp_path / "out.db")) > 0

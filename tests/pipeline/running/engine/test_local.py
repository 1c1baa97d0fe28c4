"""Workers as processes of this machine."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.parents import this_process
from pipeline.running.engine.engine import Start
from pipeline.running.engine.local import PREFIX, STOPS, LocalEngine, environment, signals_left_to_us, sweep

ROOT = Path(__file__).parents[4]


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


def test_only_this_user_may_enter_the_folder_of_sockets_and_it_goes_with_the_run() -> None:
    engine = LocalEngine()
    assert stat.S_IMODE(engine.folder.stat().st_mode) == 0o700
    engine.close()
    assert not engine.folder.exists()


def write_when_told(job: bytes, told: Callable[[], bool]) -> None:
    while not told():
        time.sleep(0.01)
    Path(job.decode()).write_text(os.environ["OMP_NUM_THREADS"])


def test_a_worker_has_its_job_its_signals_and_its_threads(tmp_path: Path) -> None:
    engine = LocalEngine()
    told = engine.signal()
    worker = engine.start(Start("w", write_when_told, str(tmp_path / "done").encode(), (told,), threads=3))
    assert worker.exitcode is None and not (tmp_path / "done").exists()
    told.set()
    worker.join(20)
    assert worker.exitcode == 0 and (tmp_path / "done").read_text() == "3"
    engine.close()


SUPERVISOR = """
import sys, time
from tests.pipeline.running.engine.test_local import linger
from pipeline.running.engine.engine import Start
from pipeline.running.engine.local import LocalEngine
if __name__ == "__main__":
    engine = LocalEngine()
    for number in range(2):
        engine.start(Start("w", linger, f"{sys.argv[1]}/{number}".encode(), (), threads=1))
    time.sleep(60)
"""


def linger(job: bytes) -> None:
    Path(job.decode()).write_text(str(os.getpid()))
    time.sleep(60)


def pids(folder: Path) -> list[int]:
    """Processes whose command line or environment names a folder, which only ours do."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"MARK={folder}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("after_s", [0.1, 0.3, 0.6, 1.0, 2.0, 4.0])
def test_workers_end_with_their_supervisor_however_early_it_is_killed(tmp_path: Path, after_s: float) -> None:
    script = tmp_path / "supervisor.py"
    script.write_text(SUPERVISOR)
    variables = os.environ | {"MARK": str(tmp_path), "PYTHONPATH": str(ROOT)}
    supervisor = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=variables, cwd=ROOT)
    time.sleep(after_s)
    supervisor.kill()
    supervisor.wait()
    until_s = time.monotonic() + 10
    while pids(tmp_path) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not pids(tmp_path)


def test_what_dead_runs_left_is_swept_and_what_living_ones_use_is_not(tmp_path: Path) -> None:
    me = this_process()
    dead, living, other = (
        tmp_path / name
        for name in (
            f"{PREFIX}999999-5-abc",
            f"{PREFIX}{me.pid}-{me.started_ticks}-abc",
            f"{PREFIX}notes-of-mine-",
        )
    )
    reused = tmp_path / f"{PREFIX}{me.pid}-1-abc"
    for folder in (dead, living, other, reused):
        folder.mkdir()
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([living, other])


def test_the_next_run_sweeps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"{PREFIX}999999-5-abc").mkdir()
    engine = LocalEngine()
    assert list(tmp_path.iterdir()) == [engine.folder]
    engine.close()


@pytest.mark.parametrize("number", STOPS)
def test_every_way_to_stop_a_run_is_heard(number: signal.Signals) -> None:
    engine, heard = LocalEngine(), []
    with engine.interruptible(lambda: heard.append(number)):
        os.kill(os.getpid(), number)
        time.sleep(0.01)
    engine.close()
    assert heard == [number]

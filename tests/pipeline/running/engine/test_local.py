"""Workers as processes of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.parents import Parent, started_ticks
from pipeline.running.engine.engine import Start
from pipeline.running.engine.local import (
    PREFIX,
    STOPS,
    LocalEngine,
    NoRoomError,
    environment,
    signals_left_to_us,
    sweep,
)
from pipeline.store.open_store import open_store
from pipeline.store.writer_lock import StoreInUseError

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
from pipeline.running.engine.local import (
    PREFIX,
    STOPS,
    LocalEngine,
    NoRoomError,
    environment,
    signals_left_to_us,
    sweep,
)
from pipeline.store.open_store import open_store
from pipeline.store.writer_lock import StoreInUseError
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


def left_behind(folder: Path) -> Path:
    """What a run leaves that is killed: a folder with sockets and the page of its signals."""
    engine = LocalEngine()
    left = folder / f"{PREFIX}dead"
    shutil.copytree(engine.folder, left)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(left / "tracklets"))
    engine.close()
    return left


def test_what_dead_runs_left_is_swept_and_what_living_ones_and_others_use_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left_behind(tmp_path)
    living = LocalEngine()
    mine, link = tmp_path / f"{PREFIX}mine", tmp_path / f"{PREFIX}link"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    link.symlink_to(mine)
    (tmp_path / f"{PREFIX}file").write_text("mine too")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        living.folder.name,
        mine.name,
        link.name,
        f"{PREFIX}file",
    }
    assert (mine / "notes.txt").exists()
    living.close()


def test_something_of_ones_own_in_a_dead_runs_folder_is_kept(tmp_path: Path) -> None:
    left = left_behind(tmp_path)
    (left / "notes.txt").write_text("mine")
    sweep(tmp_path)
    assert (left / "notes.txt").exists()


def test_the_next_run_sweeps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left_behind(tmp_path)
    engine = LocalEngine()
    assert list(tmp_path.iterdir()) == [engine.folder]
    engine.close()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_for_temporary_files_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(NoRoomError, match=r"gone.*TMPDIR"):
        LocalEngine()


def test_signals_leave_nothing_in_shared_memory_even_of_a_run_that_is_killed() -> None:
    before = set(os.listdir("/dev/shm"))
    engine = LocalEngine()
    told = engine.signal()
    told.set()
    assert told.is_set() and not engine.signal().is_set()
    assert not [name for name in set(os.listdir("/dev/shm")) - before if name.startswith("sem.")]
    engine.close()
    assert told.is_set()


def test_a_worker_whose_supervisor_is_dead_ends_before_it_loads_anything(tmp_path: Path) -> None:
    loaded, module = tmp_path / "loaded", "tests.pipeline.running.engine.slow_to_import"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    parent = Parent(dead.pid, started_ticks(dead.pid) or 1)
    dead.wait()
    code = (
        "from pipeline.parents import Parent\n"
        "from pipeline.running.engine.local import Named, serve\n"
        f"serve(Named({module!r}, 'main'), Parent({parent.pid}, {parent.started_ticks}), b'', (), ())"
    )
    variables = os.environ | {"LOADED": str(loaded), "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=variables, check=False).returncode == 1
    assert not loaded.exists()


def hold(job: bytes) -> None:
    Path(job.decode()).write_text(str(os.getpid()))
    time.sleep(60)


def test_a_lock_stays_held_as_long_as_a_worker_lives_that_writes_under_it(tmp_path: Path) -> None:
    database = tmp_path / "out.db"
    engine, store = LocalEngine(), open_store(database, create=True, write=True)
    assert store.lock and store.lock.descriptor is not None
    begun = tmp_path / "begun"
    held = (store.lock.descriptor,)
    worker = engine.start(Start("match", hold, str(begun).encode(), (), threads=1, holds=held))
    while not begun.exists():
        assert worker.exitcode is None
        time.sleep(0.05)
    store.close()
    with pytest.raises(StoreInUseError):
        open_store(database, write=True)
    worker.kill()
    worker.join(10)
    open_store(database, write=True).close()
    engine.close()


def test_a_run_that_ignores_the_end_of_its_terminal_goes_on() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    engine, heard = LocalEngine(), []
    try:
        with engine.interruptible(lambda: heard.append(1)):
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
        assert not heard and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
        engine.close()


@pytest.mark.parametrize("number", STOPS)
def test_every_way_to_stop_a_run_is_heard(number: signal.Signals) -> None:
    engine, heard = LocalEngine(), []
    with engine.interruptible(lambda: heard.append(number)):
        os.kill(os.getpid(), number)
        time.sleep(0.01)
    engine.close()
    assert heard == [number]

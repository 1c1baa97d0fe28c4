"""A run over recordings: nothing is lost, nothing doubled, and how it was scheduled does not show."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import pytest

from pipeline.config import CameraConfig, Config, ConfigError, DetectorConfig, ReidConfig, WorkersConfig
from pipeline.demo.scene import Scene
from pipeline.messages import Level, Message, Notice
from pipeline.queries.export import ExportedBox, boxes, exported_recordings
from pipeline.running import supervise
from pipeline.running.run import RunReport, run
from pipeline.store.cameras import stored_cameras
from pipeline.store.corrections import corrections, merge
from pipeline.store.database_errors import StoreError
from pipeline.store.identity_claims import unlinked_tracklets
from pipeline.store.open_store import open_store
from pipeline.store.tracklets import stored_tracklets
from pipeline.store.versions import current_version, new_version
from pipeline.store.writer_lock import StoreInUseError
from tests.pipeline.running.engine.test_local import pids
from tests.pipeline.running.in_process_engine import InProcessEngine
from tests.video_files import first_frames

ROOT = Path(__file__).parents[3]
HANDS_FULL_S = 5.0
"""In such a time a worker that stands still has been sent something that will be lost with it."""


def config_of(scene: Scene, *, workers: int = 1) -> Config:
    cameras = tuple(CameraConfig(name=c.name, source=str(c.video), start=c.start) for c in scene.cameras)
    return Config(cameras=cameras, workers=WorkersConfig(cameras=workers, threads=1))


@dataclass
class Quiet:
    """Hears what a run says."""

    heard: list[str] = field(default_factory=list)

    def notice(self, level: Level, text: str) -> None:
        self.heard.append(text)

    @contextmanager
    def reading(self, cameras: Mapping[int, str]) -> Iterator[Callable[[Message], None]]:
        yield lambda message: self.heard.append(message.text) if isinstance(message, Notice) else None

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        yield

    @property
    def text(self) -> str:
        return "\n".join(self.heard)


def read(config: Config, database: Path, *, fresh: bool = False, listener: Quiet | None = None) -> RunReport:
    return run(config, str(database), fresh=fresh, command="test", listener=listener or Quiet())


def exported(database: Path) -> list[ExportedBox]:
    """Every exported box, by camera, frame and person."""
    with open_store(database) as store:
        version = current_version(store)
        assert version is not None
        found = [box for r in exported_recordings(store) for box in boxes(store, r, version)]
    return sorted(found, key=lambda box: (box.camera, box.frame, box.x1))


def assert_same(ours: list[ExportedBox], theirs: list[ExportedBox]) -> None:
    """The same people in the same frames, boxes within 0.1 px."""
    assert [(b.camera, b.frame, b.person) for b in ours] == [(b.camera, b.frame, b.person) for b in theirs]
    for name in ("x1", "y1", "x2", "y2"):
        a, b = ([getattr(box, name) for box in found] for found in (ours, theirs))
        np.testing.assert_allclose(a, b, atol=0.1)


@pytest.fixture(scope="module")
def done(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene, read by one camera worker."""
    database = tmp_path_factory.mktemp("done") / "out.db"
    report = read(config_of(scene), database)
    assert report.exit_code == 0
    assert all(
        ended.frames == round(8 * c.fps)
        for c, ended in zip(scene.cameras, report.ended.values(), strict=True)
    )
    return database


def test_two_workers_find_what_one_finds(scene: Scene, done: Path, tmp_path: Path) -> None:
    report = read(config_of(scene, workers=2), tmp_path / "out.db")
    assert report.exit_code == 0
    assert len(exported(done)) > 200
    assert_same(exported(tmp_path / "out.db"), exported(done))


def test_a_finished_recording_is_skipped_under_any_name_of_its_file(
    scene: Scene, done: Path, tmp_path: Path
) -> None:
    database = tmp_path / "out.db"
    shutil.copy(done, database)
    config, before = config_of(scene), exported(database)
    copy = tmp_path / "renamed.mp4"
    shutil.copy(config.cameras[0].source, copy)
    cameras = (msgspec.structs.replace(config.cameras[0], source=str(copy)), config.cameras[1])
    listener = Quiet()
    report = read(msgspec.structs.replace(config, cameras=cameras), database, listener=listener)
    assert report.exit_code == 0 and set(report.skipped) == {c.name for c in cameras}
    assert "in the database already" in listener.text
    assert exported(database) == before


@pytest.mark.parametrize("start", [None, datetime(2026, 1, 31, 9, tzinfo=UTC)])
def test_another_start_of_what_was_read_is_refused_and_nothing_changes(
    scene: Scene, done: Path, tmp_path: Path, start: datetime | None
) -> None:
    database = tmp_path / "out.db"
    shutil.copy(done, database)
    config, before = config_of(scene), exported(database)
    moved = msgspec.structs.replace(config.cameras[0], start=start)
    listener = Quiet()
    report = read(
        msgspec.structs.replace(config, cameras=(moved, config.cameras[1])), database, listener=listener
    )
    assert list(report.failed) == [moved.name] and report.skipped == (config.cameras[1].name,)
    assert report.exit_code != 0
    assert "--fresh reads it again" in listener.text
    assert exported(database) == before
    with open_store(database) as store:
        assert all(camera.clock_known for camera in stored_cameras(store))


def test_reading_again_keeps_what_cannot_be_read_again_and_says_which_corrections_are_void(
    scene: Scene, done: Path, tmp_path: Path
) -> None:
    database, text = tmp_path / "out.db", tmp_path / "text.mp4"
    shutil.copy(done, database)
    text.write_text("this is not a video\n" * 100)
    before = exported(database)
    with open_store(database, write=True) as store:
        merge(store, sorted({box.person for box in before})[:2])
        assert not corrections(store)[0].void
    first, second = config_of(scene).cameras
    cameras = (first, msgspec.structs.replace(second, source=str(text)))
    listener = Quiet()
    config = msgspec.structs.replace(config_of(scene), cameras=cameras)
    report = read(config, database, fresh=True, listener=listener)
    said = listener.text
    assert report.exit_code == 1 and set(report.failed) == {second.name}
    kept = [box for box in exported(database) if box.camera == second.name]
    assert len(kept) == sum(box.camera == second.name for box in before) > 0
    with open_store(database) as store:
        assert corrections(store)[0].void == ("are void" in said)


def test_what_a_stopped_run_left_unlinked_is_linked_though_every_recording_is_finished(
    scene: Scene, done: Path, tmp_path: Path
) -> None:
    database = tmp_path / "out.db"
    shutil.copy(done, database)
    with open_store(database, write=True) as store:
        version = new_version(store, "online")
        assert list(unlinked_tracklets(store, None, version))
    assert read(config_of(scene), database).exit_code == 0
    with open_store(database) as store:
        assert not list(unlinked_tracklets(store, None, current_version(store) or 0))
    assert partition(exported(database)) == partition(exported(done))


@pytest.mark.parametrize(
    "settings",
    [
        {"detector": DetectorConfig(weights="none.onnx")},
        {"detector": DetectorConfig(weights="none.txt")},
        {"reid": ReidConfig(weights="none.safetensors")},
    ],
)
def test_weights_that_are_not_there_are_told_before_anything_is_begun(
    scene: Scene, tmp_path: Path, settings: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match=r"none\."):
        read(msgspec.structs.replace(config_of(scene), **settings), tmp_path / "out.db")
    assert not (tmp_path / "out.db").exists()


def test_a_runtime_of_the_cpu_is_refused_on_a_gpu_before_anything_is_begun(
    scene: Scene, tmp_path: Path
) -> None:
    settings = ReidConfig(device="cuda", runtime="openvino-bf16")
    with pytest.raises(ConfigError, match=r"reid.runtime openvino-bf16 is for a CPU"):
        read(msgspec.structs.replace(config_of(scene), reid=settings), tmp_path / "out.db")
    assert not (tmp_path / "out.db").exists()


def test_a_camera_added_later_gives_the_identities_of_one_run(
    scene: Scene, done: Path, tmp_path: Path
) -> None:
    config, database = config_of(scene), tmp_path / "out.db"
    for camera in reversed(config.cameras):
        assert read(msgspec.structs.replace(config, cameras=(camera,)), database).exit_code == 0
    assert partition(exported(database)) == partition(exported(done))


def partition(found: list[ExportedBox]) -> set[frozenset[tuple[str, int]]]:
    """Who is whom, whatever their numbers: the sets of (camera, first frame of each stay)."""
    people: dict[int, set[tuple[str, int]]] = {}
    for box in found:
        people.setdefault(box.person, set()).add((box.camera, box.frame))
    return {frozenset(stays) for stays in people.values()}


def test_a_bad_source_does_not_stop_the_others(scene: Scene, done: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is not a video\n" * 100)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(scene.cameras[0].video.read_bytes()[:200_000])
    config = config_of(scene)
    extra = [
        CameraConfig(name=name, source=str(source))
        for name, source in {"gone": tmp_path / "gone.mp4", "text": text, "cut": cut}.items()
    ]
    listener = Quiet()
    cameras = (*extra, config.cameras[0])
    report = read(msgspec.structs.replace(config, cameras=cameras), tmp_path / "out.db", listener=listener)
    said = listener.text
    assert report.exit_code == 1
    assert "no such file" in said and "text file" in said
    assert report.ended["text"].state == "failed" and report.ended["cut"].state in ("short", "failed")
    assert report.ended[config.cameras[0].name].state == "done"
    assert "Traceback" not in said
    mine = [box for box in exported(tmp_path / "out.db") if box.camera == config.cameras[0].name]
    assert len(mine) == sum(box.camera == config.cameras[0].name for box in exported(done))


def test_a_camera_worker_that_is_killed_is_started_over_and_nothing_is_doubled(
    scene: Scene, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = []
    start = supervise.start_camera_worker

    def start_and_kill_the_first(run: supervise.Supervised, *args: object, **kwargs: object) -> None:
        start(run, *args, **kwargs)  # type: ignore[arg-type]
        if not killed:
            killed.append(run.workers[-1].process)
            threading.Timer(6, os.kill, (killed[0].pid, signal.SIGKILL)).start()

    monkeypatch.setattr(supervise, "start_camera_worker", start_and_kill_the_first)
    listener = Quiet()
    report = read(config_of(scene), tmp_path / "out.db", listener=listener)
    assert "starting it over" in listener.text
    assert report.exit_code == 0
    assert_same(exported(tmp_path / "out.db"), exported(done))


@pytest.mark.parametrize("name", ["reid", "match"])
def test_a_worker_that_all_share_is_killed_and_the_database_ends_as_if_it_had_not_been(
    scene: Scene, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    killed: list[int] = []
    start = supervise.start_shared

    def start_and_kill_the_first(run: supervise.Supervised, started: str) -> None:
        start(run, started)
        pid = run.workers[-1].process.pid
        if started == name and not killed and pid:
            killed.append(pid)
            threading.Timer(9, os.kill, (pid, signal.SIGKILL)).start()

    monkeypatch.setattr(supervise, "start_shared", start_and_kill_the_first)
    listener = Quiet()
    report = read(config_of(scene), tmp_path / "out.db", listener=listener)
    assert report.exit_code == 0 and "are read again" in listener.text
    assert partition(exported(tmp_path / "out.db")) == partition(
        exported(done)
    )  # numbers that were given before it died may be skipped


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.1, 0.3, 0.6, 1.0, 2.0, 4.0, 8.0])
def test_a_run_that_is_killed_in_its_first_seconds_leaves_nobody_behind(
    scene: Scene, tmp_path: Path, after_s: float
) -> None:
    """Counted from the moment from which it may write."""
    site, database = tmp_path / "site.yaml", tmp_path / "out.db"
    site.write_bytes(msgspec.yaml.encode(config_of(scene)))
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", str(site), "--db", str(database)]
    marked = os.environ | {"MARK": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=marked) as run:
        while not (tmp_path / "out.db.lock").exists():
            assert run.poll() is None
            time.sleep(0.01)
        time.sleep(after_s)
        run.kill()
    killed_s = time.monotonic()
    while pids(tmp_path):
        assert time.monotonic() < killed_s + 10, "5 s where the machine is not busy"
        time.sleep(0.05)
    open_store(database, create=True, write=True).close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reid", "match"])
def test_a_recording_beside_a_live_camera_is_whole_though_a_worker_that_both_share_is_killed(
    scene: Scene, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    replayed, recorded = config_of(scene).cameras
    cameras = (msgspec.structs.replace(replayed, realtime=True), recorded)
    database, killed = tmp_path / "out.db", list[int]()

    def kill_once_some_is_stored(pid: int) -> None:
        while not tracklets_of(database, recorded.name):
            time.sleep(0.05)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(HANDS_FULL_S)
        killed.append(pid)
        os.kill(pid, signal.SIGKILL)

    start = supervise.start_shared

    def start_and_kill_the_first(run: supervise.Supervised, started: str) -> None:
        start(run, started)
        pid = run.workers[-1].process.pid
        if started == name and not killed and pid:
            threading.Thread(target=kill_once_some_is_stored, args=(pid,), daemon=True).start()

    monkeypatch.setattr(supervise, "start_shared", start_and_kill_the_first)
    listener = Quiet()
    both = msgspec.structs.replace(config_of(scene), cameras=cameras)
    assert read(both, database, listener=listener).exit_code == 0
    assert killed and f"the {name} worker stopped" in listener.text
    assert tracklets_of(database, recorded.name) == tracklets_of(done, recorded.name)


def tracklets_of(database: Path, camera: str) -> list[tuple[int, int, int, int, tuple[int, ...]]]:
    """A camera's tracklets: track, part, beginning, end, and the frames of the crops, best first."""
    with open_store(database) as store:
        mine = [tracklet for tracklet in stored_tracklets(store) if tracklet.camera == camera]
    return [
        (t.key.track, t.key.part, t.start_ns, t.end_ns, tuple(crop.frame for crop in t.crops)) for t in mine
    ]


@pytest.mark.parametrize("moment", ["relink", "recluster", "claims"])
def test_who_is_killed_while_everybody_is_compared_leaves_that_to_the_next_run(
    scene: Scene, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def die(*_: object, **__: object) -> None:
        raise SystemExit(9)

    places = {"relink": "pipeline.running.run.relink", "recluster": "pipeline.running.run.recluster"}
    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(places.get(moment, "pipeline.store.identity_claims.insert_rows"), die)
        patched.setattr("pipeline.running.run.end_run", lambda *_: None)  # as after kill -9
        read(config_of(scene), tmp_path / "out.db")
    listener = Quiet()
    report = read(config_of(scene), tmp_path / "out.db", listener=listener)
    assert report.exit_code == 0 and len(report.skipped) == 2
    assert_same(exported(tmp_path / "out.db"), exported(done))


def test_another_engine_gives_the_same_identities_with_the_same_workers(
    scene: Scene, done: Path, tmp_path: Path
) -> None:
    engines: list[InProcessEngine] = []

    def engine() -> InProcessEngine:
        engines.append(InProcessEngine())
        return engines[-1]

    database = tmp_path / "out.db"
    config = config_of(scene)
    report = run(config, str(database), fresh=False, command="test", listener=Quiet(), engine=engine)
    assert report.exit_code == 0
    assert engines[0].started == ["reid", "match", "camera-worker-0"] and not engines[0].folder.exists()
    assert_same(exported(database), exported(done))


def test_ctrl_c_leaves_a_valid_database_and_the_next_run_completes_it(
    scene: Scene, done: Path, tmp_path: Path
) -> None:
    site, database = tmp_path / "site.yaml", tmp_path / "out.db"
    site.write_bytes(msgspec.yaml.encode(config_of(scene)))
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", str(site), "--db", str(database)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        before = list(lines_until(process.stderr, " frames"))
        assert process.poll() is None, f"it ended before it could be interrupted: {before}"
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    exported(database)
    assert read(config_of(scene), database).exit_code == 0
    assert partition(exported(database)) == partition(exported(done))


def lines_until(output: IO[str], words: str) -> Iterator[str]:
    """What a process says, up to the first line with these words."""
    for line in output:
        yield line
        if words in line:
            return


def test_a_database_in_use_by_another_run_is_refused(scene: Scene, done: Path) -> None:
    site = done.parent / "site.yaml"
    site.write_bytes(msgspec.yaml.encode(config_of(scene)))
    with open_store(done, write=True):
        command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", str(site), "--db", str(done)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "in use" in result.stderr and "Traceback" not in result.stderr


def test_nobody_else_can_write_from_the_first_moment_of_a_run_to_its_last(
    scene: Scene, tmp_path: Path
) -> None:
    site, database = tmp_path / "site.yaml", tmp_path / "out.db"
    site.write_bytes(msgspec.yaml.encode(config_of(scene)))
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", str(site), "--db", str(database)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lock = tmp_path / "out.db.lock"
    while not (lock.is_file() and lock.read_text().startswith(f"{process.pid}\n")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    refused: list[bool] = []
    while process.poll() is None:
        time.sleep(0.1)
        try:
            open_store(database, write=True).close()
        except StoreInUseError:
            refused.append(True)
        except StoreError:
            continue
        else:
            refused.append(False)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert refused.count(True) > 20
    assert True not in refused[refused.index(False) if False in refused else len(refused) :]


def test_one_worker_and_three_find_the_same_in_three_real_cameras(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "data/videos/nlpr_indoor"
    videos = [first_frames(source / f"{c}.mp4", tmp_path / f"{c}.mp4", 250) for c in ("cam1", "cam3", "cam4")]
    cameras = tuple(CameraConfig(name=video.stem, source=str(video)) for video in videos)
    found = []
    for workers in (1, 3):
        config = Config(cameras=cameras, workers=WorkersConfig(cameras=workers, threads=1))
        database = tmp_path / f"{workers}.db"
        assert read(config, database).exit_code == 0
        found.append(exported(database))
    assert len(found[0]) > 200
    assert_same(*found)


@pytest.mark.gpu
def test_the_gpu_finds_the_identities_that_the_cpu_finds(scene: Scene, done: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    config = msgspec.structs.replace(
        config_of(scene), detector=DetectorConfig(device="cuda"), reid=ReidConfig(device="cuda")
    )
    assert read(config, tmp_path / "out.db").exit_code == 0
    assert journeys(exported(tmp_path / "out.db")) == journeys(exported(done))


def journeys(found: list[ExportedBox]) -> list[tuple[str, ...]]:
    """The cameras each person was seen in; half precision may move a box by a pixel and a frame."""
    people: dict[int, set[str]] = {}
    for box in found:
        people.setdefault(box.person, set()).add(box.camera)
    return sorted(tuple(sorted(cameras)) for cameras in people.values())

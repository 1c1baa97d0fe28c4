"""A live run end to end: the people of a recording, soon, whatever dies, and a clean end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from pipeline.cameras.live.health import CameraHealth
from pipeline.cameras.recordings import open_source
from pipeline.config import CameraConfig, Config, DetectorConfig, LiveConfig, TrackletConfig, WorkersConfig
from pipeline.demo.scene import Scene
from pipeline.linking.look_back import EVERY_NS
from pipeline.linking.recluster import recluster
from pipeline.queries.export import ExportedBox
from pipeline.queries.recordings import RecordingSummary, recordings
from pipeline.running.status import Status, status_path
from pipeline.store.database_errors import StoreError
from pipeline.store.identity_claims import load_gallery
from pipeline.store.open_store import open_store
from pipeline.store.tracklets import stored_tracklets
from pipeline.store.versions import current_version
from tests.pipeline.running.test_run import exported, partition, read
from tests.rtsp.server import RtspServer, missing_packages
from tests.video_files import first_frames

ROOT = Path(__file__).parents[3]
WITHIN_S = 240.0
SMALL = DetectorConfig(size_px=320)
"""So that a busy test machine can hold the rate."""
pytestmark = pytest.mark.alone
rtsp = pytest.mark.skipif(missing_packages() is not None, reason=missing_packages() or "")


class LiveRun:
    """`run_pipeline.py run` in a process of its own."""

    def __init__(self, config: Config, folder: Path) -> None:
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
        try:
            return msgspec.json.decode(status_path(str(self.database)).read_bytes(), type=Status)
        except FileNotFoundError:
            return None

    def healths(self) -> list[CameraHealth]:
        status = self.status()
        return [camera.health for camera in status.cameras] if status else []

    def states(self) -> list[str]:
        return [health.state for health in self.healths()]

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


def live_config(server: RtspServer, detector: DetectorConfig, **live: Any) -> Config:
    cameras = tuple(CameraConfig(name=name, source=server.url(name)) for name in server.cameras)
    return Config(
        cameras=cameras,
        detector=detector,
        live=LiveConfig(**live),
        workers=WorkersConfig(cameras=2, threads=1),
    )


def known(database: Path) -> int:
    """Boxes of people that `query` and `export` would show by now."""
    try:
        with open_store(database) as store:
            return len(exported(database)) if current_version(store) else 0
    except StoreError:
        return 0


def watched(videos: dict[str, Path], detector: DetectorConfig, folder: Path) -> Path:
    """The database of a live run on these files, each served over RTSP from its first frame to its last.

    Nobody's picture counts as lost before the end, however slow the machine is: `bridge_s` is far longer.
    """
    with RtspServer(videos, loop=False) as server:
        config = live_config(server, detector, fps=5, first_part_s=10, bridge_s=WITHIN_S)
        unknown = tuple(msgspec.structs.replace(c, clock="unknown") for c in config.cameras)
        with running(msgspec.structs.replace(config, cameras=unknown), folder) as run:
            run.until(lambda: all(map(over, run.healths())) and len(run.healths()) == len(videos))
            code, said, _ = run.stop()
    assert code == 0, said
    return run.database


def over(health: CameraHealth) -> bool:
    """Whether a camera has sent something and is gone."""
    return health.frames_in > 0 and health.state == "reconnecting"


def skip_where_short(database: Path, videos: dict[str, Path]) -> None:
    """Completeness is promised where the machine can hold the rate; what is missing elsewhere was counted."""
    with open_store(database) as store:
        found = {summary.camera: summary for summary in recordings(store)}
    missing = {name: frames_of(video) - (found[name].frames or 0) for name, video in videos.items()}
    counted = {name: f"{missing[name]} missing, {one.message}" for name, one in found.items() if lossy(one)}
    assert not any(missing[name] for name in videos.keys() - counted.keys()), missing
    if counted:
        pytest.skip(f"the machine was too busy: {counted}")


def lossy(summary: RecordingSummary) -> bool:
    """Whether a live recording tells of frames that were dropped, or of a camera that was lost."""
    return re.search(r"\w:\w|reconnects", summary.message) is not None


def frames_of(video: Path) -> int:
    with open_source(CameraConfig(name="video", source=str(video))) as source:
        return sum(1 for _ in source)


def assert_same_people(videos: dict[str, Path], detector: DetectorConfig, folder: Path) -> None:
    """Files over RTSP and the same files as recordings give the same people in the same stays.

    Who is who is asked of both in the same way: what was said first, on the way, then all at once. What was
    said in the end on the way may differ: time goes on after a stream, and brings a last look back.
    """
    live = watched(videos, detector, folder)
    skip_where_short(live, videos)
    ours = exported(live)
    cameras = tuple(
        CameraConfig(name=n, source=str(v), start=began(n, v, ours), clock="unknown")
        for n, v in videos.items()
    )
    five = msgspec.structs.replace(detector, fps=5)
    tracklets = TrackletConfig(crops=LiveConfig().crops)
    workers = WorkersConfig(cameras=1, threads=1)
    recorded = Config(cameras=cameras, detector=five, tracklets=tracklets, workers=workers)
    assert read(recorded, folder / "recorded.db").exit_code == 0
    with open_store(live, write=True) as store:
        recluster(store, recorded.matcher)
    ours, theirs = exported(live), exported(folder / "recorded.db")
    assert len(theirs) > 50 and partition(ours) == partition(theirs)
    first_live, first_recorded = first_answers(live), first_answers(folder / "recorded.db")
    if [name for name, _ in first_live] == [name for name, _ in first_recorded]:
        assert first_live == first_recorded


def first_answers(database: Path) -> list[tuple[tuple[str, int, int, int], int]]:
    """Every tracklet in the order of linking, with the look back it came before, and who it was said to be.

    A stream's clock is found on the way, within some hundredths of a second: rarely that puts a tracklet on
    the other side of a look, and then other answers are right.
    """
    with open_store(database) as store:
        linked = [(known.tracklet, known.sighting) for known in load_gallery(store, 1)]
    before = linked[0][0].due_ns // EVERY_NS
    return [
        (
            (t.camera, t.key.track, t.key.part, t.due_ns // EVERY_NS - before),
            (said.evidence or {}).get("first", said.identity),
        )
        for t, said in linked
    ]


def began(camera: str, video: Path, boxes: list[ExportedBox]) -> datetime:
    """When the first frame of a camera's video was shown."""
    with open_source(CameraConfig(name=camera, source=str(video))) as source:
        period_ns = 1e9 / source.info.fps
    start_ns = min(box.time_ns - box.frame * period_ns for box in boxes if box.camera == camera)
    return datetime.fromtimestamp(start_ns // 1000 / 1e6, UTC)


@rtsp
def test_a_stream_gives_the_people_of_its_recording(scene: Scene, tmp_path: Path) -> None:
    assert_same_people({c.name: c.video for c in scene.cameras}, SMALL, tmp_path)


@rtsp
@pytest.mark.slow
def test_streams_of_real_cameras_give_the_people_of_their_recordings(
    shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "data/videos/nlpr_indoor"
    names = ("cam1", "cam3", "cam4")
    videos = {n: first_frames(source / f"{n}.mp4", tmp_path / f"{n}.mp4", 1000) for n in names}
    assert_same_people(videos, DetectorConfig(), tmp_path)


@rtsp
def test_somebody_still_in_view_is_known_and_the_end_is_clean(scene: Scene, tmp_path: Path) -> None:
    """How soon is measured: benchmarks/live_latency.py."""
    server = RtspServer({c.name: c.video for c in scene.cameras})
    with server, running(live_config(server, SMALL), tmp_path) as run:
        run.until(lambda: known(run.database))
        code, said, stopping_s = run.stop()
    assert code == 0 and "Traceback" not in said, said
    assert stopping_s < 60, "it ends by itself; within 10 s where the machine is not busy"


@rtsp
def test_with_fps_max_every_frame_is_due_and_each_is_detected_or_counted(
    scene: Scene, tmp_path: Path
) -> None:
    camera = scene.cameras[0]
    with RtspServer({camera.name: camera.video}, loop=False) as server:
        config = live_config(server, SMALL, fps="max", bridge_s=WITHIN_S)
        with running(config, tmp_path) as run:
            run.until(lambda: list(map(over, run.healths())) == [True])
            code, said, _ = run.stop()
    assert code == 0, said
    with open_store(run.database) as store:
        (found,) = recordings(store)
    left_out = sum(int(count) for count in re.findall(r"(?:capture|detect):[\w-]+ (\d+)", found.message))
    assert found.frames > 0 and found.detected + left_out == found.frames, found.message


@rtsp
def test_a_recording_beside_a_live_camera_is_as_whole_as_alone(scene: Scene, tmp_path: Path) -> None:
    watched, recorded = scene.cameras
    file = CameraConfig(name=recorded.name, source=str(recorded.video), start=recorded.start)
    workers = WorkersConfig(cameras=2, threads=1)
    alone = Config(cameras=(file,), detector=SMALL, workers=workers)
    assert read(alone, tmp_path / "alone.db").exit_code == 0
    with RtspServer({watched.name: watched.video}) as server:
        config = live_config(server, SMALL)
        both = msgspec.structs.replace(config, cameras=(*config.cameras, file))
        with running(both, tmp_path) as run:
            run.until(lambda: {"running", "done"} == set(states(run.database).values()))
            run.until(lambda: tracklets_of(run.database, watched.name))
            code, said, _ = run.stop()
    assert code == 0, said
    assert states(run.database) == {watched.name: "done", recorded.name: "done"}
    ours, theirs = (tracklets_of(path, recorded.name) for path in (run.database, tmp_path / "alone.db"))
    assert len(theirs) > 1 and ours == theirs


def states(database: Path) -> dict[str, str]:
    """How every recording is, by camera."""
    try:
        with open_store(database) as store:
            return {summary.camera: summary.state for summary in recordings(store)}
    except StoreError:
        return {}


def tracklets_of(database: Path, camera: str) -> list[tuple[int, int, int, int, tuple[int, ...]]]:
    """A camera's tracklets: track, part, beginning, end, and the frames of the crops, best first."""
    with open_store(database) as store:
        mine = [tracklet for tracklet in stored_tracklets(store) if tracklet.camera == camera]
    return [
        (t.key.track, t.key.part, t.start_ns, t.end_ns, tuple(crop.frame for crop in t.crops)) for t in mine
    ]


@rtsp
@pytest.mark.slow
def test_every_worker_may_die_and_people_are_still_known(scene: Scene, tmp_path: Path) -> None:
    camera = scene.cameras[0]
    with (
        RtspServer({camera.name: camera.video}) as server,
        running(live_config(server, SMALL), tmp_path) as run,
    ):
        run.until(lambda: run.states() == ["live"])
        for name in ("match", "reid", "camera-worker-0"):
            status = run.status()
            assert status is not None
            dead = status.processes[name]
            os.kill(dead, signal.SIGKILL)
            run.until(lambda name=name, dead=dead: run.status().processes[name] != dead)  # type: ignore
            before = known(run.database)
            run.until(lambda before=before: known(run.database) > before)  # type: ignore
        children = psutil.Process(run.process.pid).children(recursive=True)
        code, said, _ = run.stop()
    assert code == 0, said
    assert said.count("starting it over") == 3
    assert not [child for child in children if alive(child)]


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; where nobody collects orphans, they stay as zombies."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_a_file_replayed_in_real_time_ends_by_itself(scene: Scene, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", "--realtime", "--json"]
    command += [str(scene.cameras[0].video), "--db", str(tmp_path / "out.db")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) and len(exported(tmp_path / "out.db")) > 0


KILLED_AFTER_S = 2.0
"""About when a command that was started asks, on a machine that is not busy; whenever it is, once is once."""


def commanded(*words: object) -> tuple[int, str, float]:
    """Exit code, output and duration of one of our commands, in a process of its own."""
    began_s = time.monotonic()
    command = [sys.executable, str(ROOT / "run_pipeline.py"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - began_s


def in_view(database: Path) -> list[int]:
    """Everybody known by now, the newest identity version's."""
    code, said, _ = commanded("query", "people", "--db", database, "--json")
    return [person["person"] for person in json.loads(said)["people"]] if code == 0 else []


@rtsp
@pytest.mark.slow
def test_a_writer_killed_while_it_is_asked_is_started_over_and_does_it_once(
    scene: Scene, tmp_path: Path
) -> None:
    videos = {camera.name: camera.video for camera in scene.cameras}
    with RtspServer(videos) as server, running(live_config(server, SMALL), tmp_path) as run:
        run.until(lambda: len(in_view(run.database)) >= 3)
        first, second, *_ = in_view(run.database)
        status = run.status()
        assert status
        answers: list[tuple[int, str, float]] = []
        merge = ("correct", "merge", f"P{first}", f"P{second}", "--db", run.database)
        asking = threading.Thread(target=lambda: answers.append(commanded(*merge)))
        asking.start()
        time.sleep(KILLED_AFTER_S)
        os.kill(status.processes["match"], signal.SIGKILL)
        asking.join(WITHIN_S)
        ((code, said, _),) = answers
        assert code == 0, said
        boxes = known(run.database)
        run.until(lambda: known(run.database) > boxes)
        code, said, _ = run.stop()
        assert code == 0 and "starting it over" in said, said
    assert second not in in_view(run.database)
    code, said, _ = commanded("correct", "history", "--db", run.database, "--json")
    assert [one["kind"] for one in json.loads(said)["corrections"]] == ["merge"]


@rtsp
@pytest.mark.slow
def test_a_request_while_a_run_closes_is_done_once_it_has_let_go(scene: Scene, tmp_path: Path) -> None:
    camera = scene.cameras[0]
    with (
        RtspServer({camera.name: camera.video}) as server,
        running(live_config(server, SMALL), tmp_path) as run,
    ):
        run.until(lambda: len(in_view(run.database)) >= 2)
        first, second, *_ = in_view(run.database)
        run.process.send_signal(signal.SIGINT)
        code, said, _ = commanded("correct", "merge", f"P{first}", f"P{second}", "--db", run.database)
        assert code == 0, said
        run.process.communicate(timeout=WITHIN_S)
    assert second not in in_view(run.database)


@rtsp
@pytest.mark.slow
def test_people_are_merged_parted_and_erased_while_a_live_run_goes_on(scene: Scene, tmp_path: Path) -> None:
    videos = {camera.name: camera.video for camera in scene.cameras}
    with RtspServer(videos) as server, running(live_config(server, SMALL), tmp_path) as run:
        run.until(lambda: len(in_view(run.database)) >= 3)
        first, second, third, *_ = in_view(run.database)
        code, said, took_s = commanded("correct", "merge", f"P{first}", f"P{second}", "--db", run.database)
        assert code == 0, said
        assert f"P{second}: now P{first}" in said and took_s < 20
        assert second not in in_view(run.database)
        assert commanded("correct", "undo", "--db", run.database)[0] == 0
        assert second in in_view(run.database)
        code, said, _ = commanded("forget", f"P{third}", "--db", run.database, "--yes")
        assert code == 0 and f"P{third} is erased" in said, said
        assert third not in in_view(run.database)
        assert commanded("recluster", "--db", run.database)[0] == 0
        boxes = known(run.database)
        run.until(lambda: known(run.database) > boxes)  # it goes on, and links
        assert run.states() == ["live"] * len(videos)
        code, said, _ = run.stop()
        assert code == 0, said
    assert third not in in_view(run.database)
    code, said, _ = commanded("correct", "history", "--db", run.database)
    assert code == 0 and "merge" in said and "undo" in said

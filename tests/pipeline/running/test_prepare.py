"""What is read, skipped, replaced or refused, without a run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.cameras.starts import with_starts
from pipeline.config import CameraConfig, Config
from pipeline.messages import Level, RecordingState
from pipeline.running.prepare import prepare
from pipeline.store.database import Store
from pipeline.store.open_store import open_store
from pipeline.store.recordings import end_recording, recording_starts
from pipeline.store.runs import begin_run
from tests.video_files import counting_clip


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def notice(self, level: Level, text: str) -> None:
        self.told.append(text)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "out.db", create=True, write=True) as opened:
        yield opened


def read(store: Store, camera: CameraConfig, state: RecordingState = "done") -> tuple[int, list[str]]:
    """Read a camera as far as a run would begin it; how many recordings it began, and what was told."""
    listener = Listener()
    run = begin_run(store, command="test", config=Config(), software="test")
    jobs, _, _ = prepare(store, run, with_starts([camera]).cameras, listener)
    for job in jobs:
        end_recording(store, job.recording, state=state, frames=10, detected=5)
    return len(jobs), listener.told


def folder_of(folder: Path, seconds: tuple[int, ...]) -> CameraConfig:
    folder.mkdir(exist_ok=True)
    for second in seconds:
        counting_clip(folder / f"20260131_0800{second:02}.mp4", 5 + second)
    return CameraConfig(name="hall", source=str(folder))


def test_a_folder_with_more_clips_is_read_again_in_place_of_what_it_held(
    store: Store, tmp_path: Path
) -> None:
    assert read(store, folder_of(tmp_path / "hall", (0, 1)))[0] == 1
    began, told = read(store, folder_of(tmp_path / "hall", (0, 1, 2)))
    assert began == 1 and told == ["hall: it has grown since it was read: read again from the start"]
    assert len(recording_starts(store, "hall")) == 1
    assert read(store, folder_of(tmp_path / "hall", ()))[0] == 0


def test_a_folder_whose_first_clips_went_is_refused_and_keeps_what_was_read(
    store: Store, tmp_path: Path
) -> None:
    read(store, folder_of(tmp_path / "hall", (0, 1)))
    (tmp_path / "hall" / "20260131_080000.mp4").unlink()
    began, told = read(store, folder_of(tmp_path / "hall", (2,)))
    assert began == 0 and "has changed since it was read" in told[0] and "--fresh" in told[0]
    assert len(recording_starts(store, "hall")) == 1


def test_a_file_that_was_cut_off_and_has_grown_is_read_again(store: Store, tmp_path: Path) -> None:
    camera = CameraConfig(name="hall", source=str(counting_clip(tmp_path / "hall.ts", 5)))
    read(store, camera, "short")
    counting_clip(tmp_path / "hall.ts", 12)
    assert read(store, camera)[0] == 1 and len(recording_starts(store, "hall")) == 1


def test_another_undated_film_in_the_place_of_one_is_refused_rather_than_mixed(
    store: Store, tmp_path: Path
) -> None:
    camera = CameraConfig(name="hall", source=str(counting_clip(tmp_path / "hall.mp4", 5)))
    read(store, camera)
    counting_clip(tmp_path / "hall.mp4", 12)
    began, told = read(store, camera)
    assert began == 0 and "may show the same people again" in told[0]


def test_another_day_in_the_same_file_is_another_recording(store: Store, tmp_path: Path) -> None:
    for day in (30, 31):
        start = datetime(2026, 1, day, 8, tzinfo=UTC)
        film = counting_clip(tmp_path / "hall.mp4", day)
        assert read(store, CameraConfig(name="hall", source=str(film), start=start))[0] == 1
    assert len(recording_starts(store, "hall")) == 2


def test_where_a_recording_lies_is_stored_whole(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        monkeypatch.chdir(tmp_path / day)
        counting_clip(tmp_path / day / "hall.mp4", len(day))
        assert read(store, CameraConfig(name="hall", source="hall.mp4"))[0] == 1
    sources = [held.source for held in recording_starts(store, "hall")]
    assert sources == [str(tmp_path / day / "hall.mp4") for day in ("monday", "tuesday")]


def test_the_same_content_under_another_name_is_said_and_not_stored_twice(
    store: Store, tmp_path: Path
) -> None:
    film = counting_clip(tmp_path / "hall.mp4", 5)
    copy = tmp_path / "lobby.mp4"
    copy.write_bytes(film.read_bytes())
    assert read(store, CameraConfig(name="hall", source=str(film)))[0] == 1
    began, told = read(store, CameraConfig(name="lobby", source=str(copy)))
    assert began == 0 and told == ["lobby: shows exactly what camera hall shows: not stored twice"]
    assert recording_starts(store, "lobby") == []


def test_of_two_cameras_of_one_run_with_the_same_content_one_is_read(store: Store, tmp_path: Path) -> None:
    film = counting_clip(tmp_path / "hall.mp4", 5)
    cameras = [CameraConfig(name=name, source=str(film)) for name in ("hall", "lobby")]
    listener = Listener()
    run = begin_run(store, command="test", config=Config(), software="test")
    jobs, skipped, failed = prepare(store, run, cameras, listener)
    assert [job.camera.name for job in jobs] == ["hall"] and skipped == ("lobby",) and not failed

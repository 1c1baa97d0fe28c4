"""Annotated videos and contact sheets, made from a real store and real recordings."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console
from sqlalchemy import delete, select

from pipeline.cameras.recordings import Frame, open_source, source_fingerprint
from pipeline.cli.filters import Typed
from pipeline.cli.show_files import show_render
from pipeline.config import CameraConfig, Config
from pipeline.messages import Crop, Embedding, TrackletClosed, TrackletEmbedded, TrackletKey
from pipeline.queries.filters import Filters
from pipeline.queries.pictures.contact_sheets import RenderError, choose
from pipeline.queries.pictures.drawing import Label, colour_of, draw_label, draw_text, when
from pipeline.queries.pictures.people_in_frames import SightedCrop
from pipeline.queries.pictures.render import NotAFolderError, render, render_camera
from pipeline.records import Sighting
from pipeline.store.cameras import add_camera
from pipeline.store.corrections import merge
from pipeline.store.database import Store
from pipeline.store.identity_claims import add_sightings, new_identity, unlinked_tracklets
from pipeline.store.lookups import UnknownCameraError, UnknownPersonError
from pipeline.store.open_store import open_store
from pipeline.store.recordings import start_recording
from pipeline.store.runs import begin_run
from pipeline.store.schema import AuditEntry, CropRow
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.versions import new_version
from tests.store_scene import fill
from tests.video_files import picture, write_clip

START = datetime(2026, 1, 31, 8, tzinfo=UTC)
BOX = (20.0, 60.0, 60.0, 120.0)
FRAMES = range(2, 6)
"""Those the person is in view."""


def clip(path: Path, *, width: int = 160, height: int = 160) -> CameraConfig:
    """A camera whose recording has eight frames at 10 fps."""
    write_clip(path, [picture(i, width, height) for i in range(8)], pix_fmt="yuv444p")
    return CameraConfig(name=path.stem, source=str(path), start=START)


def tracklet(camera: CameraConfig, recording: int, track: int) -> TrackletEmbedded:
    """One person in BOX, with one crop, a plain green."""
    times = camera.start_ns + np.array(FRAMES, np.int64) * 100_000_000
    boxes = np.tile(np.array(BOX, np.float32), (len(FRAMES), 1))
    jpeg = cv2.imencode(".jpg", np.full((120, 50, 3), (40, 200, 40), np.uint8))[1].tobytes()
    crop = Crop(FRAMES[0], int(times[0]), boxes[0], 1.0, jpeg)
    frames, confidences = np.array(FRAMES, np.int32), np.ones(len(FRAMES), np.float32)
    key = TrackletKey(recording, track, 0)
    closed = TrackletClosed(key, camera.name, frames, times, boxes, confidences, (crop,))
    half = np.ones((2, 4), np.float16)
    return TrackletEmbedded(closed, "test", (Embedding(half, half[:, 0], half[0]),))


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """A function that puts one person in every camera into a store, as a run would."""
    opened: list[Store] = []

    def fill(*cameras: CameraConfig) -> Store:
        store = open_store(tmp_path / "test.db", create=True, write=True)
        opened.append(store)
        run = begin_run(store, command="test", config=Config(cameras=cameras), software="0")
        version, person = new_version(store, "online"), new_identity(store)
        for camera in cameras:
            row = add_camera(store, camera.name, clock_known=True)
            mark = source_fingerprint(camera)
            recording = start_recording(
                store, run=run, camera=row, source=camera.source, fingerprint=mark, start_ns=camera.start_ns
            )
            add_tracklets(store, [tracklet(camera, recording, 1)])
        linked = [
            Sighting(item.id, person, "linked", 0.1, 0.9) for item in unlinked_tracklets(store, None, version)
        ]
        add_sightings(store, version, linked)
        return store

    yield fill
    for store in opened:
        store.close()


def frames_of(path: Path) -> list[Frame]:
    with open_source(CameraConfig(name="out", source=str(path))) as source:
        return list(source)


def coloured(frame: Frame, person: int) -> int:
    """Pixels in about the person's colour."""
    return int((np.abs(frame.image.astype(int) - colour_of(person)).max(-1) < 60).sum())


def test_each_camera_gets_a_video_and_each_person_a_sheet(
    tmp_path: Path, filled: Callable[..., Store]
) -> None:
    store = filled(clip(tmp_path / "door.mp4"), clip(tmp_path / "hall.mp4", width=161, height=141))
    seen: list[tuple[str, int, int | None]] = []
    done = render(store, tmp_path / "out", progress=lambda *step: seen.append(step))
    assert [path.name for path in done.videos] == ["door.mp4", "hall.mp4"]
    assert [path.name for path in done.sheets] == ["P1.jpg"] and done.problems == ()
    assert seen[7] == ("door", 8, 8) and len(seen) == 16
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["P1.jpg", "door.mp4", "hall.mp4"]
    sheet = cv2.imread(str(done.sheets[0]))
    assert sheet is not None and int((np.abs(sheet.astype(int) - (40, 200, 40)).max(-1) < 30).sum()) > 20_000


def test_a_video_shows_the_person_in_the_frames_with_the_person_and_keeps_the_times(
    tmp_path: Path, filled: Callable[..., Store]
) -> None:
    store = filled(clip(tmp_path / "odd.mp4", width=161, height=141))
    frames = frames_of(render(store, tmp_path / "out").videos[0])
    assert {f.image.shape for f in frames} == {(142, 162, 3)}
    assert [f.time_ns for f in frames] == [i * 100_000_000 for i in range(8)]
    assert [coloured(f, 1) > 100 for f in frames] == [i in FRAMES for i in range(8)]


def test_the_camera_s_rotation_is_the_one_of_the_run(tmp_path: Path, filled: Callable[..., Store]) -> None:
    plain = clip(tmp_path / "door.mp4", width=160, height=120)
    turned = CameraConfig(name="door", source=plain.source, start=START, rotation=90)
    (video,) = render(filled(turned), tmp_path / "out").videos
    assert frames_of(video)[0].image.shape == (160, 120, 3)


def test_a_source_that_is_gone_or_changed_is_one_line_and_the_others_go_on(
    tmp_path: Path, filled: Callable[..., Store]
) -> None:
    store = filled(*(clip(tmp_path / f"{name}.mp4") for name in ("changed", "gone", "there")))
    (tmp_path / "gone.mp4").unlink()
    clip(tmp_path / "changed.mp4", width=96, height=96)
    done = render(store, tmp_path / "out")
    assert [path.name for path in done.videos] == ["there.mp4"] and len(done.sheets) == 1
    changed, gone = done.problems
    assert changed.startswith("changed: ") and "has changed since" in changed
    assert gone.startswith("gone: ") and "no such file" in gone


def test_only_the_cameras_and_people_asked_for_are_drawn(
    tmp_path: Path, filled: Callable[..., Store]
) -> None:
    store = filled(clip(tmp_path / "door.mp4"), clip(tmp_path / "hall.mp4"))
    done = render(store, tmp_path / "out", Filters(cameras=("hall",), people=(1,)))
    assert [path.name for path in (*done.videos, *done.sheets)] == ["hall.mp4", "P1.jpg"]
    with pytest.raises(UnknownCameraError, match="did you mean 'hall'"):
        render(store, tmp_path / "out", Filters(cameras=("halle",)))
    with pytest.raises(UnknownPersonError, match="nearest: P1"):
        render(store, tmp_path / "out", Filters(people=(7,)))


def test_a_render_is_audited_as_an_export(tmp_path: Path, filled: Callable[..., Store]) -> None:
    store = filled(clip(tmp_path / "door.mp4"))
    render(store, tmp_path / "out")
    with store.reading() as connection:
        query = select(AuditEntry.subject).where(AuditEntry.action == "export")
        assert list(connection.scalars(query)) == [str(tmp_path / "out")]


@pytest.mark.parametrize("out", ["out", "out/deeper"])
def test_a_file_in_the_way_of_the_folder_is_refused(
    tmp_path: Path, filled: Callable[..., Store], out: str
) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(NotAFolderError, match="is a file: give a folder"):
        render(filled(clip(tmp_path / "door.mp4")), tmp_path / out)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, filled: Callable[..., Store]) -> None:
    with pytest.raises(RenderError, match="cannot be made"):
        render(filled(clip(tmp_path / "door.mp4")), tmp_path / ("x" * 300))


def test_a_person_without_a_picture_is_named(tmp_path: Path) -> None:
    database = str(fill(tmp_path / "a.db"))
    with open_store(database, write=True) as store:
        (lonely,) = (t.id for t in stored_tracklets(store) if (t.camera, t.key.track) == ("hall", 2))
        with store.writing() as connection:
            connection.execute(delete(CropRow).where(CropRow.tracklet == lonely))
        assert render(store, tmp_path / "out").unpictured == (2,)
        assert render(store, tmp_path / "out", Filters(cameras=("gate",))).unpictured == ()
    said = Console(file=io.StringIO(), width=200)
    show_render(database, tmp_path / "out", said, typed=Typed(people=["P2"]))
    assert "P2: no picture was kept\n" in said.file.getvalue()  # type: ignore[attr-defined]


def test_a_video_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    class Nobody:
        def at(self, frame: int) -> Iterator[Label]:
            return iter(())

    (tmp_path / "file").touch()
    target = tmp_path / "file" / "out.mp4"
    with (
        open_source(clip(tmp_path / "door.mp4")) as source,
        pytest.raises(RenderError, match=r"out\.mp4: cannot be written"),
    ):
        render_camera(source, Nobody(), target, name="door", clock_known=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["door.mp4", "file"]


def test_an_ambiguous_box_is_dashed_and_a_sure_one_is_not() -> None:
    def lower_edge(ambiguous: bool) -> set[bool]:
        image = np.zeros((100, 100, 3), np.uint8)
        draw_label(image, Label((10, 30, 90, 80), 3, ambiguous))
        return set((image[80, 10:90] == colour_of(3)).all(-1).tolist())

    assert lower_edge(ambiguous=False) == {True} and lower_edge(ambiguous=True) == {True, False}
    texts = [
        Label((0, 0, 1, 1), person, unsure).text for person, unsure in ((3, False), (3, True), (None, True))
    ]
    assert texts == ["P3", "P3?", "?"]


def test_text_and_boxes_beyond_the_picture_do_no_harm() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    draw_label(image, Label((-50, -50, 500, 500), 1, ambiguous=True))
    draw_text(image, "a line much longer than the picture, with ü", (900, -5), 12, (9, 9, 9))
    assert image.any()


def test_people_near_in_number_are_far_in_colour() -> None:
    for first in range(1, 200):
        near = [np.array(colour_of(person)) for person in range(first, first + 6)]
        assert min(np.abs(a - b).sum() for a, b in combinations(near, 2)) > 60
    assert colour_of(5) == colour_of(5) != colour_of(None)


def test_times_read_as_utc_or_since_the_start() -> None:
    start_ns = int(START.timestamp()) * 10**9
    assert when(start_ns + 1_270_000_000, 0, clock_known=True) == "2026-01-31 08:00:01.2 UTC"
    assert when(0, 3_725_990_000_000, clock_known=False) == "+01:02:05.9"


def test_a_sheet_takes_every_tracklet_s_best_crop_before_second_ones() -> None:
    crops = [SightedCrop(i, "door", True, rank=i % 3, time_ns=i, ambiguous=False) for i in range(30)]
    assert [c.rank for c in choose(crops, 10)] == [0] * 10
    few = choose(crops, 4)
    assert [c.rank for c in few] == [0] * 4 and few[0].time_ns == 0 and few[-1].time_ns >= 20
    assert len(choose(crops, 15)) == 15 and len(choose(crops, 100)) == 30
    assert [c.time_ns for c in choose(crops, 100)] == list(range(30))


def test_an_earlier_identity_version_can_be_drawn(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        merge(store, [1, 3])
        newest = render(store, tmp_path / "new")
        first = render(store, tmp_path / "old", version=1)
    assert {path.name for path in newest.sheets} == {"P1.jpg", "P2.jpg"}
    assert {path.name for path in first.sheets} == {"P1.jpg", "P2.jpg", "P3.jpg"}

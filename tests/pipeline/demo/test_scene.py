"""The demo's scene: its truth is true, and a detector finds its people."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.boxes import iou
from pipeline.cameras.recordings import open_source
from pipeline.config import CameraConfig, DetectorConfig, load_config
from pipeline.demo.clothes import OUTFITS
from pipeline.demo.demo import demo_config
from pipeline.demo.film import pose
from pipeline.demo.people import cut_people, load_photograph
from pipeline.demo.scene import Scene, make_scene
from pipeline.demo.stage import PLACES, WALKS
from pipeline.tracking.detect import load_detector

ROOT = Path(__file__).parents[3]
SECONDS = 4.0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("scene"), seconds=SECONDS)


def test_each_recording_has_the_frames_size_and_clock_it_is_said_to_have(scene: Scene) -> None:
    for camera in scene.cameras:
        source = CameraConfig(name=camera.name, source=str(camera.video), start=camera.start)
        with open_source(source) as opened:
            frames = list(opened)
            assert (opened.info.width, opened.info.height) == camera.size
        assert len(frames) == round(SECONDS * camera.fps)
        assert frames[0].time_ns == round(camera.start.timestamp() * 1e9)


def test_the_mot_file_says_what_the_scene_says(scene: Scene) -> None:
    for camera in scene.cameras:
        rows = np.loadtxt(camera.video.with_name(f"gt_{camera.name}.txt"), delimiter=",", ndmin=2)
        assert rows.shape == (len(camera.truth), 9)
        for row, truth in zip(rows, camera.truth, strict=True):
            x0, y0, x1, y1 = truth.bbox
            assert row[:6].tolist() == [truth.frame + 1, truth.person, x0, y0, x1 - x0, y1 - y0]
            assert row[8] == pytest.approx(truth.visibility, abs=0.001)


def test_what_can_be_seen_lies_inside_the_body_and_the_body_inside_the_picture(scene: Scene) -> None:
    for camera in scene.cameras:
        for truth in camera.truth:
            whole, part = truth.bbox, truth.visible
            assert 0 <= whole[0] <= part[0] < part[2] <= whole[2] <= camera.size[0]
            assert 0 <= whole[1] <= part[1] < part[3] <= whole[3] <= camera.size[1]
            assert 0 <= truth.visibility <= 1


def test_a_person_is_where_the_truth_says_and_nowhere_else(scene: Scene) -> None:
    camera = scene.cameras[0]
    with open_source(CameraConfig(name="hall", source=str(camera.video))) as source:
        pictures = [frame.image.astype(np.int16) for frame in source]
    empty = np.median(np.stack(pictures[:20]), axis=0)
    for index in (40, 60):
        changed = np.abs(pictures[index] - empty).max(2) > 40
        clear = np.zeros(changed.shape, bool)
        for truth in (t for t in camera.truth if t.frame == index):
            x0, y0, x1, y1 = (round(v) for v in truth.visible)
            assert changed[y0:y1, x0:x1].mean() > 0.3
            clear[max(0, y0 - 20) : y1 + 20, max(0, x0 - 60) : x1 + 60] = True
        assert changed[~clear].mean() < 0.001


def test_the_same_seed_makes_the_same_scene(scene: Scene, tmp_path: Path) -> None:
    again = make_scene(tmp_path, seconds=0.4)
    short = [t for t in scene.cameras[1].truth if t.frame < 5]
    assert list(again.cameras[1].truth) == short
    assert (
        again.cameras[0].video.read_bytes()
        == make_scene(tmp_path / "2", seconds=0.4).cameras[0].video.read_bytes()
    )


def test_a_detector_finds_the_people_who_can_be_seen(scene: Scene) -> None:
    detector = load_detector(DetectorConfig(), threads=1)
    found = wanted = 0
    for camera in scene.cameras:
        with open_source(CameraConfig(name=camera.name, source=str(camera.video))) as source:
            for frame in source:
                people = [t for t in camera.truth if t.frame == frame.index and t.visibility > 0.5]
                if frame.index % round(camera.fps / 2.5) or not people:
                    continue
                detections = detector.detect([frame.image])[0]
                boxes = detections.boxes[detections.confidences > 0.5]
                wanted += len(people)
                found += sum(any(iou(box, np.array(t.visible)) > 0.5 for box in boxes) for t in people)
    assert wanted > 8
    assert found / wanted > 0.9


def test_nobody_is_in_two_places_at_once() -> None:
    for time_s in np.arange(0, 46, 0.25):
        present = [
            walk.person
            for place in PLACES
            for walk in WALKS
            if walk.camera == place.name and pose(walk, place, time_s)
        ]
        assert len(present) == len(set(present)), f"at {time_s} s"


def test_some_return_some_change_cameras_and_some_stay_in_one() -> None:
    ways = {
        person: [w.camera for w in sorted(WALKS, key=lambda w: w.start_s) if w.person == person]
        for person in OUTFITS
    }
    assert any(way[0] == way[-1] != way[1] for way in ways.values() if len(way) > 2)
    assert sum(len(set(way)) == 2 for way in ways.values()) >= 5
    assert any(len(set(way)) == 1 for way in ways.values())
    assert all(a != b or person == 3 for person, way in ways.items() for a, b in pairwise(way))


def test_whole_people_are_cut_out_without_their_surroundings() -> None:
    people = cut_people()
    height = load_photograph("bus.jpg").shape[0]
    for name in ("tall", "slim"):
        rows = np.flatnonzero(people[name].alpha.max(1) > 127)
        assert 0.35 * height < rows[-1] - rows[0] < 0.5 * height
        assert 0.15 < (people[name].alpha > 127).mean() < 0.6


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_scene_of_no_length_is_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        make_scene(tmp_path, seconds=seconds)


def test_the_configuration_in_the_repository_is_the_demos(scene: Scene) -> None:
    written = load_config(ROOT / "configs" / "demo.yaml")
    for ours, theirs in zip(demo_config(scene).cameras, written.cameras, strict=True):
        assert (ours.name, ours.start, Path(ours.source).name) == (
            theirs.name,
            theirs.start,
            Path(theirs.source).name,
        )

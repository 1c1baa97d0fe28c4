"""The demo's score on scenes small enough to count by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pipeline.demo.film import TruthBox
from pipeline.demo.scene import Scene, SceneCamera
from pipeline.demo.score import Score, judged, refiled, score
from pipeline.evaluate.found_boxes import FoundBoxes
from pipeline.evaluate.labels import labels

START = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
FPS = 10.0
LEFT = (0.0, 0.0, 40.0, 100.0)
RIGHT = (200.0, 0.0, 240.0, 100.0)


def truth(
    person: int, frames: range, box: tuple[float, float, float, float], visibility: float = 1.0
) -> list[TruthBox]:
    return [TruthBox(frame, person, box, box, visibility) for frame in frames]


def camera(name: str, *boxes: list[TruthBox]) -> SceneCamera:
    return SceneCamera(
        name, Path(f"{name}.mp4"), START, FPS, (320, 240), tuple(b for part in boxes for b in part)
    )


Track = tuple[int, str, int, range, tuple[float, ...]]


def found(number: int, name: str, identity: int, frames: range, box: tuple[float, ...]) -> Track:
    return number, name, identity, frames, box


def boxes_of(*tracks: Track) -> dict[str, FoundBoxes]:
    """By camera, of tracks that are one tracklet each."""
    held: dict[str, FoundBoxes] = {}
    for name in {name for _, name, *_ in tracks}:
        rows = [
            (frame, number, identity, list(box))
            for number, camera, identity, frames, box in tracks
            if camera == name
            for frame in frames
        ]
        rows.sort(key=lambda row: row[0])
        frames, numbers, identities, boxes = (list(part) for part in zip(*rows, strict=True))
        tracklets = np.array(numbers, np.int64)
        held[name] = FoundBoxes(labels(frames, numbers, boxes), np.array(identities, np.int64), tracklets)
    return held


def scored(scene: Scene, *tracks: Track) -> Score:
    return score(scene, judged(scene, boxes_of(*tracks)))


@pytest.fixture
def scene() -> Scene:
    """Person 1 goes from a to b, person 2 is in a only."""
    a = camera("a", truth(1, range(0, 20), LEFT), truth(2, range(0, 20), RIGHT))
    return Scene((a, camera("b", truth(1, range(40, 60), LEFT))))


def test_a_perfect_answer_scores_one(scene: Scene) -> None:
    result = scored(
        scene,
        found(1, "a", 7, range(0, 20), LEFT),
        found(2, "a", 9, range(0, 20), RIGHT),
        found(3, "b", 7, range(40, 60), LEFT),
    )
    assert result.idf1 == 1.0
    assert (result.links.precision, result.links.recall, result.merges) == (1.0, 1.0, 0)
    assert result.whole_journeys == 2
    assert result.people[0].found == ("a", "b")


def test_a_person_split_in_two_loses_the_link_and_half_the_boxes(scene: Scene) -> None:
    result = scored(
        scene,
        found(1, "a", 7, range(0, 20), LEFT),
        found(2, "a", 9, range(0, 20), RIGHT),
        found(3, "b", 8, range(40, 60), LEFT),
    )
    assert result.idf1 == pytest.approx(2 * 40 / (60 + 60))
    assert (result.links.said, result.links.recall) == (0, 0.0)
    assert (result.people[0].splits, result.whole_journeys) == (1, 1)


def test_two_people_merged_spoil_both_journeys(scene: Scene) -> None:
    result = scored(
        scene,
        found(1, "a", 7, range(0, 20), LEFT),
        found(2, "a", 9, range(0, 20), RIGHT),
        found(3, "b", 9, range(40, 60), LEFT),
    )
    assert (result.links.right, result.links.said, result.links.true) == (0, 1, 1)
    assert (result.merges, result.whole_journeys) == (1, 0)


def test_a_track_of_nothing_costs_idf1(scene: Scene) -> None:
    perfect = (
        found(1, "a", 7, range(0, 20), LEFT),
        found(2, "a", 9, range(0, 20), RIGHT),
        found(3, "b", 7, range(40, 60), LEFT),
    )
    result = scored(scene, *perfect, found(4, "b", 11, range(0, 20), (100, 100, 140, 200)))
    assert (result.merges, result.identities) == (0, 3)
    assert result.idf1 == pytest.approx(2 * 60 / (60 + 80))


def test_what_is_hidden_counts_neither_as_found_nor_as_missed() -> None:
    hidden = Scene(
        (camera("a", truth(1, range(0, 10), LEFT), truth(1, range(10, 20), LEFT, visibility=0.1)),)
    )
    assert scored(hidden, found(1, "a", 1, range(0, 10), LEFT)).idf1 == 1.0
    assert scored(hidden, found(1, "a", 1, range(0, 20), LEFT)).idf1 == 1.0


def test_a_box_round_the_visible_half_is_as_good_as_one_round_the_body() -> None:
    half = (0.0, 0.0, 40.0, 45.0)
    boxes = tuple(TruthBox(frame, 1, LEFT, half, 0.5) for frame in range(10))
    behind = Scene((SceneCamera("a", Path("a.mp4"), START, FPS, (320, 240), boxes),))
    assert scored(behind, found(1, "a", 1, range(10), half)).idf1 == 1.0
    assert scored(behind, found(1, "a", 1, range(10), LEFT)).idf1 == 1.0


def test_an_absence_of_more_than_five_seconds_makes_two_visits() -> None:
    returning = Scene((camera("a", truth(1, range(0, 10), LEFT), truth(1, range(70, 80), LEFT)),))
    assert scored(returning, found(1, "a", 1, range(0, 10), LEFT)).people[0].visits == ("a", "a")


def test_somebody_nobody_found_is_missed(scene: Scene) -> None:
    result = scored(scene, found(1, "a", 7, range(0, 20), LEFT), found(3, "b", 7, range(40, 60), LEFT))
    assert (result.people[1].identity, result.people[1].found) == (None, ())


def test_other_identities_are_scored_on_the_same_boxes(scene: Scene) -> None:
    tracks = (
        found(1, "a", 7, range(0, 20), LEFT),
        found(2, "a", 9, range(0, 20), RIGHT),
        found(3, "b", 8, range(40, 60), LEFT),
    )
    boxes = judged(scene, boxes_of(*tracks))
    assert score(scene, boxes).whole_journeys == 1
    assert score(scene, refiled(boxes, {1: 5, 2: 6, 3: 5})).whole_journeys == 2

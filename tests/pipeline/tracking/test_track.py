"""Tracks against scenes whose truth is known by construction."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.boxes import iou
from pipeline.config import TrackerConfig
from pipeline.tracking.track import Tracker, assign, colours_of

Boxes = NDArray[np.float32]
SECOND_NS = 1_000_000_000


def person(x: float, bottom: float = 300.0, height: float = 100.0) -> list[float]:
    """A box 0.4 heights wide that stands at (x, bottom)."""
    return [x - 0.2 * height, bottom - height, x + 0.2 * height, bottom]


def along(start: float, t: float) -> list[float]:
    """A person who walks to the right."""
    return person(start + 30 * t)


def boxes(*people: list[float]) -> Boxes:
    return np.array(people, np.float32).reshape(-1, 4)


def follow(tracker: Tracker, frames: Iterable[tuple[float, Boxes, list[float]]]) -> list[dict[int, Boxes]]:
    """For each (seconds, boxes, confidences): the box of each track seen."""
    updates = [
        tracker.update(found, np.array(confidences, np.float32), round(time_s * SECOND_NS))
        for time_s, found, confidences in frames
    ]
    return [{one.track: one.bbox for one in update.observations} for update in updates]


def walk(
    paths: list[Callable[[float], list[float]]], fps: float, seconds: float, noise_px: float = 1.0
) -> list[tuple[float, Boxes, list[float]]]:
    """Frames of people on paths (time to box), with detector noise."""
    rng = np.random.default_rng(7)
    times = np.arange(0, seconds, 1 / fps)
    return [
        (
            t,
            boxes(*(p(t) for p in paths)) + rng.normal(0, noise_px, (len(paths), 4)).astype(np.float32),
            [0.9] * len(paths),
        )
        for t in times
    ]


@pytest.mark.parametrize("fps", [2, 5, 12.5, 25, 60])
def test_two_people_who_cross_keep_their_numbers_at_any_frame_rate(fps: float) -> None:
    paths = [lambda t: person(50 + 60 * t), lambda t: person(350 - 60 * t, 320, 130)]
    seen = follow(Tracker(TrackerConfig()), walk(paths, fps, 5))
    assert {number for frame in seen for number in frame} == {1, 2}
    assert seen[-1][1][0] > seen[-1][2][0]


def test_uneven_frame_times_do_not_break_a_track() -> None:
    times = np.cumsum(np.random.default_rng(3).choice([0.02, 0.04, 0.3, 0.6], 40))
    seen = follow(Tracker(TrackerConfig()), [(t, boxes(person(50 + 50 * t)), [0.8]) for t in times])
    assert all(set(frame) == {1} for frame in seen)


def test_a_person_hidden_for_less_than_lost_s_comes_back_with_the_same_number() -> None:
    def frame(t: float) -> tuple[float, Boxes, list[float]]:
        hidden = 2 < t < 3
        return t, boxes() if hidden else boxes(person(50 + 40 * t)), [] if hidden else [0.9]

    seen = follow(Tracker(TrackerConfig()), [frame(t) for t in np.arange(0, 5, 0.08)])
    assert set(seen[-1]) == {1}


def test_a_person_away_for_longer_than_lost_s_has_ended_and_gets_a_new_number() -> None:
    tracker = Tracker(TrackerConfig(lost_s=1.0))
    follow(tracker, [(t, boxes(person(100)), [0.9]) for t in (0.0, 0.1, 0.2)])
    update = tracker.update(boxes(person(100)), np.array([0.9], np.float32), round(1.3 * SECOND_NS))
    assert update.ended == (1,)
    assert [one.track for one in update.observations] == [2]


def test_each_track_ends_exactly_once() -> None:
    tracker = Tracker(TrackerConfig())
    rng = np.random.default_rng(0)
    seen: set[int] = set()
    ended: list[int] = []
    for index in range(300):
        found = boxes(*(person(x) for x in rng.uniform(0, 600, rng.integers(0, 4))))
        update = tracker.update(found, rng.uniform(0.1, 1, len(found)).astype(np.float32), index * 40_000_000)
        seen |= {one.track for one in update.observations}
        assert not {one.track for one in update.observations} & set(ended)
        ended += update.ended
    ended += tracker.update(boxes(), np.empty(0, np.float32), 100 * SECOND_NS).ended
    assert sorted(ended) == sorted(seen)


def test_numbers_start_at_one_in_every_tracker() -> None:
    scene = [(t, boxes(person(100), person(300)), [0.9, 0.9]) for t in (0.0, 0.1)]
    follow(Tracker(TrackerConfig()), scene)
    assert set(follow(Tracker(TrackerConfig()), scene)[-1]) == {1, 2}


def test_a_low_box_continues_a_track_but_starts_none() -> None:
    scene = [(0.0, [0.9]), (0.1, [0.9]), (0.2, [0.15]), (0.3, [0.15])]
    seen = follow(Tracker(TrackerConfig()), [(t, boxes(person(100)), c) for t, c in scene])
    assert all(set(frame) == {1} for frame in seen)
    assert not any(follow(Tracker(TrackerConfig()), [(t, boxes(person(100)), [0.15]) for t, _ in scene]))


def test_a_box_seen_once_is_never_confirmed() -> None:
    tracker = Tracker(TrackerConfig(confirm_hits=2))
    first = tracker.update(boxes(person(100)), np.array([0.9], np.float32), 0)
    assert [one.confirmed for one in first.observations] == [False]
    assert tracker.update(boxes(), np.empty(0, np.float32), 40_000_000).ended == (1,)


def test_someone_in_a_doorway_does_not_take_the_track_of_a_much_larger_person_lost_there() -> None:
    near = [(t, boxes(person(100 + 5 * t, 300, 200)), [0.9]) for t in np.arange(0, 1, 0.04)]
    far = [(t, boxes(person(105, 260, 100)), [0.9]) for t in np.arange(1.2, 2, 0.04)]
    assert set(follow(Tracker(TrackerConfig()), near + far)[-1]) == {2}


def test_someone_beside_the_place_where_a_track_was_lost_is_someone_else() -> None:
    tracker = Tracker(TrackerConfig())
    scene = [(t, boxes(person(100)), [0.9]) for t in np.arange(0, 1, 0.04)]
    scene += [(t, boxes(), []) for t in np.arange(1, 1.2, 0.04)]
    scene += [(t, boxes(person(125)), [0.9]) for t in np.arange(1.2, 1.4, 0.04)]
    assert set(follow(tracker, scene)[-1]) == {2}


def dressed(colour: tuple[int, int, int]) -> Boxes:
    """The colours of one person dressed all over in one colour."""
    return colours_of(np.full((400, 400, 3), colour, np.uint8), boxes(person(200)))


RED, BLUE = dressed((180, 30, 30)), dressed((30, 30, 180))


def test_a_lost_track_is_not_taken_by_someone_of_other_colours() -> None:
    tracker = Tracker(TrackerConfig())
    sure = np.array([0.9], np.float32)
    for index in range(5):
        tracker.update(boxes(person(100)), sure, index * 40_000_000, RED)
    tracker.update(boxes(), np.empty(0, np.float32), 200_000_000)
    other = tracker.update(boxes(person(100)), sure, 240_000_000, BLUE)
    again = tracker.update(
        boxes(person(100), person(102)), np.repeat(sure, 2), 280_000_000, np.concatenate([BLUE, RED])
    )
    assert [one.track for one in other.observations] == [2]
    assert {one.track: one.bbox[0] for one in again.observations} == {1: 82, 2: 80}


def test_colours_decide_when_two_boxes_fit_equally_well() -> None:
    tracker = Tracker(TrackerConfig())
    sure = np.array([0.9, 0.9], np.float32)
    apart, together = boxes(person(100), person(130)), boxes(person(114), person(116))
    for index in range(5):
        tracker.update(apart, sure, index * 40_000_000, np.concatenate([RED, BLUE]))
    update = tracker.update(together, sure, 200_000_000, np.concatenate([BLUE, RED]))
    assert {one.track: one.bbox[0] for one in update.observations} == {1: 96, 2: 94}


def test_colours_are_cielab_from_head_to_foot_and_ignore_the_sides() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[50:100, 80:120] = 255
    colours = colours_of(image, boxes([60, 50, 140, 150]))
    assert colours.shape == (1, 8, 3)
    assert colours[0, :4] == pytest.approx(np.tile([100, 0, 0], (4, 1)), abs=0.1)
    assert not colours[0, 4:].any()


@pytest.mark.parametrize(
    "outside", [[-90, 10, -20, 90], [250, 10, 300, 90], [10, -90, 50, -5], [10, 250, 50, 300]]
)
def test_a_box_outside_the_image_has_colours_all_the_same(outside: list[float]) -> None:
    assert np.isfinite(colours_of(np.zeros((200, 200, 3), np.uint8), boxes(outside))).all()


def test_the_younger_of_two_tracks_on_one_person_dies() -> None:
    tracker = Tracker(TrackerConfig())
    follow(tracker, [(t, boxes(person(100)), [0.9]) for t in (0.0, 0.1, 0.2)])
    twice = [(t, boxes(person(100), person(101)), [0.9, 0.8]) for t in (0.3, 0.4, 0.5)]
    assert [set(frame) for frame in follow(tracker, twice)] == [{1}, {1}, {1}]


def test_what_is_observed_is_the_detected_box() -> None:
    found = boxes(person(100))
    assert np.array_equal(follow(Tracker(TrackerConfig()), [(0.0, found, [0.9])])[0][1], found[0])


def test_moving_the_scene_moves_the_tracks_and_changes_nothing_else() -> None:
    scene = walk([lambda t: person(50 + 60 * t), lambda t: person(350 - 60 * t, 320, 130)], 10, 5)
    there = [(t, found + np.float32(1000), confidences) for t, found, confidences in scene]
    first, second = (follow(Tracker(TrackerConfig()), frames) for frames in (scene, there))
    assert [list(frame) for frame in first] == [list(frame) for frame in second]


def test_assignment_maximises_the_total_and_leaves_out_pairs_without_gain() -> None:
    gain = np.array([[0.9, 0.8, 0.0], [0.85, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert assign(gain).tolist() == [[0, 1], [1, 0]]


def test_iou_of_half_overlapping_squares_is_a_third() -> None:
    assert iou(np.array([0.0, 0, 2, 2]), np.array([1.0, 0, 3, 2])) == pytest.approx(1 / 3)


def test_time_that_runs_backwards_is_refused() -> None:
    tracker = Tracker(TrackerConfig())
    tracker.update(boxes(), np.empty(0, np.float32), 10)
    with pytest.raises(ValueError, match="9 ns after one at 10 ns"):
        tracker.update(boxes(), np.empty(0, np.float32), 9)


def test_boxes_without_confidences_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        Tracker(TrackerConfig()).update(boxes(person(1)), np.empty(0, np.float32), 0)


def test_a_second_box_on_someone_tracked_starts_no_track() -> None:
    tracker = Tracker(TrackerConfig())
    upper_half = [80.0, 200.0, 120.0, 262.0]
    frames = [
        (0.08 * i, boxes(person(100), upper_half) if i > 3 else boxes(person(100)), []) for i in range(20)
    ]
    seen = follow(tracker, [(t, found, [0.9] * len(found)) for t, found, _ in frames])
    assert {track for frame in seen for track in frame} == {1}

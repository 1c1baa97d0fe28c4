"""Tracklets against scripted tracks: nothing lost, nothing doubled, the watermark kept."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.config import TrackletConfig
from pipeline.messages import TrackletClosed, decode, encode
from pipeline.tracking.track import Observation
from pipeline.tracking.tracklets import TrackletBuilder, borders_cut, scaled_down, sharpness, visibility

STEP_NS = 40_000_000
BLANK = np.zeros((240, 320, 3), np.uint8)
EVERYTHING = TrackletConfig(min_duration_s=0, min_confidence=0)


def box(x: float, top: float = 50, height: float = 100) -> NDArray[np.float32]:
    return np.array([x, top, x + 0.4 * height, top + height], np.float32)


def seen(track: int, x: float = 100, confidence: float = 0.9, confirmed: bool = True) -> Observation:
    return Observation(track, box(x), confidence, confirmed)


def play(
    config: TrackletConfig, script: Sequence[list[Observation] | None], image: NDArray[np.uint8] = BLANK
) -> list[TrackletClosed]:
    """What comes of one entry a frame: the observations, or None where the frame is not detected."""
    builder = TrackletBuilder("door", 1, config)
    closed = []
    for index, observed in enumerate(script):
        if observed is None:
            builder.skip(index, index * STEP_NS)
        else:
            closed += builder.add(index, index * STEP_NS, image, observed, [])
    return closed + builder.close()


def test_frames_between_two_detections_are_interpolated_with_confidence_0() -> None:
    (tracklet,) = play(EVERYTHING, [[seen(1, 100)], None, [], None, [seen(1, 140)]])
    assert tracklet.frames.tolist() == [0, 1, 2, 3, 4]
    assert tracklet.boxes[:, 0].tolist() == [100, 110, 120, 130, 140]
    assert (tracklet.confidences == 0).tolist() == [False, True, True, True, False]


def test_interpolation_follows_time_not_frame_numbers() -> None:
    builder = TrackletBuilder("door", 1, EVERYTHING)
    builder.add(0, 0, BLANK, [seen(1, 100)], [])
    builder.skip(1, 750)
    builder.add(2, 1000, BLANK, [seen(1, 140)], [])
    assert builder.close()[0].boxes[1, 0] == 130


def test_frames_after_the_last_detection_are_not_part_of_the_tracklet() -> None:
    (tracklet,) = play(EVERYTHING, [[seen(1)], [seen(1)], None, [], None])
    assert tracklet.frames.tolist() == [0, 1]


def test_a_track_is_closed_in_the_frame_that_ends_it() -> None:
    builder = TrackletBuilder("door", 7, EVERYTHING)
    builder.add(0, 0, BLANK, [seen(3)], [])
    (tracklet,) = builder.add(1, STEP_NS, BLANK, [], [3, 99])
    assert (tracklet.camera, tracklet.key.recording, tracklet.key.track, tracklet.key.part) == (
        "door",
        7,
        3,
        0,
    )
    assert builder.close() == []


def test_a_tracklet_survives_the_wire() -> None:
    (tracklet,) = play(EVERYTHING, [[seen(1)], [seen(1)]])
    received = decode(encode(tracklet))
    assert isinstance(received, TrackletClosed)
    assert received.key == tracklet.key
    assert np.array_equal(received.boxes, tracklet.boxes)


@given(
    pattern=st.lists(st.sampled_from(["seen", "missed", "skipped"]), min_size=1, max_size=80),
    part_frames=st.integers(1, 30),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_parts_hold_every_frame_of_a_presence_once_and_cut_at_multiples_of_part_s(
    pattern: list[str], part_frames: int
) -> None:
    config = TrackletConfig(part_s=part_frames * STEP_NS / 1e9, min_duration_s=0, min_confidence=0)
    choices: dict[str, list[Observation] | None] = {"seen": [seen(1)], "missed": [], "skipped": None}
    parts = play(config, [choices[name] for name in pattern])
    marks = [index for index, name in enumerate(pattern) if name == "seen"]
    frames = [int(frame) for part in parts for frame in part.frames]
    assert frames == (list(range(marks[0], marks[-1] + 1)) if marks else [])
    for part in parts:
        assert {(int(frame) - marks[0]) // part_frames for frame in part.frames} == {part.key.part}


@given(seed=st.integers(0, 10_000))
@settings(deadline=None, max_examples=40, derandomize=True)
def test_no_tracklet_ends_before_a_watermark_given_earlier(seed: int) -> None:
    rng = np.random.default_rng(seed)
    builder = TrackletBuilder("door", 1, TrackletConfig(part_s=0.4, min_duration_s=0.1, min_confidence=0.5))
    alive, number, marks = [1], 1, [builder.watermark_ns]
    for index in range(80):
        time_ns = index * STEP_NS
        if rng.random() < 0.3:
            builder.skip(index, time_ns)
            continue
        found = [seen(t, confidence=float(rng.uniform(0.1, 1))) for t in alive if rng.random() < 0.6]
        ended = [t for t in alive if rng.random() < 0.05]
        closed = builder.add(index, time_ns, BLANK, found, ended)
        assert all(tracklet.times_ns[-1] >= marks[-1] for tracklet in closed)
        alive = [t for t in alive if t not in ended]
        if rng.random() < 0.2:
            number += 1
            alive.append(number)
        marks.append(builder.watermark_ns)
    assert marks == sorted(marks)
    assert all(tracklet.times_ns[-1] >= marks[-1] for tracklet in builder.close())


def test_a_part_is_emitted_as_soon_as_the_track_is_seen_past_its_end() -> None:
    builder = TrackletBuilder("door", 1, TrackletConfig(part_s=0.4, min_duration_s=0))
    closed = [builder.add(index, index * STEP_NS, BLANK, [seen(1)], []) for index in range(25)]
    assert [index for index, parts in enumerate(closed) if parts] == [10, 20]


def test_the_watermark_waits_for_a_track_that_may_still_be_found_again() -> None:
    builder = TrackletBuilder("door", 1, EVERYTHING)
    builder.add(0, 0, BLANK, [seen(1)], [])
    builder.add(1, STEP_NS, BLANK, [], [])
    assert builder.watermark_ns == 0
    builder.add(2, 2 * STEP_NS, BLANK, [], [1])
    assert builder.watermark_ns == 2 * STEP_NS


def test_a_track_too_short_or_never_sure_or_never_confirmed_is_dropped() -> None:
    config = TrackletConfig(min_duration_s=0.4, min_confidence=0.5)
    assert play(config, [[seen(1)]] * 10) == []
    assert play(config, [[seen(1, confidence=0.4)]] * 20) == []
    assert play(config, [[seen(1, confirmed=False)]] * 20) == []
    assert len(play(config, [[seen(1)]] * 11)) == 1


def test_one_sure_moment_is_enough_for_the_frames_before_and_every_later_part() -> None:
    config = TrackletConfig(part_s=0.8, min_duration_s=0.4, min_confidence=0.5)
    doubtful = [[seen(1, confidence=0.3)]]
    parts = play(config, doubtful * 10 + [[seen(1)]] + doubtful * 30)
    assert [part.key.part for part in parts] == [0, 1, 2]
    assert sum(len(part.frames) for part in parts) == 41


def photograph(seed: int = 5) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 255, (240, 320, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.5), np.uint8)


def test_crops_are_the_pixels_of_the_box_in_rgb() -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    image[50:150, 100:140] = (200, 30, 60)
    (tracklet,) = play(EVERYTHING, [[seen(1)]], image)
    (crop,) = tracklet.crops
    picture = cv2.imdecode(np.frombuffer(crop.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (100, 40, 3)
    assert np.abs(picture[50, 20, ::-1].astype(int) - (200, 30, 60)).max() <= 4
    assert crop.bbox.tolist() == [100, 50, 140, 150]


def test_crops_are_limited_spread_in_time_and_in_order() -> None:
    (tracklet,) = play(TrackletConfig(crops=4, min_duration_s=0), [[seen(1)]] * 100, photograph())
    frames = [crop.frame for crop in tracklet.crops]
    assert len(frames) == 4
    assert min(np.diff(frames)) >= 10


def test_a_clock_that_is_being_corrected_keeps_parts_crops_and_short_tracks() -> None:
    """Limits are whole steps of a detector's grid: 5 frames a second, each 0.2 s but for 0.3%."""
    config = TrackletConfig(part_s=2, crops=3)

    def seen_at(step_ns: int, frames: int) -> list[tuple[list[int], list[int]]]:
        builder = TrackletBuilder("door", 1, config)
        closed = [t for i in range(frames) for t in builder.add(i, i * step_ns, photograph(), [seen(1)], [])]
        return [(t.frames.tolist(), [c.frame for c in t.crops]) for t in closed + builder.close()]

    for frames in (3, 30):
        assert seen_at(199_400_000, frames) == seen_at(200_000_000, frames) == seen_at(200_600_000, frames)
        assert seen_at(200_000_000, frames)


def test_a_sharp_crop_is_preferred_to_a_blurred_one() -> None:
    sharp = photograph()
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 4), np.uint8)
    builder = TrackletBuilder("door", 1, TrackletConfig(crops=1, min_duration_s=0))
    for index, image in enumerate([blurred, blurred, sharp, blurred]):
        builder.add(index, index * STEP_NS, image, [seen(1)], [])
    assert [crop.frame for crop in builder.close()[0].crops] == [2]


def test_a_person_behind_another_gives_a_worse_crop_than_alone() -> None:
    front = Observation(2, box(110, 60), 0.9)
    builder = TrackletBuilder("door", 1, TrackletConfig(crops=1, min_duration_s=0))
    for index, others in enumerate([[front], [], [front]]):
        builder.add(index, index * STEP_NS, photograph(), [seen(1), *others], [])
    assert [crop.frame for crop in builder.close()[0].crops] == [1]


def test_a_person_cut_by_the_border_gives_a_worse_crop_and_no_pixels_outside() -> None:
    builder = TrackletBuilder("door", 1, TrackletConfig(crops=1, min_duration_s=0))
    builder.add(0, 0, photograph(), [Observation(1, box(-20), 0.9)], [])
    builder.add(1, STEP_NS, photograph(), [Observation(1, box(20), 0.9)], [])
    builder.add(2, 2 * STEP_NS, photograph(), [Observation(2, box(-20), 0.9)], [])
    whole, cut = builder.close()
    assert whole.crops[0].frame == 1
    assert cut.crops[0].bbox.tolist() == [0, 50, 20, 150]
    assert cut.boxes[0].tolist() == [-20, 50, 20, 150]


def test_high_crops_are_scaled_down_and_low_boxes_give_none() -> None:
    config = TrackletConfig(crop_height_px=64, min_height_px=24, min_duration_s=0)
    large, small = play(config, [[seen(1), Observation(2, box(10, 10, 24), 0.9)]], photograph())
    picture = cv2.imdecode(np.frombuffer(large.crops[0].jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (64, 26, 3)
    assert small.crops == ()


def test_a_box_outside_the_image_gives_no_crop() -> None:
    (tracklet,) = play(EVERYTHING, [[Observation(1, box(400), 0.9)]], photograph())
    assert tracklet.crops == ()


def test_what_is_kept_does_not_change_when_the_frame_is_reused() -> None:
    image = photograph()
    builder = TrackletBuilder("door", 1, EVERYTHING)
    builder.add(0, 0, image, [seen(1)], [])
    kept = play(EVERYTHING, [[seen(1)]], image.copy())[0].crops[0].jpeg
    image[:] = 0
    assert builder.close()[0].crops[0].jpeg == kept


def test_the_same_input_gives_the_same_bytes() -> None:
    script: Sequence[list[Observation] | None] = [[seen(1, i), seen(2, 200 - i)] for i in range(60)]
    first, second = (play(TrackletConfig(), script, photograph()) for _ in range(2))
    assert [encode(one) for one in first] == [encode(one) for one in second]


def test_frames_out_of_order_are_refused() -> None:
    builder = TrackletBuilder("door", 1, EVERYTHING)
    builder.skip(5, 100)
    with pytest.raises(ValueError, match="frame 5 at 120 ns after frame 5"):
        builder.skip(5, 120)
    with pytest.raises(ValueError, match="in order"):
        builder.add(6, 99, BLANK, [], [])


def test_the_one_in_front_is_hidden_less_than_the_one_behind() -> None:
    behind, front = visibility(np.array([[0, 0, 10, 100], [5, 10, 15, 110]], np.float32))
    assert behind == pytest.approx(0.55)
    assert front == pytest.approx(0.775)


def test_borders_sharpness_and_scale_at_their_limits() -> None:
    assert borders_cut(box(0, -5, 250), BLANK) == 3
    assert sharpness(BLANK) == 0
    assert scaled_down(BLANK, 120).shape == (120, 160, 3)

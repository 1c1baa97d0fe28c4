"""MOTA, IDF1 and HOTA on cases small enough to work out by hand."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate.labels import Labels, labels
from pipeline.evaluate.tracking_score import across_idf1, across_score, tracking_score


def standing(ids: list[int], *, first: int = 0, left: float = 0.0) -> Labels:
    """One box in each frame that never moves, under the given ids."""
    box = [left, 0.0, left + 10.0, 20.0]
    return labels(list(range(first, first + len(ids))), ids, [box] * len(ids))


def both(a: Labels, b: Labels) -> Labels:
    frames, ids = [*a.frames.tolist(), *b.frames.tolist()], [*a.ids.tolist(), *b.ids.tolist()]
    return labels(frames, ids, [*a.boxes.tolist(), *b.boxes.tolist()])


def test_the_truth_itself_scores_one() -> None:
    truth = both(standing([1] * 10), standing([2] * 10, left=50))
    score = tracking_score(truth, truth.named(truth.ids + 40))
    assert (score.mota, score.idf1, score.hota, score.switches) == (1, 1, 1, 0)


def test_a_track_that_breaks_in_the_middle_by_hand() -> None:
    score = tracking_score(standing([1] * 10), standing([7] * 5 + [8] * 5))
    assert score.switches == 1
    assert score.mota == pytest.approx(1 - 1 / 10)
    assert score.idf1 == pytest.approx(0.5)  # 5 true positives, 5 false, 5 missed
    assert score.hota == pytest.approx(0.5**0.5)  # DetA 1, AssA 5 / 10


def test_missed_and_invented_boxes_by_hand() -> None:
    truth = standing([1] * 10)
    found = both(standing([7] * 8), standing([9] * 2, left=50))
    score = tracking_score(truth, found)
    assert (score.recall, score.precision) == (0.8, 0.8)
    assert score.mota == pytest.approx(1 - 4 / 10)
    assert score.idf1 == pytest.approx(0.8)
    assert score.detection_accuracy == pytest.approx(8 / 12)
    assert score.hota == pytest.approx((8 / 12 * 8 / 10) ** 0.5)


def test_nothing_found_scores_zero_and_nobody_there_scores_zero() -> None:
    truth, nothing = standing([1] * 4), standing([])
    assert tracking_score(truth, nothing).idf1 == tracking_score(nothing, truth).idf1 == 0
    assert across_score([(truth, nothing)]).reid_hota == across_score([(nothing, truth)]).reid_hota == 0


def test_one_identity_in_both_cameras_by_hand() -> None:
    cameras = [(standing([1] * 6), standing([5] * 6)), (standing([1] * 4), standing([5] * 4))]
    score = across_score(cameras)
    assert (score.idf1, score.hota, score.reid_hota) == pytest.approx((1, 1, 1))


def test_a_person_renamed_in_the_second_camera_by_hand() -> None:
    cameras = [(standing([1] * 6), standing([5] * 6)), (standing([1] * 4), standing([6] * 4))]
    score = across_score(cameras)
    assert score.idf1 == pytest.approx(0.6)
    assert score.association_accuracy == pytest.approx((6 * 6 / 10 + 4 * 4 / 10) / 10)
    assert score.hota == pytest.approx(0.52**0.5)
    # one to one: 6 right, 4 wrong, 4 missed: DetA 6 / 14, AssA 6 / 10
    assert score.reid_hota == pytest.approx((6 / 14 * 6 / 10) ** 0.5)


def test_two_people_merged_across_cameras_by_hand() -> None:
    cameras = [(standing([1] * 6), standing([5] * 6)), (standing([2] * 4), standing([5] * 4))]
    score = across_score(cameras)
    assert score.idf1 == pytest.approx(0.6)
    assert (score.id_precision, score.id_recall) == pytest.approx((0.6, 0.6))


NAMES = st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.sampled_from([5, 6, 7])), min_size=1, max_size=12)


@settings(deadline=None)
@given(NAMES, NAMES)
def test_idf1_is_that_of_the_best_of_all_assignments(
    a: list[tuple[int, int]], b: list[tuple[int, int]]
) -> None:
    cameras = [(standing([t for t, _ in part]), standing([f for _, f in part])) for part in (a, b)]
    both_cameras, boxes = [*a, *b], 2 * len([*a, *b])
    best = max(
        sum((person, name) in set(zip((1, 2, 3), order, strict=True)) for person, name in both_cameras)
        for order in permutations((5, 6, 7))
    )
    assert across_idf1(cameras) == pytest.approx(2 * best / boxes)


def test_renaming_everybody_changes_nothing() -> None:
    cameras = [(standing([1, 1, 2]), standing([5, 6, 6])), (standing([2, 2]), standing([5, 5]))]
    renamed = [(t.named(t.ids * 7), f.named(-f.ids)) for t, f in cameras]
    assert across_score(cameras) == across_score(renamed)

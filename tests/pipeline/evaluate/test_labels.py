"""Which boxes of two lists show the same person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.boxes import iou_matrix
from pipeline.evaluate.labels import labels, matched, overlapping

BOX = [0.0, 0.0, 10.0, 20.0]
HALF_AWAY = [3.0, 0.0, 13.0, 20.0]  # IoU 7/13 = 0.538
AWAY = [4.0, 0.0, 14.0, 20.0]  # IoU 6/14 = 0.429


def test_overlap_is_the_shared_area_over_the_covered_one() -> None:
    found = iou_matrix(np.array([BOX]), np.array([BOX, HALF_AWAY, AWAY, [50, 50, 60, 60], [5, 5, 5, 5]]))
    assert found[0].tolist() == pytest.approx([1, 7 / 13, 6 / 14, 0, 0])


def test_a_box_shows_whom_it_overlaps_by_half() -> None:
    truth = labels([0, 1], [1, 1], [BOX, BOX])
    assert matched(labels([0, 1], [7, 7], [HALF_AWAY, AWAY]), truth).tolist() == [0, -1]


def test_two_boxes_on_one_person_show_that_person_once() -> None:
    truth = labels([0], [1], [BOX])
    assert matched(labels([0, 0], [7, 8], [HALF_AWAY, BOX]), truth).tolist() == [-1, 0]


def test_more_pairs_count_for_more_than_closer_ones() -> None:
    truth = labels([0, 0], [1, 2], [[0, 0, 10, 10], [0, 3, 10, 13]])
    found = labels([0, 0], [7, 8], [[0, 3, 10, 13], [0, 6, 10, 16]])  # 8 overlaps only person 2
    assert matched(found, truth).tolist() == [0, 1]


def test_labels_are_sorted_by_frame() -> None:
    rows = labels([5, 2], [1, 2], [BOX, AWAY])
    assert rows.frames.tolist() == [2, 5] and rows.ids.tolist() == [2, 1]


def test_a_region_takes_out_every_box_on_it() -> None:
    region = labels([0], [1], [BOX])
    assert overlapping(labels([0, 0, 1], [7, 8, 9], [BOX, HALF_AWAY, BOX]), region).tolist() == [
        True,
        True,
        False,
    ]


@settings(deadline=None)
@given(st.permutations(range(6)))
def test_who_is_shown_does_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    boxes = [[20.0 * i, 0.0, 20.0 * i + 10, 20.0] for i in range(6)]
    truth = labels([0] * 6, list(range(6)), boxes)
    found = labels([0] * 6, order, [boxes[i] for i in order])
    assert truth.ids[matched(found, truth)].tolist() == order

"""Average precision against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.tracking.detect import Detections
from pipeline.tracking.training.average_precision import average_precision

TRUTH = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)


def detections(boxes: list[list[float]], confidences: list[float]) -> Detections:
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(confidences, np.float32))


def test_finding_everyone_exactly_is_perfect() -> None:
    score = average_precision([detections(TRUTH.tolist(), [0.9, 0.8])], [TRUTH])
    assert (score.ap50, score.ap) == (1.0, 1.0)


def test_finding_nobody_is_zero() -> None:
    assert average_precision([detections([], [])], [TRUTH]).ap50 == 0


def test_half_of_the_people_without_a_false_box_is_half() -> None:
    score = average_precision([detections(TRUTH[:1].tolist(), [0.9])], [TRUTH])
    assert score.ap50 == pytest.approx(51 / 101)


def test_a_second_box_on_a_person_is_false() -> None:
    doubled = detections([*TRUTH[:1].tolist() * 2, TRUTH[1].tolist()], [0.9, 0.8, 0.7])
    assert average_precision([doubled], [TRUTH]).ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_a_loose_box_counts_only_at_loose_thresholds() -> None:
    loose = detections([[0, 0, 10, 7.2], [20, 0, 30, 7.2]], [0.9, 0.8])  # IoU 0.72: 0.50 ... 0.70
    score = average_precision([loose], [TRUTH])
    assert (score.ap50, score.ap) == (1.0, pytest.approx(0.5))


def test_confidence_ranks_boxes_across_images() -> None:
    wrong_but_timid = [detections(TRUTH.tolist(), [0.9, 0.8]), detections([[50, 50, 60, 60]], [0.1])]
    wrong_and_sure = [detections(TRUTH.tolist(), [0.9, 0.8]), detections([[50, 50, 60, 60]], [0.95])]
    truth = [TRUTH, np.zeros((0, 4), np.float32)]
    assert average_precision(wrong_but_timid, truth).ap50 == 1
    assert average_precision(wrong_and_sure, truth).ap50 == pytest.approx(2 / 3)

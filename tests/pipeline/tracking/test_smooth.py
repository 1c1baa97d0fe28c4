"""Smoothed boxes: truer than the detector's, and the same where nothing jitters."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.tracking.smooth import smoothed

TIMES_NS = (np.arange(60) * 8e7).astype(np.int64)
"""12.5 boxes a second."""


def walk(noise_px: float = 0.0) -> np.ndarray:
    """A person 100 px high who walks, slows down and turns."""
    seconds = TIMES_NS / 1e9
    x = 50 * seconds + 20 * np.sin(1.5 * seconds)
    boxes = np.stack([x, 0 * x + 20, x + 40, 0 * x + 120], axis=1)
    return (boxes + noise_px * np.random.default_rng(0).standard_normal(boxes.shape)).astype(np.float32)


def error_px(boxes: np.ndarray) -> float:
    return float(np.sqrt(np.square(boxes - walk()).mean()))


def test_jitter_is_halved_and_a_walk_is_not_bent() -> None:
    assert error_px(smoothed(walk(4.0), TIMES_NS)) < 0.5 * error_px(walk(4.0))
    assert error_px(smoothed(walk(), TIMES_NS)) < 1.0


def test_who_walks_straight_stays_where_they_are() -> None:
    steps = np.arange(20)
    straight = np.stack([3 * steps, steps, 3 * steps + 40, steps + 100], axis=1).astype(np.float32)
    assert smoothed(straight, TIMES_NS[:20]) == pytest.approx(straight, abs=1e-3)


@pytest.mark.parametrize("times_ns", [TIMES_NS[:0], TIMES_NS[:4], np.zeros(8, np.int64)])
def test_what_cannot_be_smoothed_stays(times_ns: np.ndarray) -> None:
    boxes = walk(4.0)[: len(times_ns)]
    assert np.array_equal(smoothed(boxes, times_ns), boxes)


def test_the_time_of_day_changes_nothing() -> None:
    today = TIMES_NS + 1_795_000_000_000_000_000
    assert np.array_equal(smoothed(walk(4.0), today), smoothed(walk(4.0), TIMES_NS))

"""Source time and sampling, apart from any file."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cameras.frames import REPAIR_STEP_NS, Grid, Repairs, SourceClock, letterbox

MS = 1_000_000


@given(st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6), st.integers()), min_size=1, max_size=50))
def test_times_increase_whatever_the_time_stamps(stamps: list[int | None]) -> None:
    clock = SourceClock(5, Fraction(25), Fraction(1, 1000), Repairs())
    times = [clock.time_ns(pts) for pts in stamps]
    assert times[-1] < 2**63 and times[0] == 5 and all(b > a for a, b in pairwise(times))


def test_a_repeated_time_stamp_is_repaired_and_the_rest_keeps_its_time() -> None:
    repairs = Repairs()
    clock = SourceClock(0, Fraction(10), Fraction(1, 10), repairs)
    assert [clock.time_ns(pts) for pts in (0, 1, 1, 3)] == [0, 100 * MS, 100 * MS + REPAIR_STEP_NS, 300 * MS]
    assert repairs.time_stamps == 1


def test_a_clock_that_starts_again_goes_on_where_the_old_one_ended() -> None:
    repairs = Repairs()
    clock = SourceClock(0, Fraction(10), Fraction(1, 10), repairs)
    times = [clock.time_ns(pts) for pts in (500, 501, 530, 0, 1)]
    assert times == [0, 100 * MS, 3000 * MS, 3100 * MS, 3200 * MS] and repairs.time_stamps == 1


def test_grid_takes_the_first_frame_and_then_the_first_at_each_point() -> None:
    grid = Grid(12.5)
    assert [grid.due(7 + i * 40 * MS) for i in range(6)] == [True, False, True, False, True, False]
    gap = Grid(10)
    assert [gap.due(t * MS) for t in (0, 350, 390, 400, 480, 500)] == [True, True, False, True, False, True]


def test_grid_is_even_on_time_stamps_rounded_to_milliseconds() -> None:
    grid = Grid(15)
    assert [grid.due(round(i * 1000 / 30) * MS) for i in range(300)] == [True, False] * 150


@given(st.floats(0.5, 60), st.lists(st.integers(1, 500), min_size=1, max_size=100))
def test_grid_takes_no_more_frames_than_it_has_points(rate: float, steps: list[int]) -> None:
    times = np.cumsum([0, *steps]) * MS
    grid = Grid(rate)
    taken = sum(grid.due(int(t)) for t in times)
    assert 1 <= taken <= (times[-1] / 1e9 + 0.001) * rate + 1.001


def test_grid_of_max_takes_every_frame_and_of_nothing_is_refused() -> None:
    grid = Grid("max")
    assert all(grid.due(t) for t in range(5))
    with pytest.raises(ValueError, match="above 0"):
        Grid(0)


def test_letterbox_keeps_proportions() -> None:
    framed = letterbox(np.full((10, 10, 3), 255, np.uint8), 40, 20)
    assert framed[:, 10:30].min() == 255 and framed[:, :10].max() == framed[:, 30:].max() == 0

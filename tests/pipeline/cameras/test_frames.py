"""Source time and sampling, apart from any file."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cameras.frames import Grid, Repairs

MS = 1_000_000


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


def test_repairs_are_told_in_one_line_a_kind_and_not_without_end() -> None:
    repairs = Repairs(skipped=3, damaged=2)
    for number in range(10):
        repairs.tell(f"event {number}")
    assert repairs.lines[0] == "event 0" and "more of this kind: 2" in repairs.lines
    assert str(Repairs(skipped=3)) == "undecodable packets skipped: 3" and str(Repairs()) == ""

"""Which stays cannot be one person's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.linking.site import Place
from pipeline.linking.two_places_at_once import exclusive, share_time

TIME = st.integers(0, 20)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (Place("hall", True), Place("gate", True), True),
        (Place("hall", True), Place("gate", False), False),
        (Place("hall", True, frozenset({"gate"})), Place("gate", True), False),
        (Place("hall", True), Place("gate", True, frozenset({"hall"})), False),
    ],
)
def test_nobody_is_at_two_places_unless_views_overlap_or_clocks_are_unknown(
    a: Place, b: Place, expected: bool
) -> None:
    assert exclusive(a, b) == exclusive(b, a) == expected


def test_stays_that_touch_share_a_moment_and_no_time() -> None:
    assert share_time(0, 10, 10, 20)
    assert not share_time(0, 10, 11, 20)
    assert not share_time(0, 10, 10, 20, more_than_ns=0)


def test_clocks_that_differ_excuse_as_much() -> None:
    assert not share_time(0, 10, 7, 20, more_than_ns=3)
    assert share_time(0, 10, 6, 20, more_than_ns=3)


@given(TIME, TIME, TIME, TIME, st.integers(0, 5))
def test_arrays_are_compared_as_numbers_are_and_order_does_not_matter(
    start: int, end: int, other_start: int, other_end: int, slack: int
) -> None:
    expected = share_time(start, end, other_start, other_end, more_than_ns=slack)
    a, b, c, d = (np.array([time], np.int64) for time in (start, end, other_start, other_end))
    assert share_time(a, b, c, d, more_than_ns=slack).tolist() == [expected]
    assert share_time(other_start, other_end, start, end, more_than_ns=slack) == expected

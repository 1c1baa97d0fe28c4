"""Time stamps as recorders write them, and the source times made of them."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cameras.frames import Repairs
from pipeline.cameras.source_clock import SourceClock, said_s

MS = 1_000_000


def times(
    stamps: list[int | None], *, rate: int = 10, units: int = 10, wrap: int | None = None, held: int = 128
) -> tuple[list[int], Repairs]:
    """Source times in ms of these stamps."""
    repairs = Repairs()
    clock = SourceClock[int](0, Fraction(rate), Fraction(1, units), repairs, wrap=wrap, held=held)
    taken = [pair for index, stamp in enumerate(stamps) for pair in clock.take(index, stamp)]
    taken += clock.rest()
    assert [index for index, _ in taken] == list(range(len(stamps)))
    return [time_ns // MS for _, time_ns in taken], repairs


@given(
    st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6), st.integers()), min_size=1, max_size=50),
    st.sampled_from([None, 2**33]),
    st.integers(1, 20),
)
def test_times_increase_whatever_the_time_stamps(
    stamps: list[int | None], wrap: int | None, held: int
) -> None:
    clock = SourceClock[int](5, Fraction(25), Fraction(1, 1000), Repairs(), wrap=wrap, held=held)
    taken = [pair for index, stamp in enumerate(stamps) for pair in clock.take(index, stamp)] + list(
        clock.rest()
    )
    assert [index for index, _ in taken] == list(range(len(stamps)))
    assert taken[0][1] == 5 and taken[-1][1] < 2**63 and all(b > a for (_, a), (_, b) in pairwise(taken))


def test_a_repeated_time_stamp_lies_between_its_neighbours_and_the_rest_keeps_its_time() -> None:
    found, repairs = times([0, 1, 1, 3])
    assert found == [0, 100, 200, 300] and repairs.time_stamps == 1


def test_stamps_in_whole_seconds_are_spread_evenly_over_each_second() -> None:
    found, repairs = times([second for second in range(4) for _ in range(25)], rate=25, units=1)
    assert found == [index * 40 for index in range(100)] and repairs.time_stamps == 96


def test_frames_before_a_hole_keep_their_pace() -> None:
    stamps: list[int | None] = [0] * 5 + [1] * 5 + [3600] * 5
    found, _ = times(stamps, rate=5, units=1)
    assert found == [i * 200 for i in range(10)] + [3_600_000 + i * 200 for i in range(5)]


def test_no_more_frames_wait_than_there_is_room_for() -> None:
    found, _ = times([0] * 25 + [1] * 25, rate=25, units=1, held=4)
    assert all(b > a for a, b in pairwise(found)) and found[24] < 1000 == found[25]


def test_stamps_in_the_order_of_decoding_are_put_between_their_neighbours() -> None:
    assert times([1, 2, 3, 5, 6, 4, 8, 9])[0] == [0, 100, 200, 400, 500, 600, 700, 800]


def test_a_clock_that_starts_again_goes_on_where_the_old_one_ended() -> None:
    found, repairs = times([500, 501, 530, 0, 1])
    assert found == [0, 100, 3000, 3100, 3200] and repairs.time_stamps == 0
    assert repairs.lines == (
        "the clock of the recording starts anew: times go on where they ended (at 3.0 s)",
    )


def test_a_clock_that_runs_over_its_last_bit_goes_on() -> None:
    last = 2**33
    found, repairs = times([last - 18000, last - 9000, 0, 9000, 27000], units=90000, wrap=last)
    assert found == [0, 100, 200, 300, 500] and "ran over its last bit" in str(repairs)


def test_a_jump_of_days_is_a_hole_that_is_told_and_one_of_years_is_damage() -> None:
    days = 3 * 86400
    found, repairs = times([0, 1, days, days + 1], units=1, rate=1)
    assert found == [0, 1000, days * 1000, days * 1000 + 1000] and "a hole of 2 days 23 h" in str(repairs)
    found, repairs = times([0, 1, 10**9, 10**9 + 1], units=1, rate=1)
    assert found == [0, 1000, 2000, 3000] and "starts anew" in str(repairs)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (7.41, "7.4 s"),
        (750, "12 min 30 s"),
        (3900, "1 h 05 min"),
        (93600, "1 day 2 h"),
        (360_000, "4 days 4 h"),
    ],
)
def test_spans_are_said_in_words(seconds: float, said: str) -> None:
    assert said_s(int(seconds * 1e9)) == said

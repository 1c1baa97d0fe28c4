"""Two tracks on one body may be one person; two bodies in one frame may not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.linking.double_boxes import Doubles, meeting, one_body
from pipeline.records import Trajectory


def path(first: int, *lefts: float) -> Trajectory:
    """Boxes 20 px wide and 60 high from a frame on, five frames a second."""
    frames = np.arange(first, first + len(lefts))
    return Trajectory(frames, frames * 200_000_000, np.array([[x, 0.0, x + 20, 60.0] for x in lefts]))


@pytest.mark.parametrize(
    ("other", "double"),
    [
        (path(0, 3, 3, 3, 3), True),
        (path(2, 2, 0), True),
        (path(0, 15, 15, 15, 15), False),
        (path(0, 0, 15, 15, 15, 15), True),
        (path(0, 15, 15, 15, 15, 0), True),
        (path(0, 15, 0, 0, 15, 15), False),
        (path(0, 0, 0, 15, 15, 15, 15), False),
        (path(9, 0), False),
    ],
)
def test_boxes_of_one_body_lie_on_each_other_most_of_the_time_or_where_they_change_hands(
    other: Trajectory, double: bool
) -> None:
    met = meeting(path(0, *[0] * 9), other)
    assert (met is not None and one_body([met], None)) == double


def test_parts_are_judged_together_and_a_track_that_may_go_on_does_not_hand_over() -> None:
    near, apart = path(0, 0, 0), path(2, *[90] * 8)
    first, rest = meeting(path(0, 0, 0), near), meeting(path(2, *[0] * 8), apart)
    assert first and rest
    assert one_body([first], None) and not one_body([rest, first], None)
    brief = meeting(path(0, 0, 0, 0), path(0, 0, 15, 15))
    assert brief and one_body([brief], 10**9) and not one_body([brief], brief.last_ns)


def test_a_pair_is_looked_at_once_and_forgotten_when_it_is_not_asked_for() -> None:
    asked: list[int] = []
    there = {1: path(0, 0, 0), 2: path(0, 1, 1), 3: path(0, 50, 50)}

    def read(ids: Sequence[int]) -> dict[int, Trajectory]:
        asked.extend(ids)
        return {number: there[number] for number in ids if number in there}

    doubles = Doubles(read)
    met = doubles.meetings([(1, 2), (1, 3), (2, 9)])
    assert [met[pair] and met[pair].together for pair in ((1, 2), (1, 3), (2, 9))] == [2, 0, None]
    assert sorted(asked) == [1, 2, 3, 9]
    assert doubles.meetings([(1, 2)]).keys() == {(1, 2)} and len(asked) == 4
    assert doubles.met.keys() == {(1, 2)}

"""Two tracks on one body may be one person; two bodies in one frame may not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.doubles import Doubles, Path, lie_on_each_other


def path(first: int, *lefts: float) -> Path:
    """Boxes 20 px wide and 60 high from a frame on, five frames a second."""
    frames = np.arange(first, first + len(lefts))
    return Path(frames, frames * 200_000_000, np.array([[x, 0.0, x + 20, 60.0] for x in lefts]))


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
    other: Path, double: bool
) -> None:
    assert lie_on_each_other(path(0, *[0] * 9), other) == double


def test_a_pair_is_decided_once_and_forgotten_when_it_is_not_asked_for() -> None:
    asked: list[int] = []
    there = {1: path(0, 0, 0), 2: path(0, 1, 1), 3: path(0, 50, 50)}

    def read(ids: Sequence[int]) -> dict[int, Path]:
        asked.extend(ids)
        return {number: there[number] for number in ids if number in there}

    doubles = Doubles(read)
    assert doubles.among({(1, 2), (1, 3), (2, 9)}) == {(1, 2)}
    assert sorted(asked) == [1, 2, 3, 9]
    assert doubles.among({(1, 2)}) == {(1, 2)} and len(asked) == 4
    assert doubles.decided.keys() == {(1, 2)}

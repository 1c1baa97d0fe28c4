"""Somebody with two boxes in one frame counts once."""

from __future__ import annotations

import numpy as np

from pipeline.evaluate.annotate import trusted
from pipeline.evaluate.found_boxes import FoundBoxes, one_box_each
from pipeline.evaluate.labels import Labels


def boxes(frames: list[int], ids: list[int]) -> Labels:
    return Labels(np.array(frames), np.array(ids), np.zeros((len(ids), 4)))


def test_a_second_box_has_one_new_id_in_every_frame() -> None:
    doubled = boxes([1, 1, 1, 2, 2, 2, 3], [7, 7, 8, 7, 7, 7, 7])
    ids = one_box_each(doubled).ids.tolist()
    assert [ids[row] for row in (0, 2, 3, 6)] == [7, 8, 7, 7]
    assert ids[1] == ids[4] != ids[5] and not {ids[1], ids[5]} & {7, 8}
    assert len(one_box_each(boxes([], []))) == 0


def test_what_was_confirmed_is_truth_also_where_a_surer_box_was_not() -> None:
    found = FoundBoxes(boxes([1, 1, 2], [1, 2, 2]), np.array([5, 5, 5]), np.array([10, 11, 11]))
    assert trusted(found, {11}, "confirmed").tolist() == [False, True, True]
    assert trusted(found, set(), "everything").tolist() == [True, False, True]

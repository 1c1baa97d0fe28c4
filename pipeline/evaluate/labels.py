"""Who is where in one camera's frames, and which boxes of two such lists show the same person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pipeline.boxes import iou_matrix

LEAST_IOU = 0.5
"""Overlap from which two boxes show the same person; the field's custom (MOT Challenge)."""

Boxes = NDArray[np.float64]
Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """Boxes in one camera, by frame."""

    frames: Numbers  # (B,) 0-based, ascending
    ids: Numbers  # (B,)
    boxes: Boxes  # (B, 4) xyxy, px

    def __len__(self) -> int:
        return len(self.frames)

    def where(self, mask: Mask) -> Labels:
        """The boxes of a (B,) mask."""
        return Labels(self.frames[mask], self.ids[mask], self.boxes[mask])

    def named(self, ids: Numbers) -> Labels:
        """The same boxes with other ids (B,)."""
        return Labels(self.frames, ids, self.boxes)


def labels(frames: list[int], ids: list[int], boxes: list[list[float]]) -> Labels:
    """Labels from rows in any order."""
    numbers = np.array(frames, np.int64)
    order = np.argsort(numbers, kind="stable")
    rows = np.array(boxes, np.float64).reshape(-1, 4)
    return Labels(numbers[order], np.array(ids, np.int64)[order], rows[order])


def common_frames(a: Labels, b: Labels) -> Iterator[tuple[slice, slice]]:
    """Rows of every frame that either of two has, ascending; a slice is empty where it has none."""
    frames = np.union1d(a.frames, b.frames)
    starts = [np.searchsorted(part.frames, frames) for part in (a, b)]
    ends = [np.searchsorted(part.frames, frames, side="right") for part in (a, b)]
    for a0, a1, b0, b1 in zip(starts[0], ends[0], starts[1], ends[1], strict=True):
        yield slice(int(a0), int(a1)), slice(int(b0), int(b1))


def matched(found: Labels, truth: Labels) -> Numbers:
    """The row of the truth that each found box shows, -1 for none.

    One to one in each frame: as many pairs as possible that overlap by LEAST_IOU, then the closest.

    Args:
        found: (F) boxes.
        truth: (T) boxes.

    Returns:
        (F,) rows of `truth`.
    """
    rows = np.full(len(found), -1, np.int64)
    for mine, true in common_frames(found, truth):
        if mine.start == mine.stop or true.start == true.stop:
            continue
        overlap = iou_matrix(found.boxes[mine], truth.boxes[true])
        near = overlap >= LEAST_IOU
        a, b = linear_sum_assignment(np.where(near, 1 + overlap / 1000, 0), maximize=True)
        kept = near[a, b]
        rows[mine.start + a[kept]] = true.start + b[kept]
    return rows


def overlapping(found: Labels, regions: Labels) -> Mask:
    """(F,) whether a found box overlaps any of the regions in its frame by LEAST_IOU."""
    result = np.zeros(len(found), np.bool_)
    for mine, region in common_frames(found, regions):
        if mine.start < mine.stop and region.start < region.stop:
            result[mine] = (iou_matrix(found.boxes[mine], regions.boxes[region]) >= LEAST_IOU).any(axis=1)
    return result

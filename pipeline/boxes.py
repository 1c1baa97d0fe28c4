"""Boxes in a picture: xyxy, px."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of xyxy boxes, broadcast over all axes but the last."""
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = area(np.concatenate([low, np.maximum(low, high)], axis=-1))
    return np.asarray(shared / np.maximum(area(first) + area(second) - shared, 1e-9))


def iou_matrix(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """(A, B) intersection over union of (A, 4) and (B, 4) xyxy boxes."""
    return iou(a[:, None], b[None])


def area(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """(...,) of (..., 4) xyxy boxes, 0 of one that ends before it begins."""
    return np.asarray(np.maximum(boxes[..., 2:] - boxes[..., :2], 0).prod(axis=-1), np.float64)


def first_in_frame(keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(B,) whether a box is the first of its (frame, track or person); keys (B, 2)."""
    first = np.zeros(len(keys), np.bool_)
    first[np.unique(keys, axis=0, return_index=True)[1]] = True
    return first

"""How good boxes are: COCO's average precision of one class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import iou_matrix
from pipeline.tracking.detect import Detections

IOUS = np.arange(0.5, 1.0, 0.05)
"""COCO's thresholds."""
RECALLS = np.linspace(0, 1, 101)
"""COCO's points of the precision-recall curve."""
COCO_MAX_BOXES = 100


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's AP of one class."""

    ap50: float
    ap: float
    """Mean over the IoU thresholds 0.50, 0.55, ... 0.95."""


def average_precision(found: list[Detections], truth: list[NDArray[np.float32]]) -> AveragePrecision:
    """COCO's average precision of one class: greedy matching by confidence, 101-point interpolation.

    Args:
        found: the boxes of each image.
        truth: (M, 4) xyxy labelled boxes of each image, px.
    """
    confidences = np.concatenate([detections.confidences[:COCO_MAX_BOXES] for detections in found])
    hits = np.concatenate([match(d.boxes[:COCO_MAX_BOXES], t) for d, t in zip(found, truth, strict=True)])
    hits = hits[np.argsort(-confidences, kind="stable")]  # (N, thresholds)
    total = sum(len(boxes) for boxes in truth)
    if not total or not len(hits):
        return AveragePrecision(0.0, 0.0)
    correct = np.cumsum(hits, axis=0)
    recall, precision = correct / total, correct / np.arange(1, len(hits) + 1)[:, None]
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    aps = [area_under(recall[:, i], precision[:, i]) for i in range(len(IOUS))]
    return AveragePrecision(float(aps[0]), float(np.mean(aps)))


def area_under(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    """Mean of a falling precision curve at COCO's recall points; 0 beyond its end."""
    places = np.searchsorted(recall, RECALLS, side="left")
    return float(np.mean(np.append(precision, 0.0)[places]))


def match(boxes: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N, thresholds): whether each box, best first, takes a labelled box that no better one has taken."""
    hits = np.zeros((len(boxes), len(IOUS)), bool)
    ious = iou_matrix(boxes, truth)
    for column, threshold in enumerate(IOUS):
        free = np.ones(len(truth), bool)
        for row in range(len(boxes)):
            overlaps = np.where(free, ious[row], -1)
            if free.any() and overlaps.max() >= threshold:
                free[overlaps.argmax()] = False
                hits[row, column] = True
    return hits

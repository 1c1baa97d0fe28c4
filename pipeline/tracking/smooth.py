"""Boxes of a closed tracklet without the detector's jitter: who moved smoothly is shown moving smoothly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_smoothing_spline

from pipeline.tracking.track import ACCELERATION, MEASUREMENT, xywh, xyxy

LEAST = 5
"""Boxes that a cubic spline needs."""
STIFFNESS_S3 = (MEASUREMENT / ACCELERATION) ** 2
"""(4,) weight of the squared acceleration of centre x, centre y, width and height beside the squared error.

The smoothing spline of this weight is the mean of what the tracker's motion model (a velocity that walks at
random) holds for likely once all boxes are known [Wahba 1978]; no number is new."""


def smoothed(boxes: NDArray[np.float32], times_ns: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N, 4) the likeliest true boxes, given all that were detected; few or simultaneous ones as they are.

    Args:
        boxes: (N, 4) xyxy, px, in order of time.
        times_ns: (N,) source time.
    """
    times_s = (times_ns - times_ns[:1]) / 1e9
    if len(boxes) < LEAST or not (np.diff(times_s) > 0).all():
        return boxes
    measured = xywh(boxes.astype(np.float64))
    columns = zip(measured.T, STIFFNESS_S3, strict=True)
    likely = [make_smoothing_spline(times_s, column, lam=stiff)(times_s) for column, stiff in columns]
    return xyxy(np.stack(likely, axis=1)).astype(np.float32)

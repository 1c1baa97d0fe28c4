"""Made-up embeddings of crops and a calibration, for tests of what compares them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.sets.affinity import PairCalibration
from reid.sets.tracklets import Calibration

CALIBRATION = Calibration(
    cosine=-2,
    fpr=-2,
    cosine_gap=-8,
    fpr_gap=-20,
    visible=0,
    intercept=0,
    stranger_cosine=0.6,
    stranger_fpr=0.5,
)


@dataclass(frozen=True)
class Crop:
    """What a network says about one crop."""

    cells: NDArray[np.float16]
    foreground: NDArray[np.float16]
    pooled: NDArray[np.float16]


def unit(raw: NDArray[np.float64]) -> NDArray[np.float16]:
    """The vectors along the last axis, at unit length."""
    result: NDArray[np.float16] = (raw / np.linalg.norm(raw, axis=-1, keepdims=True)).astype(np.float16)
    return result


PAIRS = PairCalibration(cosine=-20.0, fpr=-20.0, intercept=-7.5, stranger_cosine=0.9, stranger_fpr=0.32)
"""Slopes of pairs as the shipped weights have them."""
NOTES = CALIBRATION.as_dict() | {"pairs": PAIRS.as_dict()}
"""Both, as `reid.calibrate` writes them into weights."""

"""One distance from pooled cosine and FPR, which trusts FPR more the more of the probe is hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

QUARTER, MOST_WEIGHT = 0.25, 3.0
"""Chosen on held-out people; a third or the square of the hidden share are within 0.2 mAP."""
HEAD_VISIBLE = 1 / 3
"""Stands in for the mean foreground of a head on a foreign network, which is the same however much is covered
(0.06 with `head_0277`). It weighs FPR by a half in full view: chosen on held-out people."""
FLAT = 1e-6
"""Least deviation that is divided by: a gallery of equal distances is left at 0."""


def fused(
    pooled: NDArray[np.floating[Any]], fpr: NDArray[np.floating[Any]], hidden: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """How far each gallery picture is from each probe: z(pooled) + w z(fpr), w = hidden / (4 visible).

    Both distances are standardised over the probe's gallery, because cosine spreads four times as far as FPR.
    The weight was chosen on held-out people, see docs/lab/reid.md.

    Args:
        pooled, fpr: (Q, G) distances, small = same.
        hidden: (Q,) share of a whole body that each probe does not show, 0..1; see `hidden_share`.

    Returns:
        (Q, G), comparable within a row only.

    Raises:
        ValueError: shapes do not fit, or a share outside 0..1.
    """
    if pooled.shape != fpr.shape or hidden.shape != pooled.shape[:1]:
        shapes = f"pooled {pooled.shape}, fpr {fpr.shape}, hidden {hidden.shape}"
        raise ValueError(f"{shapes}: must fit (Q, G), (Q, G), (Q,)")
    result: NDArray[np.float32] = standardized(pooled) + fpr_weight(hidden)[:, None] * standardized(fpr)
    return result


def fpr_weight(hidden: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(Q,) how much FPR counts beside the pooled vector: from 0 in full view to MOST_WEIGHT.

    Raises:
        ValueError: a share outside 0..1.
    """
    if not ((hidden >= 0) & (hidden <= 1)).all():
        raise ValueError("hidden must be in 0..1")
    wide = hidden.astype(np.float32)
    return np.minimum(QUARTER * wide / np.maximum(1 - wide, FLAT), np.float32(MOST_WEIGHT))


def hidden_share(visible: float, shown: float) -> float:
    """How much of a body a crop does not show, 0..1: covered, background, or outside the picture.

    Args:
        visible: mean probability that a cell shows the person; HEAD_VISIBLE where that means nothing.
        shown: share of a whole body's height that the picture has room for, see `shown_height`.
    """
    return 1 - visible * shown


def shown_height(height_px: int, width_px: int, aspect: float) -> float:
    """The share of a whole body's height that a crop of this shape has room for, 0..1.

    Half bodies are as wide as whole ones and less high.

    Args:
        aspect: height by width of a whole body's crop.
    """
    return min(1.0, height_px / width_px / aspect)


def standardized(distances: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(Q, G) distances with mean 0 and deviation 1 over each query's gallery."""
    wide = distances.astype(np.float64)
    mean, deviation = wide.mean(1, keepdims=True), wide.std(1, keepdims=True)
    result: NDArray[np.float32] = ((wide - mean) / np.maximum(deviation, FLAT)).astype(np.float32)
    return result

"""One distance from pooled cosine and FPR, which knows how much of the probe is hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def fused(
    pooled: NDArray[np.floating[Any]], fpr: NDArray[np.floating[Any]], hidden: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """(Q, G) sum of both distances, each standardised over the probe's gallery."""
    result: NDArray[np.float32] = standardized(pooled) + standardized(fpr)
    return result


def standardized(distances: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(Q, G) distances with mean 0 and deviation 1 over each query's gallery."""
    mean, deviation = distances.mean(1, keepdims=True), distances.std(1, keepdims=True)
    result: NDArray[np.float32] = ((distances - mean) / np.maximum(deviation, 1e-6)).astype(np.float32)
    return result


def hidden_share(foreground: NDArray[np.floating[Any]]) -> float:
    """How much of a crop is hidden, 0..1: one minus the mean foreground of its (N,) cells."""
    return 1 - float(foreground.astype(np.float64).mean())

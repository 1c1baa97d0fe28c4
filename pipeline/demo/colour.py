"""The demo's control: the same tracklets and the same linker, with colour histograms instead of ReID."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.config import Config
from pipeline.linking.match import Candidate, Matcher
from pipeline.linking.site import Place
from pipeline.messages import Embedding
from pipeline.records import StoredTracklet

BINS = (16, 4, 4)
"""Hue, saturation, value."""
MODEL = "colour"
SLOPE = 20.0
"""Only the sign of (threshold - distance) matters to the linker."""


class ColourGallery:
    """Mean histograms of every tracklet of an identity; the nearest counts."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.known: dict[int, list[NDArray[np.float32]]] = {}

    def append(self, identity: int, embeddings: Sequence[Embedding]) -> None:
        """Add one tracklet."""
        self.known.setdefault(identity, []).append(mean_histogram(embeddings))

    def remove(self, identity: int) -> None:
        """Forget an identity."""
        self.known.pop(identity, None)

    def candidates(
        self, embeddings: Sequence[Embedding], allowed: Callable[[int], bool], shortlist: int
    ) -> list[Candidate]:
        """The nearest of the allowed identities, best first."""
        probe = mean_histogram(embeddings)
        found = []
        for identity, histograms in self.known.items():
            if allowed(identity):
                distance = min(bhattacharyya(probe, histogram) for histogram in histograms)
                likely = 1 / (1 + np.exp(SLOPE * (distance - self.threshold)))
                found.append(Candidate(identity, distance, float(likely)))
        return sorted(found, key=lambda candidate: (candidate.distance, candidate.identity))[:shortlist]


def colour_histogram(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(256,) share of an RGB picture's pixels in each bin of hue, saturation and value."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, list(BINS), [0, 180, 0, 256, 0, 256])
    return np.asarray(counts.ravel() / counts.sum(), np.float32)


def mean_histogram(embeddings: Sequence[Embedding]) -> NDArray[np.float32]:
    """(256,) mean of the crops' histograms."""
    return np.asarray(np.mean([e.pooled.astype(np.float32) for e in embeddings], axis=0), np.float32)


def bhattacharyya(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Distance of two histograms that sum to 1: 0 the same, 1 nothing in common."""
    return float(np.sqrt(max(0.0, 1.0 - float(np.sqrt(a * b).sum()))))


def with_histograms(tracklet: StoredTracklet, pictures: Mapping[int, NDArray[np.uint8]]) -> StoredTracklet:
    """The tracklet with each crop's embedding replaced by the histogram of its picture (RGB, by crop)."""
    nothing = np.zeros((0, 1), np.float16)
    crops = tuple(
        msgspec.structs.replace(
            crop,
            embedding=Embedding(
                nothing, nothing[:, 0], colour_histogram(pictures[crop.id]).astype(np.float16)
            ),
        )
        for crop in tracklet.crops
    )
    return msgspec.structs.replace(tracklet, crops=crops, model=MODEL if crops else "")


def link_by_colour(
    tracklets: Sequence[StoredTracklet], places: Mapping[int, Place], config: Config, threshold: float
) -> dict[int, int]:
    """The identity of each tracklet (by number) that the product's linker gives with colours alone.

    Args:
        tracklets: with histograms, in the order they are linked in.
        places: by recording.
        config: of the run; its probability threshold and margin make way for `threshold`.
        threshold: greatest distance that links.
    """
    settings = msgspec.structs.replace(config.matcher, link_probability=0.5, margin=0.0)
    numbers = count(1)
    part_ns = round(config.tracklets.part_s * 1e9)
    matcher = Matcher(
        settings, places, ColourGallery(threshold), lambda: next(numbers), part_ns=part_ns, model=MODEL
    )
    return {tracklet.id: matcher.update(tracklet).identity for tracklet in tracklets}

"""What the store keeps and linking works on: cameras, tracklets, and the claims who they show."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.messages import Embedding, TrackletKey

SightingState = Literal["linked", "ambiguous", "new"]


class StoredCamera(msgspec.Struct, frozen=True):
    """A camera the store knows."""

    id: int
    name: str
    clock_known: bool
    overlaps: tuple[str, ...]


class StoredCrop(msgspec.Struct, frozen=True):
    """A crop of a tracklet without its picture."""

    id: int
    frame: int
    quality: float
    embedding: Embedding


class StoredTracklet(msgspec.Struct, frozen=True):
    """A tracklet as the matcher needs it; crops are ordered best first."""

    id: int
    key: TrackletKey
    camera: str
    start_ns: int
    end_ns: int
    model: str
    """Empty where there is no crop."""
    crops: tuple[StoredCrop, ...]
    closed_ns: int | None = None
    """When the track it was cut from ended (see `pipeline.linking.cut_tracklets`); None: its own end."""

    @property
    def due_ns(self) -> int:
        """Its place in the order of linking."""
        return self.end_ns if self.closed_ns is None else self.closed_ns

    @property
    def whole_track(self) -> tuple[int, int]:
        """Recording and track: what all parts of one presence share."""
        return self.key.recording, self.key.track

    @property
    def embeddings(self) -> tuple[Embedding, ...]:
        """One for each crop."""
        return tuple(crop.embedding for crop in self.crops)


class Trajectory(NamedTuple):
    """Where a tracklet was, frame by frame."""

    frames: NDArray[np.int64]  # (N,) ascending
    times_ns: NDArray[np.int64]  # (N,)
    boxes: NDArray[np.float64]  # (N, 4) xyxy, px


class Sighting(msgspec.Struct, frozen=True):
    """The claim that a tracklet shows an identity."""

    tracklet: int
    identity: int
    state: SightingState
    distance: float | None = None
    """To the identity; None for a new one."""
    probability: float | None = None
    """Calibrated probability that it is the same person."""
    runner_up: int | None = None
    """The next best identity."""
    runner_up_distance: float | None = None
    runner_up_probability: float | None = None
    evidence: dict[str, Any] | None = None
    """Whatever explains the claim, as JSON; nothing biometric."""


class LinkedTracklet(msgspec.Struct, frozen=True):
    """A tracklet and the claim about it."""

    tracklet: StoredTracklet
    sighting: Sighting

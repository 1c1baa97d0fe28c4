"""The boxes of a recording as arrays, each with its track and whom it is said to show."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from pipeline.store.database import Store
from pipeline.store.schema import Box, SightingRow, Tracklet


class RecordingBoxes(NamedTuple):
    """B boxes by frame; of one frame the surest first."""

    frames: NDArray[np.int64]  # (B,)
    tracks: NDArray[np.int64]  # (B,)
    people: NDArray[np.int64]  # (B,) 0 where nobody was claimed
    tracklets: NDArray[np.int64]  # (B,)
    boxes: NDArray[np.float64]  # (B, 4) xyxy, px


def recording_boxes(store: Store, recording: int, version: int) -> RecordingBoxes:
    """Every box of a recording with what an identity version says of it."""
    claim = (SightingRow.tracklet == Tracklet.id) & (SightingRow.version == version)
    box = (Box.x1, Box.y1, Box.x2, Box.y2)
    query = select(Box.frame, Tracklet.track, SightingRow.identity, Tracklet.id, *box)
    query = query.join(Tracklet, Box.tracklet == Tracklet.id).outerjoin(SightingRow, claim)
    query = query.where(Tracklet.recording == recording)
    query = query.order_by(Box.frame, Box.confidence.desc(), Tracklet.track, Tracklet.part)
    with store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    numbers = np.array([[frame, track, who or 0, part] for frame, track, who, part, *_ in rows], np.int64)
    frames, tracks, people, tracklets = numbers.reshape(-1, 4).T
    boxes = np.array([row[4:] for row in rows], np.float64).reshape(-1, 4)
    return RecordingBoxes(frames, tracks, people, tracklets, boxes)

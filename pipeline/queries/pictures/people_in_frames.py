"""What the store holds for drawing: recordings and their sources, who is where in each frame, crops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from pipeline.boxes import first_in_frame
from pipeline.config import CameraConfig
from pipeline.queries.filters import Filters
from pipeline.queries.pictures.drawing import Label
from pipeline.store.database import Store
from pipeline.store.schema import Box, Camera, CropRow, Recording, Run, SightingRow, Tracklet


@dataclass(frozen=True)
class Footage:
    """A recording, and how to open it as the run did that read it."""

    recording: int
    camera: CameraConfig
    clock_known: bool
    fingerprint: str | None


@dataclass(frozen=True)
class FrameLabels:
    """Everybody in a recording, by frame."""

    frames: NDArray[np.int64]  # (B,) ascending
    boxes: NDArray[np.float32]  # (B, 4) xyxy, px
    people: NDArray[np.int64]  # (B,) 0: nobody in particular
    ambiguous: NDArray[np.bool_]  # (B,)

    def at(self, frame: int) -> Iterator[Label]:
        """Everybody in one frame."""
        first, last = np.searchsorted(self.frames, [frame, frame + 1])
        for row in range(int(first), int(last)):
            x1, y1, x2, y2 = self.boxes[row].tolist()
            yield Label((x1, y1, x2, y2), int(self.people[row]) or None, bool(self.ambiguous[row]))


@dataclass(frozen=True)
class SightedCrop:
    """A crop of a person, without its picture."""

    crop: int
    camera: str
    clock_known: bool
    rank: int
    """0: the best of its tracklet."""
    time_ns: int
    ambiguous: bool


def footage(store: Store, filters: Filters, version: int) -> list[Footage]:
    """The recordings of the cameras asked for, by camera and number; with other filters, where they match."""
    columns = (Recording.id, Recording.source, Recording.fingerprint, Camera.clock_known, Camera.name)
    query = select(*columns, Run.config).join(Camera).join(Run, Recording.run == Run.id)
    if filters.cameras:
        query = query.where(Camera.name.in_(filters.cameras))
    if wanted := msgspec.structs.replace(filters, cameras=()).tracklets():
        claim = (SightingRow.tracklet == Tracklet.id) & (SightingRow.version == version)
        seen = select(Tracklet.id).outerjoin(SightingRow, claim).where(*wanted)
        query = query.where(seen.where(Tracklet.recording == Recording.id).exists())
    with store.reading() as connection:
        rows = connection.execute(query.order_by(Camera.name, Recording.id)).all()
    return [Footage(r.id, settings(r.config, r.name, r.source), r.clock_known, r.fingerprint) for r in rows]


def settings(config: Any, camera: str, source: str) -> CameraConfig:
    """A camera's settings in a run's configuration; an older program's that no longer fit are left out."""
    entries = config.get("cameras", []) if isinstance(config, dict) else []
    for entry in entries:
        if isinstance(entry, dict) and entry.get("name") == camera:
            try:
                return msgspec.convert(entry | {"source": source}, CameraConfig)
            except msgspec.ValidationError:
                break
    return CameraConfig(name=camera, source=source)


def frame_labels(store: Store, recording: int, filters: Filters, version: int) -> FrameLabels:
    """Who is where in a recording by an identity version; where no people are asked for, unlinked ones too.

    Of two boxes of one person in a frame the surer one.
    """
    claim = (SightingRow.tracklet == Tracklet.id) & (SightingRow.version == version)
    place = (Box.frame, Box.x1, Box.y1, Box.x2, Box.y2)
    query = select(*place, SightingRow.identity, SightingRow.state)
    query = query.join(Tracklet, Box.tracklet == Tracklet.id).outerjoin(SightingRow, claim)
    query = query.where(Tracklet.recording == recording, *filters.boxes())
    with store.reading() as connection:
        rows = connection.execute(query.order_by(Box.frame, Box.confidence.desc(), Box.tracklet)).all()
    shown = np.array([row.identity or 0 for row in rows], np.int64)
    frames = np.array([row.frame for row in rows], np.int64)
    kept = (shown == 0) | first_in_frame(np.stack([frames, shown], axis=1))
    return FrameLabels(
        frames=frames[kept],
        boxes=np.array([row[1:5] for row in rows], np.float32).reshape(-1, 4)[kept],
        people=shown[kept],
        ambiguous=np.array([row.state == "ambiguous" for row in rows], np.bool_)[kept],
    )


def sighted_crops(store: Store, person: int, filters: Filters, version: int) -> list[SightedCrop]:
    """A person's crops by an identity version, in order of time."""
    columns = (CropRow.id, Camera.name, Camera.clock_known, CropRow.rank, CropRow.time_ns, SightingRow.state)
    query = select(*columns).join(Tracklet, CropRow.tracklet == Tracklet.id)
    query = query.join(Recording, Tracklet.recording == Recording.id).join(Camera)
    query = query.join(SightingRow, SightingRow.tracklet == Tracklet.id)
    mine = (SightingRow.version == version) & (SightingRow.identity == person)
    query = query.where(mine, *filters.tracklets())
    with store.reading() as connection:
        rows = connection.execute(query.order_by(CropRow.time_ns, CropRow.id)).all()
    return [SightedCrop(*row[:5], row.state == "ambiguous") for row in rows]

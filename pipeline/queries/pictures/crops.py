"""Crops of tracklets, ready to be put side by side."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from pipeline.queries.pictures.contact_sheets import portrait
from pipeline.queries.pictures.drawing import Portrait
from pipeline.queries.pictures.people_in_frames import SightedCrop
from pipeline.store.database import Store
from pipeline.store.schema import Camera, CropRow, Recording, Tracklet

CROPS = 2
"""The best of each tracklet."""
TRACKLETS = 12
"""Shown at most; a longer list would fill pages."""


def tracklet_portraits(store: Store, tracklets: Sequence[int], *, crops: int = CROPS) -> list[Portrait]:
    """The best crops of the first TRACKLETS tracklets, in order of time, with camera, tracklet and time."""
    columns = (CropRow.id, Camera.name, Camera.clock_known, CropRow.rank, CropRow.time_ns, CropRow.tracklet)
    query = select(*columns).join(Tracklet, CropRow.tracklet == Tracklet.id)
    query = query.join(Recording, Tracklet.recording == Recording.id).join(Camera)
    mine = CropRow.tracklet.in_(list(tracklets)[:TRACKLETS]) & (CropRow.rank < crops)
    with store.reading() as connection:
        rows = connection.execute(query.where(mine).order_by(CropRow.time_ns, CropRow.id)).all()
    found = []
    for row in rows:
        picture = portrait(store, SightedCrop(*row[:5], ambiguous=False))
        if picture is not None:
            found.append(Portrait(picture.image, f"{row.name} t{row.tracklet} {picture.caption}", False))
    return found

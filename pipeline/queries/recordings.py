"""What became of each recording, and how much was found in it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import case, func, select

from pipeline.queries.snapshot import AnySelect, snapshot
from pipeline.store.database import Store
from pipeline.store.rows import pages
from pipeline.store.schema import Camera, Recording, SightingRow, Tracklet


class RecordingSummary(msgspec.Struct, frozen=True):
    """What became of one recording and what was found in it."""

    recording: int
    run: int
    camera: str
    source: str
    state: str
    frames: int
    detected: int
    tracklets: int
    people: int
    message: str
    linked: int
    """Tracklets filed under somebody seen before."""


def recordings(
    store: Store, ids: Sequence[int] | None = None, *, version: int | None = None
) -> list[RecordingSummary]:
    """What became of these recordings (None: of all), by camera and number."""
    counts = (func.count(Tracklet.id), func.count(SightingRow.identity.distinct()))
    linked = func.count(case((SightingRow.state != "new", 1)))
    state = (Recording.state, Recording.frames, Recording.detected)
    whence = (Recording.id, Recording.run, Camera.name, Recording.source)
    query: AnySelect = select(*whence, *state, *counts, Recording.message, linked)
    query = query.join(Camera).outerjoin(Tracklet, Tracklet.recording == Recording.id)
    with snapshot(store, version) as at:
        claim = (SightingRow.tracklet == Tracklet.id) & (SightingRow.version == at.version)
        query = query.outerjoin(SightingRow, claim).group_by(Recording.id, Camera.name)
        wanted = [query] if ids is None else [query.where(Recording.id.in_(page)) for page in pages(ids)]
        found = [RecordingSummary(*row) for part in wanted for row in at.connection.execute(part)]
    return sorted(found, key=lambda summary: (summary.camera, summary.recording))

"""What a store says: every box with its track and the identity it is filed under, by camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import func, select

from pipeline.boxes import first_in_frame
from pipeline.evaluate.labels import Labels, Mask, Numbers
from pipeline.queries.people import chosen
from pipeline.store.database import Store
from pipeline.store.schema import Box, Camera, Recording, SightingRow, Tracklet


@dataclass(frozen=True)
class Found:
    """The boxes of one camera's newest recording."""

    tracks: Labels
    """Boxes whose ids are tracks."""
    identities: Numbers  # (B,) negative where nobody was claimed
    tracklets: Numbers  # (B,)

    def where(self, mask: Mask) -> Found:
        """The boxes of a (B,) mask."""
        return Found(self.tracks.where(mask), self.identities[mask], self.tracklets[mask])

    @property
    def people(self) -> Labels:
        """Boxes whose ids are identities."""
        return self.tracks.named(self.identities)


@dataclass(frozen=True)
class Claim:
    """What the store says about one tracklet."""

    state: str
    probability: float | None
    decided: bool
    """The program decided: no operator did, and it does not repeat what it said of an earlier part."""
    runner_up: int | None
    end_ns: int


def read_found(store: Store, version: int | None = None) -> dict[str, Found]:
    """What was found in the newest recording of every camera, by name.

    Args:
        store: any open store.
        version: an identity version; None for the newest.
    """
    number = chosen(store, version)
    newest = select(func.max(Recording.id)).group_by(Recording.camera)
    recordings = select(Recording.id, Camera.name).join(Camera).where(Recording.id.in_(newest))
    with store.reading() as connection:
        names = {row.id: row.name for row in connection.execute(recordings)}
    return {names[recording]: read_recording(store, recording, number) for recording in sorted(names)}


def read_recording(store: Store, recording: int, version: int) -> Found:
    """What was found in one recording, one box for each track and frame; in a frame the surest first."""
    claim = (SightingRow.tracklet == Tracklet.id) & (SightingRow.version == version)
    query = select(
        Box.frame, Tracklet.track, SightingRow.identity, Tracklet.id, Box.x1, Box.y1, Box.x2, Box.y2
    )
    query = query.join(Tracklet, Box.tracklet == Tracklet.id).outerjoin(SightingRow, claim)
    query = query.where(Tracklet.recording == recording)
    query = query.order_by(Box.frame, Box.confidence.desc(), Tracklet.track, Tracklet.part)
    with store.reading() as connection:
        rows = [tuple(row) for row in connection.execute(query)]
    numbers = np.array([[frame, track, who or 0, part] for frame, track, who, part, *_ in rows], np.int64)
    numbers = numbers.reshape(-1, 4)
    boxes = np.array([row[4:] for row in rows], np.float64).reshape(-1, 4)
    identities = np.where(numbers[:, 2] > 0, numbers[:, 2], -first_tracklets(numbers[:, 1], numbers[:, 3]))
    found = Found(Labels(numbers[:, 0], numbers[:, 1], boxes), identities, numbers[:, 3])
    return found.where(first_in_frame(numbers[:, :2]))


def first_tracklets(tracks: Numbers, tracklets: Numbers) -> Numbers:
    """(B,) the lowest tracklet number of each box's track: it names the track in the whole store."""
    known, track = np.unique(tracks, return_inverse=True)
    lowest = np.full(len(known), np.iinfo(np.int64).max)
    np.minimum.at(lowest, track, tracklets)
    return np.asarray(lowest[track], np.int64)


def one_box_each(labels: Labels) -> Labels:
    """The labels, in which an id that is twice in a frame keeps its first box.

    The second boxes of an id get a new one together, the third ones another.
    """
    _, key = np.unique(np.stack([labels.frames, labels.ids], axis=1), axis=0, return_inverse=True)
    order = np.argsort(key, kind="stable")
    place = np.arange(len(key)) - np.searchsorted(key[order], key[order])
    nth = np.zeros(len(key), np.int64)
    nth[order] = place
    more = nth > 0
    ids = labels.ids.copy()
    _, fresh = np.unique(np.stack([ids, nth], axis=1)[more], axis=0, return_inverse=True)
    ids[more] = labels.ids.min(initial=0) - 1 - fresh
    return labels.named(ids)


def read_claims(store: Store, version: int | None = None) -> dict[int, Claim]:
    """What is said about each tracklet, by number, in order of their end."""
    columns = (SightingRow.tracklet, SightingRow.state, SightingRow.probability, SightingRow.evidence)
    query = select(*columns, SightingRow.runner_up, Tracklet.end_ns).join(
        Tracklet, SightingRow.tracklet == Tracklet.id
    )
    query = query.where(SightingRow.version == chosen(store, version)).order_by(Tracklet.end_ns, Tracklet.id)
    with store.reading() as connection:
        return {
            row.tracklet: Claim(
                row.state,
                row.probability,
                not {"same_track", "correction"} & (row.evidence or {}).keys(),
                row.runner_up,
                row.end_ns,
            )
            for row in connection.execute(query)
        }

"""What each camera saw: every tracklet with whom it is said to show, a page at a time."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, select, tuple_

from pipeline.queries import cursors
from pipeline.queries.filters import EVERYTHING, Filters, check_filters
from pipeline.queries.snapshot import AnySelect, Snapshot, snapshot
from pipeline.records import SightingState
from pipeline.store.database import Store
from pipeline.store.schema import Camera, Recording, SightingRow, Tracklet


class Sighted(msgspec.Struct, frozen=True):
    """One tracklet and whom it is said to show."""

    tracklet: int
    camera: str
    recording: int
    track: int
    part: int
    first_frame: int
    last_frame: int
    start_ns: int
    end_ns: int
    clock_known: bool
    boxes: int
    confidence: float
    person: int | None
    state: SightingState | None
    distance: float | None
    probability: float | None
    runner_up: int | None
    runner_up_probability: float | None
    provisional: bool = False
    """Seen so lately that the run may still file it under somebody else."""


class TracksPage(msgspec.Struct, frozen=True):
    """Tracklets by (start, camera, track, part), from one moment of the store."""

    tracks: tuple[Sighted, ...]
    """By start."""
    version: int
    """The identity version that says whom they show; 0: there is none yet."""
    next: str | None
    """Give it as `after` for the page that follows; null: this was the last."""


def tracks(
    store: Store,
    filters: Filters = EVERYTHING,
    *,
    version: int | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> TracksPage:
    """The tracklets in view, linked to somebody or not, by (start, camera, track, part).

    Args:
        store: any open store.
        filters: which ones count.
        version: an identity version; None for the newest.
        limit: at most so many; None for all.
        after: `next` of the page before, whose version counts.

    Raises:
        UnknownVersionError, UnknownCameraError, UnknownPersonError: not in the store.
        CursorError: `after` is no `next` of this question.
    """
    last = None if after is None else cursors.read(after, cursors.TracksCursor)
    with snapshot(store, last.version if last else version) as at:
        check_filters(at, filters)
        query = sighted_query(at).where(*filters.tracklets())
        if last is not None:
            query = query.where(place(at) > place_of(last))
        rows = at.connection.execute(query.limit(None if limit is None else limit + 1)).all()
    found = [sighted(row) for row in rows]
    shown = cursors.cut(found, limit)
    more = cursors.written(tracks_cursor(at.version, shown[-1])) if len(shown) < len(found) else None
    return TracksPage(tuple(shown), at.version, more)


def sighted_query(at: Snapshot) -> AnySelect:
    """The columns of `Sighted` for every tracklet, claimed or not, in their order."""
    tracklet = (Tracklet.recording, Tracklet.track, Tracklet.part, Tracklet.first_frame, Tracklet.last_frame)
    size = (Tracklet.start_ns, Tracklet.end_ns, Camera.clock_known, Tracklet.boxes, Tracklet.confidence)
    claim = (SightingRow.identity, SightingRow.state, SightingRow.distance, SightingRow.probability)
    other = (SightingRow.runner_up, SightingRow.runner_up_probability)
    query = select(Tracklet.id, Camera.name, *tracklet, *size, *claim, *other, SightingRow.evidence)
    query = query.join(Recording, Tracklet.recording == Recording.id).join(Camera)
    same = (SightingRow.tracklet == Tracklet.id) & (SightingRow.version == at.version)
    return query.outerjoin(SightingRow, same).order_by(*columns(at))


def columns(at: Snapshot) -> tuple[ColumnElement[Any], ...]:
    """What tracklets are sorted by."""
    name = Camera.name.collate(at.by_bytes)
    return (Tracklet.start_ns.expression, name, Tracklet.track, Tracklet.part, Tracklet.id)  # type: ignore[return-value]


def place(at: Snapshot) -> ColumnElement[Any]:
    """Where a tracklet is in that order."""
    return tuple_(*columns(at))


def place_of(cursor: cursors.TracksCursor) -> tuple[int, str, int, int, int]:
    """The same of a cursor."""
    return (cursor.start_ns, cursor.camera, cursor.track, cursor.part, cursor.tracklet)


def tracks_cursor(version: int, seen: Sighted) -> cursors.TracksCursor:
    """The cursor of a tracklet."""
    return cursors.TracksCursor(version, seen.start_ns, seen.camera, seen.track, seen.part, seen.tracklet)


def sighted(row: Any) -> Sighted:
    """A row of `sighted_query`."""
    return Sighted(*[*row[:-1], bool((row[-1] or {}).get("provisional"))])

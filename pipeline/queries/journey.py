"""Where one person went: visits in order of time, a page at a time."""

from __future__ import annotations

import msgspec
from sqlalchemy import ColumnElement, func, select

from pipeline.queries import cursors
from pipeline.queries.filters import EVERYTHING, Filters, check_filters
from pipeline.queries.people import seen
from pipeline.queries.snapshot import Snapshot, snapshot
from pipeline.queries.tracks import place, place_of, sighted, sighted_query, tracks_cursor
from pipeline.queries.visits import VISIT_GAP_S, Latest, Stays, Visit, visits
from pipeline.store.audit import audit
from pipeline.store.database import Store
from pipeline.store.lookups import check_people, chosen
from pipeline.store.schema import Camera, SightingRow, Tracklet

READ_AT_ONCE = 64
"""Tracklets; a page may need some more than it shows, to know that its visits are over."""


class Journey(msgspec.Struct, frozen=True):
    """Where one person went."""

    person: int
    version: int
    visits: tuple[Visit, ...]
    """By start."""
    next: str | None
    """Give it as `after` for the page that follows; null: this was the last."""


def journey(
    store: Store,
    person: int,
    filters: Filters = EVERYTHING,
    *,
    version: int | None = None,
    limit: int | None = None,
    after: str | None = None,
    visit_gap_s: float = VISIT_GAP_S,
) -> Journey:
    """Where a person went, in order of time. Audited.

    Args:
        store: any open store.
        person: number of the identity.
        filters: which of the person's tracklets count.
        version: an identity version; None for the newest.
        limit: at most so many visits; None for all.
        after: `next` of the page before, whose version counts.
        visit_gap_s: a longer absence from a camera ends the visit.

    Raises:
        UnknownPersonError: nobody of this number in this version.
        UnknownVersionError, UnknownCameraError: not in the store.
        CursorError: `after` is no `next` of this question.
    """
    begin = None if after is None else cursors.read(after, cursors.TracksCursor)
    number = begin.version if begin else chosen(store, version)
    audit(store, "journey", f"P{person}", {"version": number})
    with snapshot(store, number) as at:
        check_people(at.connection, [person], at.version)
        check_filters(at, filters)
        mine = [SightingRow.identity == person, *filters.tracklets()]
        stays = Stays(visit_gap_s, told_before(at, mine, begin))
        read_stays(at, mine, begin, stays, limit)
    shown = cursors.cut(stays.found, limit)
    more = None
    if len(shown) < len(stays.found):
        more = cursors.written(tracks_cursor(number, stays.found[len(shown)][0]))
    return Journey(person, number, tuple(visits(stays, limit)), more)


def told_before(
    at: Snapshot, mine: list[ColumnElement[bool]], begin: cursors.TracksCursor | None
) -> dict[int, Latest]:
    """By recording the latest stay that begins before a page does."""
    if begin is None:
        return {}
    columns = (Tracklet.recording, func.max(Tracklet.end_ns), Camera.clock_known)
    query = seen(select(*columns), at.version, EVERYTHING).where(*mine, place(at) < place_of(begin))
    rows = at.connection.execute(query.group_by(Tracklet.recording, Camera.clock_known))
    return {recording: Latest(-1, end_ns, clock_known) for recording, end_ns, clock_known in rows}


def read_stays(
    at: Snapshot,
    mine: list[ColumnElement[bool]],
    begin: cursors.TracksCursor | None,
    stays: Stays,
    limit: int | None,
) -> None:
    """Read tracklets from where a page begins, READ_AT_ONCE at a time, until all of its stays are whole."""
    query = sighted_query(at).where(*mine).limit(None if limit is None else READ_AT_ONCE)
    wanted = query if begin is None else query.where(place(at) >= place_of(begin))
    while links := [sighted(row) for row in at.connection.execute(wanted)]:
        for link in links:
            if limit is not None and stays.settled(limit, link.start_ns):
                return
            stays.add(link)
        if limit is None or len(links) < READ_AT_ONCE:
            return
        wanted = query.where(place(at) > place_of(tracks_cursor(at.version, links[-1])))

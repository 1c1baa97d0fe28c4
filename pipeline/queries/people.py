"""Who was there: each identity in one line, a page at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import func, select, tuple_

from pipeline.queries import cursors
from pipeline.queries.filters import EVERYTHING, Filters, check_filters
from pipeline.queries.snapshot import AnySelect, Snapshot, snapshot
from pipeline.store.database import Store
from pipeline.store.lookups import UnknownPersonError
from pipeline.store.schema import Camera, Recording, SightingRow, Tracklet


class Person(msgspec.Struct, frozen=True):
    """One identity in one line."""

    person: int
    cameras: tuple[str, ...]
    """In order of first appearance."""
    first_ns: int
    last_ns: int
    clock_known: bool
    """False: times count from the start of each recording."""
    tracklets: int
    seen_s: float
    """Time in view, summed over tracklets."""
    probability: float | None
    """Mean over the links; None where there is none."""
    states: dict[str, int]
    """Tracklets by state."""


class PeoplePage(msgspec.Struct, frozen=True):
    """People in order of first appearance, from one moment of the store."""

    people: tuple[Person, ...]
    """In order of first appearance."""
    version: int
    """The identity version they are of; 0: there is none yet."""
    next: str | None
    """Give it as `after` for the page that follows; null: this was the last."""


def people(
    store: Store,
    filters: Filters = EVERYTHING,
    *,
    version: int | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> PeoplePage:
    """Who was seen, in order of first appearance; what is said of each counts the tracklets that match.

    Args:
        store: any open store.
        filters: which tracklets count.
        version: an identity version; None for the newest.
        limit: at most so many people; None for all.
        after: `next` of the page before, whose version counts.

    Raises:
        UnknownVersionError, UnknownCameraError, UnknownPersonError: not in the store.
        CursorError: `after` is no `next` of this question.
    """
    last = None if after is None else cursors.read(after, cursors.PeopleCursor)
    with snapshot(store, last.version if last else version) as at:
        check_filters(at, filters)
        found = people_at(at, filters, limit=limit, last=last)
    shown = cursors.cut(found, limit)
    more = None
    if len(shown) < len(found):
        more = cursors.written(cursors.PeopleCursor(at.version, shown[-1].first_ns, shown[-1].person))
    return PeoplePage(tuple(shown), at.version, more)


def people_at(
    at: Snapshot, filters: Filters, *, limit: int | None = None, last: cursors.PeopleCursor | None = None
) -> list[Person]:
    """People behind `last`, one more than the limit where there are more; one statement."""
    query = stays_query(at.version, filters)
    if limit is not None or last is not None:
        query = query.where(SightingRow.identity.in_(page_query(at.version, filters, limit, last)))
    by_person: dict[int, list[Any]] = {}
    for row in at.connection.execute(query):
        by_person.setdefault(row.identity, []).append(row)
    found = [person_of(number, rows) for number, rows in by_person.items()]
    return sorted(found, key=lambda person: (person.first_ns, person.person))


def page_query(
    version: int, filters: Filters, limit: int | None, last: cursors.PeopleCursor | None
) -> AnySelect:
    """The identities of a page and of the first person behind it."""
    first_ns = func.min(Tracklet.start_ns)
    query: AnySelect = seen(select(SightingRow.identity), version, filters).group_by(SightingRow.identity)
    if last is not None:
        query = query.having(tuple_(first_ns, SightingRow.identity) > (last.first_ns, last.person))
    return query.order_by(first_ns, SightingRow.identity).limit(None if limit is None else limit + 1)


def stays_query(version: int, filters: Filters) -> AnySelect:
    """One row for each identity, camera and state."""
    seen_ns = func.sum(Tracklet.end_ns - Tracklet.start_ns).label("seen_ns")
    times = (func.min(Tracklet.start_ns).label("first_ns"), func.max(Tracklet.end_ns).label("last_ns"))
    certainty = (func.sum(SightingRow.probability), func.count(SightingRow.probability))
    columns = (func.count().label("tracklets"), certainty[0].label("total"), certainty[1].label("links"))
    group = (SightingRow.identity, Camera.name, Camera.clock_known, SightingRow.state)
    return seen(select(*group, *times, seen_ns, *columns), version, filters).group_by(*group)


def seen(query: AnySelect, version: int, filters: Filters) -> AnySelect:
    """Columns of the sightings that count, with their tracklets, recordings and cameras."""
    query = query.select_from(SightingRow).join(Tracklet, SightingRow.tracklet == Tracklet.id)
    query = query.join(Recording, Tracklet.recording == Recording.id).join(Camera)
    return query.where(SightingRow.version == version, *filters.tracklets())


def person_of(number: int, rows: Iterable[Any]) -> Person:
    """One person from the rows of `stays_query`."""
    rows = sorted(rows, key=lambda row: (row.first_ns, row.name, row.state))
    links = sum(row.links for row in rows)
    states: dict[str, int] = {}
    for row in rows:
        states[row.state] = states.get(row.state, 0) + row.tracklets
    return Person(
        person=number,
        cameras=tuple(dict.fromkeys(row.name for row in rows)),
        first_ns=min(row.first_ns for row in rows),
        last_ns=max(row.last_ns for row in rows),
        clock_known=all(row.clock_known for row in rows),
        tracklets=sum(row.tracklets for row in rows),
        seen_s=sum(int(row.seen_ns) for row in rows) / 1e9,
        probability=sum(row.total or 0.0 for row in rows) / links if links else None,
        states=states,
    )


def parse_person(text: str) -> int:
    """The number in '7', 'P7' or 'person 7'.

    Raises:
        UnknownPersonError: not a person's number.
    """
    match = re.fullmatch(r"\s*(?:p|person)?\s*#?(\d{1,18})\s*", text, re.IGNORECASE)
    if not match:
        raise UnknownPersonError(f"{text!r} is not a person: give a number such as P7 (see `people`)")
    return int(match.group(1))

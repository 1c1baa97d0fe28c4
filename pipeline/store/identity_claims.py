"""Who each tracklet is said to show: claims kept and read, and the tracklets without one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, delete, func, select

from pipeline.records import LinkedTracklet, Sighting, StoredTracklet
from pipeline.store.database import Store
from pipeline.store.rows import insert_rows, new_row, pages
from pipeline.store.schema import Identity, IdentityVersion, SightingRow, Tracklet
from pipeline.store.tracklets import closing, tracklets_in_order
from pipeline.store.versions import VersionKind


def identities_of_tracklets(store: Store, version: int) -> dict[int, int]:
    """The identity of every tracklet with a claim in `version`."""
    query = select(SightingRow.tracklet, SightingRow.identity).where(SightingRow.version == version)
    with store.reading() as connection:
        return {row.tracklet: row.identity for row in connection.execute(query)}


def new_identity(store: Store) -> int:
    """Number of a new person."""
    with store.writing() as connection:
        return new_row(connection, Identity)


def add_sightings(store: Store, version: int, sightings: Sequence[Sighting]) -> None:
    """Keep claims about tracklets; a later claim about the same tracklet replaces the earlier."""
    rows = [{"version": version, **msgspec.structs.asdict(sighting)} for sighting in sightings]
    with store.writing() as connection:
        for page in pages([sighting.tracklet for sighting in sightings]):
            same = (SightingRow.version == version) & SightingRow.tracklet.in_(page)
            connection.execute(delete(SightingRow).where(same))
        insert_rows(connection, SightingRow, rows)


def add_version(store: Store, kind: VersionKind, note: str, sightings: Sequence[Sighting]) -> int:
    """Number of a new identity version with all its claims, in one transaction."""
    values = {"created_ns": store.clock(), "kind": kind, "note": note, "late": False}
    with store.writing() as connection:
        version = new_row(connection, IdentityVersion, **values)
        rows = [{"version": version, **msgspec.structs.asdict(sighting)} for sighting in sightings]
        insert_rows(connection, SightingRow, rows)
    return version


def add_numbered_version(
    store: Store, kind: VersionKind, note: str, sightings: Sequence[Sighting]
) -> tuple[int, dict[int, int]]:
    """`add_version` of claims whose new people are numbered below 0, and the number that each of them got."""
    with store.writing():
        drafts = sorted({s.identity for s in sightings if s.identity < 0}, reverse=True)
        numbers = {draft: new_identity(store) for draft in drafts}
        named = [
            msgspec.structs.replace(
                sighting,
                identity=numbers.get(sighting.identity, sighting.identity),
                runner_up=sighting.runner_up and numbers.get(sighting.runner_up, sighting.runner_up),
            )
            for sighting in sightings
        ]
        return add_version(store, kind, note, named), numbers


def missing_people(store: Store, people: Collection[int]) -> set[int]:
    """Those of these people whom the store does not know (any more)."""
    with store.reading() as connection:
        known = {
            person
            for page in pages(people)
            for person in connection.scalars(select(Identity.id).where(Identity.id.in_(page)))
        }
    return set(people) - known


def unlinked_tracklets(
    store: Store, until_end_ns: int | None, version: int, *, after: int = 0
) -> Iterator[StoredTracklet]:
    """Tracklets without a claim in `version`, by (when closed, camera's name, track, part).

    Args:
        until_end_ns: only those closed at or before it; None for all.
        version: an identity version.
        after: only those with a greater number: see `linked_up_to`.
    """
    query = select(Tracklet.id).where(Tracklet.id > after, ~claimed(version))
    if until_end_ns is not None:
        query = query.where(closing() <= until_end_ns)
    yield from tracklets_in_order(store, query)


def linked_up_to(store: Store, version: int, *, after: int = 0) -> int:
    """The greatest number up to which every tracklet has a claim in `version`, known of those to `after`.

    The work is in what was linked since: a site that runs for weeks need not look at all it ever saw.
    """
    later = select(Tracklet.id).where(Tracklet.id > after)
    with store.reading() as connection:
        first = connection.scalar(later.where(~claimed(version)).order_by(Tracklet.id).limit(1))
        if first is not None:
            return first - 1
        return connection.scalar(select(func.max(Tracklet.id))) or after


def load_gallery(
    store: Store,
    version: int,
    *,
    crops: int | None = None,
    newest: int | None = None,
    people: Collection[int] | None = None,
) -> Iterator[LinkedTracklet]:
    """Every tracklet with a claim in `version`, in the order of linking.

    Args:
        version: an identity version.
        crops: at most so many of each tracklet, the best; None for all.
        newest: at most so many tracklets of each identity; None for all.
        people: only of these; None for everybody.
    """
    query = claims_of(version, newest, people)
    columns = [getattr(SightingRow, name) for name in Sighting.__struct_fields__]
    for page in pages(tracklets_in_order(store, query, crops=crops)):
        mine = SightingRow.tracklet.in_([tracklet.id for tracklet in page])
        with store.reading() as connection:
            rows = connection.execute(select(*columns).where(SightingRow.version == version, mine))
            claims = {row.tracklet: Sighting(*row) for row in rows}
        yield from (LinkedTracklet(t, claims[t.id]) for t in page if t.id in claims)


def claims_by_end(store: Store, version: int) -> list[tuple[Sighting, int]]:
    """Every claim of a version with the end of its tracklet in UTC epoch ns, by that end."""
    columns = [getattr(SightingRow, name) for name in Sighting.__struct_fields__]
    query = select(*columns, Tracklet.end_ns).join(Tracklet, SightingRow.tracklet == Tracklet.id)
    query = query.where(SightingRow.version == version).order_by(Tracklet.end_ns, Tracklet.id)
    with store.reading() as connection:
        return [(Sighting(*claim), end_ns) for *claim, end_ns in connection.execute(query)]


def claimed(version: int) -> ColumnElement[bool]:
    """Whether a tracklet has a claim."""
    mine = (SightingRow.version == version) & (SightingRow.tracklet == Tracklet.id)
    return select(SightingRow.tracklet).where(mine).exists()


def claims_of(version: int, newest: int | None, people: Collection[int] | None = None) -> Select[Any]:
    """Numbers of the tracklets with a claim, at most the `newest` of each identity; only of `people`."""
    mine = SightingRow.version == version
    if people is not None:
        mine &= SightingRow.identity.in_(people)
    every = select(SightingRow.tracklet).where(mine)
    if newest is None:
        return every
    latest_first = (closing().desc(), Tracklet.id.desc())
    rank = func.row_number().over(partition_by=SightingRow.identity, order_by=latest_first).label("rank")
    joined = select(SightingRow.tracklet, rank).join(Tracklet, Tracklet.id == SightingRow.tracklet)
    ranked = joined.where(mine).subquery()
    return select(ranked.c.tracklet).where(ranked.c.rank <= newest)

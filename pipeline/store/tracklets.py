"""Tracklets with their crops and boxes, kept and read back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from pipeline.messages import TrackletEmbedded, TrackletKey
from pipeline.records import StoredTracklet, Trajectory
from pipeline.store.database import Store
from pipeline.store.rows import pages
from pipeline.store.schema import Camera, Recording, Tracklet
from pipeline.store.tracklet_rows import insert_tracklets, read_tracklets, read_trajectories


def add_tracklets(
    store: Store, batch: Sequence[TrackletEmbedded], closed_ns: Mapping[TrackletKey, int] | None = None
) -> None:
    """Keep a batch in one transaction; a tracklet that is there already is left as it is.

    Args:
        batch: what came.
        closed_ns: of pieces that were cut off a track: when all of it had ended.

    Raises:
        ValueError: embeddings do not pair with crops, or arrays with frames.
        UnknownRecordingError: a recording that is not in the store.
        StoreFullError: see there.
    """
    with store.writing() as connection:
        insert_tracklets(connection, batch, closed_ns or {})


def stored_tracklets(
    store: Store, ids: Sequence[int] | None = None, *, crops: int | None = None
) -> Iterator[StoredTracklet]:
    """These tracklets (None: all), in the order of linking; `crops` as in `load_gallery`."""
    every = select(Tracklet.id)
    for page in [None] if ids is None else pages(ids):
        query = every if page is None else every.where(Tracklet.id.in_(page))
        yield from tracklets_in_order(store, query, crops=crops)


def missing_tracklets(store: Store, ids: Collection[int]) -> set[int]:
    """Those of these tracklets that the store does not hold (any more)."""
    with store.reading() as connection:
        held = {
            number
            for page in pages(ids)
            for number in connection.scalars(select(Tracklet.id).where(Tracklet.id.in_(page)))
        }
    return set(ids) - held


def stored_trajectories(store: Store, ids: Sequence[int]) -> dict[int, Trajectory]:
    """The boxes of these tracklets."""
    with store.reading() as connection:
        return dict(found for page in pages(ids) for found in read_trajectories(connection, page))


def tracklets_in_order(
    store: Store, ids: Select[Any], *, crops: int | None = None
) -> Iterator[StoredTracklet]:
    """The tracklets that a query selects; read in pages, so that the caller may write meanwhile."""
    columns = (closing(), Camera.name, Tracklet.track, Tracklet.part, Tracklet.id)
    query = select(*columns).join(Recording, Tracklet.recording == Recording.id).join(Camera)
    with store.reading() as connection:
        ordered = sorted(connection.execute(query.where(Tracklet.id.in_(ids))).all())
    for page in pages([number for *_, number in ordered]):
        with store.reading() as connection:
            tracklets = read_tracklets(connection, page, crops)
        yield from (tracklets[tracklet] for tracklet in page if tracklet in tracklets)


def closing() -> ColumnElement[int]:
    """When a tracklet may be linked: at its end, or that of the whole track it was cut from."""
    return func.coalesce(Tracklet.closed_ns, Tracklet.end_ns)

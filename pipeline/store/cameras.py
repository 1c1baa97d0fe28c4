"""The cameras the store knows."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, update

from pipeline.records import StoredCamera
from pipeline.store.database import Store
from pipeline.store.rows import new_row
from pipeline.store.schema import Camera


def add_camera(store: Store, name: str, *, clock_known: bool, overlaps: Iterable[str] = ()) -> int:
    """Number of a camera, made or updated."""
    values = {"clock_known": clock_known, "overlaps": sorted(overlaps)}
    with store.writing() as connection:
        known = connection.scalar(select(Camera.id).where(Camera.name == name))
        if known is None:
            return new_row(connection, Camera, name=name, **values)
        connection.execute(update(Camera).where(Camera.id == known).values(values))
        return known


def stored_cameras(store: Store) -> list[StoredCamera]:
    """All cameras, by name."""
    with store.reading() as connection:
        rows = connection.execute(select(Camera.id, Camera.name, Camera.clock_known, Camera.overlaps))
        stored = [StoredCamera(r.id, r.name, r.clock_known, tuple(r.overlaps)) for r in rows]
    return sorted(stored, key=lambda camera: camera.name)

"""The pictures of a person: which are best, and their bytes."""

from __future__ import annotations

import msgspec
from sqlalchemy import select

from pipeline.errors import MendableError
from pipeline.queries.snapshot import snapshot
from pipeline.store.audit import audit
from pipeline.store.database import Store
from pipeline.store.lookups import check_people, chosen
from pipeline.store.schema import Camera, CropRow, Recording, SightingRow, Tracklet


class UnknownCropError(MendableError, kind="not found"):
    """No crop has this number, or it was erased."""


class PersonCrop(msgspec.Struct, frozen=True):
    """Where a picture of a person comes from; `crop_jpeg` reads it."""

    crop: int
    camera: str
    tracklet: int
    time_ns: int
    clock_known: bool
    width: int
    height: int
    quality: float


def best_crops(store: Store, person: int, *, limit: int = 8, version: int | None = None) -> list[PersonCrop]:
    """The best pictures of a person. Audited.

    Raises:
        UnknownPersonError: nobody of this number in this version.
    """
    number = chosen(store, version)
    audit(store, "crops", f"P{person}", {"version": number})
    crop = (CropRow.id, Camera.name, CropRow.tracklet, CropRow.time_ns, Camera.clock_known)
    query = select(*crop, CropRow.width, CropRow.height, CropRow.quality)
    query = query.join(Tracklet, CropRow.tracklet == Tracklet.id).join(Recording).join(Camera)
    query = query.join(SightingRow, SightingRow.tracklet == Tracklet.id)
    query = query.where(SightingRow.version == number, SightingRow.identity == person)
    with snapshot(store, number) as at:
        check_people(at.connection, [person], number)
        best = query.order_by(CropRow.quality.desc(), CropRow.id).limit(limit)
        return [PersonCrop(*row) for row in at.connection.execute(best)]


def crop_jpeg(store: Store, crop: int) -> bytes:
    """The picture of a crop.

    Raises:
        UnknownCropError: there is none of this number.
    """
    with store.reading() as connection:
        jpeg = connection.scalar(select(CropRow.jpeg).where(CropRow.id == crop))
    if jpeg is None:
        raise UnknownCropError(f"no crop {crop}: it may have been erased")
    return jpeg

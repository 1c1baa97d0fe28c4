"""Questions to the store: who was there, what each camera saw, what became of each recording."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, case, func, select

from pipeline.errors import MendableError
from pipeline.records import SightingState
from pipeline.store.audit import audit
from pipeline.store.database import Store
from pipeline.store.lookups import (
    UnknownPersonError,
    check_camera,
    check_person,
    chosen,
)
from pipeline.store.rows import pages
from pipeline.store.schema import Camera, CropRow, Recording, SightingRow, Tracklet

AnySelect = Select[*tuple[Any, ...]]


class UnknownCropError(MendableError, kind="not found"):
    """No crop has this number, or it was erased."""


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


def people(store: Store, *, version: int | None = None, among: Sequence[int] | None = None) -> list[Person]:
    """Everybody, in order of first appearance.

    Args:
        store: any open store.
        version: an identity version; None for the newest.
        among: only these identities; None for all.
    """
    by_person: dict[int, list[Any]] = {}
    with store.reading() as connection:
        query = stays_query(chosen(store, version))
        query = query if among is None else query.where(SightingRow.identity.in_(among))
        for row in connection.execute(query):
            by_person.setdefault(row.identity, []).append(row)
    found = [person_of(number, rows) for number, rows in by_person.items()]
    return sorted(found, key=lambda person: (person.first_ns, person.person))


def stays_query(version: int) -> AnySelect:
    """One row for each identity, camera and state."""
    seen_ns = func.sum(Tracklet.end_ns - Tracklet.start_ns).label("seen_ns")
    times = (func.min(Tracklet.start_ns).label("first_ns"), func.max(Tracklet.end_ns).label("last_ns"))
    certainty = (func.sum(SightingRow.probability), func.count(SightingRow.probability))
    columns = (func.count().label("tracklets"), certainty[0].label("total"), certainty[1].label("links"))
    group = (SightingRow.identity, Camera.name, Camera.clock_known, SightingRow.state)
    joined = select(*group, *times, seen_ns, *columns).join(Tracklet, SightingRow.tracklet == Tracklet.id)
    joined = joined.join(Recording, Tracklet.recording == Recording.id).join(Camera)
    return joined.where(SightingRow.version == version).group_by(*group)


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


def tracks(
    store: Store,
    *,
    camera: str | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    version: int | None = None,
) -> list[Sighted]:
    """Every tracklet in view between two times, by (start, camera, track, part).

    Args:
        store: any open store.
        camera: a camera's name; None for all.
        from_ns: UTC epoch ns; None for no limit.
        to_ns: the same.
        version: an identity version; None for the newest.

    Raises:
        UnknownCameraError: no such camera.
    """
    query = sighted_query(chosen(store, version))
    if camera is not None:
        check_camera(store, camera)
        query = query.where(Camera.name == camera)
    if from_ns is not None:
        query = query.where(Tracklet.end_ns >= from_ns)
    if to_ns is not None:
        query = query.where(Tracklet.start_ns <= to_ns)
    return sighted(store, query)


def sighted_query(version: int) -> AnySelect:
    """The columns of `Sighted` for every tracklet, claimed or not."""
    tracklet = (Tracklet.recording, Tracklet.track, Tracklet.part, Tracklet.first_frame, Tracklet.last_frame)
    size = (Tracklet.start_ns, Tracklet.end_ns, Camera.clock_known, Tracklet.boxes, Tracklet.confidence)
    claim = (SightingRow.identity, SightingRow.state, SightingRow.distance, SightingRow.probability)
    other = (SightingRow.runner_up, SightingRow.runner_up_probability)
    query = select(Tracklet.id, Camera.name, *tracklet, *size, *claim, *other, SightingRow.evidence)
    query = query.join(Recording, Tracklet.recording == Recording.id).join(Camera)
    same = (SightingRow.tracklet == Tracklet.id) & (SightingRow.version == version)
    return query.outerjoin(SightingRow, same)


def sighted(store: Store, query: AnySelect) -> list[Sighted]:
    """The answer to `sighted_query`, in order."""
    with store.reading() as connection:
        rows = connection.execute(query).all()
    found = [Sighted(*[*row[:-1], bool((row[-1] or {}).get("provisional"))]) for row in rows]
    return sorted(found, key=lambda s: (s.start_ns, s.camera, s.track, s.part))


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
    with store.reading() as connection:
        best = query.order_by(CropRow.quality.desc(), CropRow.id).limit(limit)
        found = [PersonCrop(*row) for row in connection.execute(best)]
    if not found:
        check_person(store, person, version=number)
    return found


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


def recordings(
    store: Store, ids: Sequence[int] | None = None, *, version: int | None = None
) -> list[RecordingSummary]:
    """What became of these recordings (None: of all), by camera and number."""
    claim = (SightingRow.tracklet == Tracklet.id) & (SightingRow.version == chosen(store, version))
    counts = (func.count(Tracklet.id), func.count(SightingRow.identity.distinct()))
    linked = func.count(case((SightingRow.state != "new", 1)))
    state = (Recording.state, Recording.frames, Recording.detected)
    whence = (Recording.id, Recording.run, Camera.name, Recording.source)
    query: AnySelect = select(*whence, *state, *counts, Recording.message, linked)
    query = query.join(Camera).outerjoin(Tracklet, Tracklet.recording == Recording.id)
    query = query.outerjoin(SightingRow, claim).group_by(Recording.id, Camera.name)
    wanted = [query] if ids is None else [query.where(Recording.id.in_(page)) for page in pages(ids)]
    with store.reading() as connection:
        found = [RecordingSummary(*row) for part in wanted for row in connection.execute(part)]
    return sorted(found, key=lambda summary: (summary.camera, summary.recording))


def parse_person(text: str) -> int:
    """The number in '7', 'P7' or 'person 7'.

    Raises:
        UnknownPersonError: not a person's number.
    """
    match = re.fullmatch(r"\s*(?:p|person)?\s*#?(\d{1,18})\s*", text, re.IGNORECASE)
    if not match:
        raise UnknownPersonError(f"{text!r} is not a person: give a number such as P7 (see `people`)")
    return int(match.group(1))

"""Who was where, as files for other programs: MOT text, CSV, JSON, Parquet."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Literal, NamedTuple

from sqlalchemy import select

from pipeline.atomic_files import replaced_file, replaced_folder
from pipeline.errors import MendableError
from pipeline.queries.as_json import as_json
from pipeline.queries.filters import EVERYTHING, Filters, check_filters
from pipeline.queries.snapshot import AnySelect, snapshot
from pipeline.queries.tracks import tracks
from pipeline.store.audit import audit
from pipeline.store.database import Store
from pipeline.store.schema import Box, Camera, Recording, SightingRow, Tracklet
from pipeline.times import iso

ExportFormat = Literal["mot", "csv", "json", "parquet"]
ROW_GROUP = 65_536
"""Rows written to Parquet at once: a few MB."""


class ExportExistsError(MendableError, kind="wrong input"):
    """There is something where the export should go."""


class ExportWriteError(MendableError, kind="unavailable"):
    """The export cannot be written; what was there before still is."""


class ExportedBox(NamedTuple):
    """A person in one frame, as CSV and Parquet have it."""

    camera: str
    """The camera's name."""
    recording: int
    """Number of the recording; a camera may have several."""
    frame: int
    """Number of the frame, from 0."""
    time_ns: int
    """Nanoseconds in UTC since 1970, or since the start of the recording where its clock is not known."""
    time_utc: str | None
    """The same as text; empty where the clock is not known."""
    person: int
    """Number of the person: 7 is P7."""
    state: str
    """How the link was made: linked, ambiguous or new."""
    probability: float | None
    """How likely the link is right; empty where nothing was linked."""
    track: int
    """Number of the track within its recording."""
    part: int
    """A long presence is cut into parts, numbered from 0."""
    x1: float
    """Left edge, px."""
    y1: float
    """Upper edge, px."""
    x2: float
    """Right edge, px."""
    y2: float
    """Lower edge, px."""
    confidence: float
    """How sure the detector was; 0 for a box interpolated between two detections."""


class ExportedRecording(NamedTuple):
    """A recording whose boxes are exported."""

    id: int
    camera: str
    clock_known: bool


class Extent(NamedTuple):
    """What is exported."""

    version: int
    filters: Filters
    limit: int | None
    """Rows at most."""


def export(
    store: Store,
    out: Path,
    format: ExportFormat,
    filters: Filters = EVERYTHING,
    *,
    version: int | None = None,
    limit: int | None = None,
    overwrite: bool = False,
) -> int:
    """How many rows were written. Audited.

    mot: OUT is a folder with CAMERA.txt for each camera (CAMERA-RECORDING.txt where it has several),
    `frame,id,x,y,w,h,confidence,-1,-1,-1`: frames from 1, id the person.
    csv, parquet: one row for each person and frame: `ExportedBox`, frames from 0.
    json: one entry for each tracklet, without boxes: `query.Sighted`.
    These three are the file OUT where it ends in .csv, .parquet or .json as the format does, or is a file;
    otherwise OUT is a folder, which gets `tracks.FORMAT`.

    In mot, csv and parquet a person has one box in a frame of a recording, the one of the highest confidence;
    interpolated boxes have confidence 0; tracklets that are not linked yet are left out.

    Args:
        store: any open store.
        out: file or folder; it is complete or not there.
        format: see above.
        filters: which tracklets count; of the boxes those at the times asked for.
        version: an identity version; None for the newest.
        limit: at most so many rows; None for all.
        overwrite: replace what is there; other files in a folder are left alone.

    Raises:
        UnknownVersionError, UnknownCameraError, UnknownPersonError: not in the store.
        ExportExistsError: OUT is there, not empty, and not to be overwritten.
        ExportWriteError: the disk is full, or OUT may not be written.
    """
    out = target(out, format)
    check_target(out, format, overwrite=overwrite)
    with snapshot(store, version) as at:
        check_filters(at, filters)
    asked = {"people": list(filters.people)} if filters.people else {}
    detail = {"format": format, "version": at.version, **asked}
    audit(store, "export", str(out.resolve()), detail)
    try:
        return WRITERS[format](store, out, Extent(at.version, filters, limit))
    except OSError as error:
        raise ExportWriteError(f"{out}: cannot be written: {error.strerror or error}") from error


def target(out: Path, format: ExportFormat) -> Path:
    """What OUT means: a folder for mot, for the others also a file."""
    names_a_file = out.suffix.lower() == f".{format}" or out.is_file()
    return out if format == "mot" or (names_a_file and not out.is_dir()) else out / f"tracks.{format}"


def check_target(out: Path, format: ExportFormat, *, overwrite: bool) -> None:
    """Refuse a target of the wrong kind, or one that is in use."""
    if format == "mot" and out.exists() and not out.is_dir():
        raise ExportExistsError(f"{out}: is a file: mot needs a folder")
    occupied = any(out.iterdir()) if out.is_dir() else out.exists() and out.stat().st_size > 0
    if occupied and not overwrite:
        raise ExportExistsError(f"{out}: is there already: add --overwrite, or give another name")


def write_mot(store: Store, out: Path, extent: Extent) -> int:
    """One text file for each recording."""
    rows = 0
    with replaced_folder(out) as folder:
        for name, recording in mot_names(exported_recordings(store, extent.filters)).items():
            left = None if extent.limit is None else extent.limit - rows
            with (folder / f"{name}.txt").open("w", encoding="ascii") as file:
                for box in islice(boxes(store, recording, extent.version, extent.filters), left):
                    file.write(mot_line(box))
                    rows += 1
    return rows


def mot_names(recordings: Sequence[ExportedRecording]) -> dict[str, ExportedRecording]:
    """The camera's name for each recording, numbered where a camera has several."""
    names: dict[str, ExportedRecording] = {}
    for camera, group in groupby(recordings, key=lambda recording: recording.camera):
        same = list(group)
        for recording in same:
            names[camera if len(same) == 1 else f"{camera}-{recording.id}"] = recording
    return names


def mot_line(box: ExportedBox) -> str:
    """A line as the MOT Challenge has it."""
    size = f"{box.x1:.2f},{box.y1:.2f},{box.x2 - box.x1:.2f},{box.y2 - box.y1:.2f}"
    return f"{box.frame + 1},{box.person},{size},{box.confidence:.4f},-1,-1,-1\n"


def write_csv(store: Store, out: Path, extent: Extent) -> int:
    """One row for each box."""
    rows = 0
    with replaced_file(out) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(ExportedBox._fields)
        for box in all_boxes(store, extent):
            writer.writerow(box)
            rows += 1
    return rows


def write_json(store: Store, out: Path, extent: Extent) -> int:
    """One entry for each tracklet."""
    found = tracks(store, extent.filters, version=extent.version, limit=extent.limit)
    with replaced_file(out) as part:
        part.write_bytes(as_json({"version": found.version, "sightings": found.tracks}) + b"\n")
    return len(found.tracks)


def write_parquet(store: Store, out: Path, extent: Extent) -> int:
    """One row for each box."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        **dict.fromkeys(("camera", "time_utc", "state"), pa.string()),
        **dict.fromkeys(("recording", "frame", "time_ns", "person", "track", "part"), pa.int64()),
        **dict.fromkeys(("x1", "y1", "x2", "y2", "confidence", "probability"), pa.float64()),
    }
    schema = pa.schema([(name, columns[name]) for name in ExportedBox._fields])
    rows = 0
    found = all_boxes(store, extent)
    with replaced_file(out) as part, pq.ParquetWriter(part, schema) as writer:
        while group := list(islice(found, ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist([box._asdict() for box in group], schema=schema))
            rows += len(group)
    return rows


def all_boxes(store: Store, extent: Extent) -> Iterator[ExportedBox]:
    """The boxes of every recording, by camera."""
    found = (
        box
        for recording in exported_recordings(store, extent.filters)
        for box in boxes(store, recording, extent.version, extent.filters)
    )
    return islice(found, extent.limit)


def exported_recordings(store: Store, filters: Filters = EVERYTHING) -> list[ExportedRecording]:
    """The recordings of the cameras asked for, by camera and number."""
    query = select(Recording.id, Camera.name, Camera.clock_known).join(Camera)
    if filters.cameras:
        query = query.where(Camera.name.in_(filters.cameras))
    with store.reading() as connection:
        found = [ExportedRecording(*row) for row in connection.execute(query)]
    return sorted(found, key=lambda recording: (recording.camera, recording.id))


def boxes(
    store: Store, recording: ExportedRecording, version: int, filters: Filters = EVERYTHING
) -> Iterator[ExportedBox]:
    """A recording's boxes by frame and person, one for each."""
    query = boxes_query(recording.id, version, filters)
    with store.reading() as connection:
        rows = connection.execution_options(yield_per=ROW_GROUP).execute(query)
        for _, same in groupby(rows, key=lambda row: (row.frame, row.identity)):
            frame, time_ns, *claim = next(same)
            utc = iso(time_ns) if recording.clock_known else None
            yield ExportedBox(recording.camera, recording.id, frame, time_ns, utc, *claim)


def boxes_query(recording: int, version: int, filters: Filters) -> AnySelect:
    """The boxes of a recording with whom they show; of one person in one frame the surest first."""
    claim = (SightingRow.identity, SightingRow.state, SightingRow.probability)
    box = (Box.x1, Box.y1, Box.x2, Box.y2, Box.confidence)
    query = select(Box.frame, Box.time_ns, *claim, Tracklet.track, Tracklet.part, *box)
    query = query.join(Tracklet, Box.tracklet == Tracklet.id)
    query = query.join(SightingRow, SightingRow.tracklet == Tracklet.id)
    query = query.where(Tracklet.recording == recording, SightingRow.version == version, *filters.boxes())
    return query.order_by(Box.frame, SightingRow.identity, Box.confidence.desc(), Tracklet.track)


WRITERS: dict[ExportFormat, Callable[[Store, Path, Extent], int]] = {
    "mot": write_mot,
    "csv": write_csv,
    "json": write_json,
    "parquet": write_parquet,
}

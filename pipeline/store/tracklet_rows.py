"""How a tracklet is laid out in rows, and what must never reach a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, tuple_

from pipeline.messages import Crop, Embedding, TrackletClosed, TrackletEmbedded, TrackletKey
from pipeline.records import StoredCrop, StoredTracklet, Trajectory
from pipeline.store.database_errors import StoreError
from pipeline.store.rows import insert_rows, new_row, new_rows, pages
from pipeline.store.schema import Box, Camera, CropRow, EmbeddingRow, Model, Recording, Tracklet

CELLS_KEPT = 5
"""Crops of a tracklet, its best, that are stored with their cells: nothing compares those of more. The pooled
vectors of all of them make its mean, which is the better the more there are (docs/lab/linking.md)."""
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of the segment that holds a JPEG's size (ITU T.81, table B.1)."""


class UnknownRecordingError(StoreError, kind="not found"):
    """A tracklet came from a recording that the store does not have."""


def insert_tracklets(
    connection: Connection, batch: Sequence[TrackletEmbedded], closed_ns: Mapping[TrackletKey, int]
) -> None:
    """Insert what is not there yet; `closed_ns` of those that are not linked in the order of their own end.

    Raises:
        ValueError, UnknownRecordingError: see `add_tracklets`.
    """
    fresh = new_tracklets(connection, batch)
    for item in fresh.values():
        check_shapes(item)
    check_recordings(connection, {key.recording for key in fresh})
    models = model_ids(connection, {item.model for item in fresh.values() if item.embeddings})
    rows = [tracklet_row(item.tracklet) | {"closed_ns": closed_ns.get(key)} for key, item in fresh.items()]
    numbers = new_rows(connection, Tracklet, rows)
    boxes: list[dict[str, Any]] = []
    crops: list[dict[str, Any]] = []
    vectors: list[dict[str, Any]] = []
    for number, item in zip(numbers, fresh.values(), strict=True):
        boxes += box_rows(number, item.tracklet)
        for rank, (crop, embedded) in enumerate(best_first(item)):
            crops.append({"tracklet": number, "rank": rank, **crop_row(crop)})
            whole = rank < CELLS_KEPT
            vectors.append({"model": models[item.model], **embedding_row(embedded, cells=whole)})
    insert_rows(connection, Box, boxes)
    stored = new_rows(connection, CropRow, crops)
    insert_rows(connection, EmbeddingRow, [{"crop": c, **v} for c, v in zip(stored, vectors, strict=True)])


def new_tracklets(
    connection: Connection, batch: Sequence[TrackletEmbedded]
) -> dict[TrackletKey, TrackletEmbedded]:
    """Those of the batch that the store does not have; of one key the first."""
    fresh: dict[TrackletKey, TrackletEmbedded] = {}
    for item in batch:
        fresh.setdefault(item.tracklet.key, item)
    columns = (Tracklet.recording, Tracklet.track, Tracklet.part)
    for page in pages(list(fresh)):
        keys = [(key.recording, key.track, key.part) for key in page]
        for row in connection.execute(select(*columns).where(tuple_(*columns).in_(keys))):
            del fresh[TrackletKey(*row)]
    return fresh


def check_shapes(item: TrackletEmbedded) -> None:
    """Refuse arrays that do not belong together."""
    tracklet = item.tracklet
    lengths = {len(a) for a in (tracklet.frames, tracklet.times_ns, tracklet.boxes, tracklet.confidences)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"{tracklet.key}: frames, times, boxes and confidences of lengths {sorted(lengths)}")
    if len(item.embeddings) != len(tracklet.crops):
        raise ValueError(f"{tracklet.key}: {len(item.embeddings)} embeddings for {len(tracklet.crops)} crops")


def check_recordings(connection: Connection, recordings: set[int]) -> None:
    """Refuse recordings that are not in the store."""
    known = set(connection.scalars(select(Recording.id).where(Recording.id.in_(recordings))))
    for recording in sorted(recordings - known):
        raise UnknownRecordingError(f"recording {recording} is not in the store: start the run again")


def model_ids(connection: Connection, names: set[str]) -> dict[str, int]:
    """Numbers of the models, made where they are new."""
    known = dict(connection.execute(select(Model.name, Model.id).where(Model.name.in_(names))).all())
    return known | {name: new_row(connection, Model, name=name) for name in sorted(names - known.keys())}


def tracklet_row(tracklet: TrackletClosed) -> dict[str, Any]:
    """A tracklet without what it holds; its confidence is the mean of the frames that were detected."""
    detected = tracklet.confidences[tracklet.confidences > 0]
    return {
        "recording": tracklet.key.recording,
        "track": tracklet.key.track,
        "part": tracklet.key.part,
        "first_frame": int(tracklet.frames[0]),
        "last_frame": int(tracklet.frames[-1]),
        "start_ns": int(tracklet.times_ns[0]),
        "end_ns": int(tracklet.times_ns[-1]),
        "boxes": len(tracklet.frames),
        "confidence": float(detected.mean()) if detected.size else 0.0,
    }


def box_rows(number: int, tracklet: TrackletClosed) -> list[dict[str, Any]]:
    """One row for each frame."""
    names = ("tracklet", "frame", "time_ns", "x1", "y1", "x2", "y2", "confidence")
    columns = (tracklet.frames, tracklet.times_ns, *tracklet.boxes.T, tracklet.confidences)
    values = zip(*(np.asarray(column).tolist() for column in columns), strict=True)
    return [dict(zip(names, (number, *row), strict=True)) for row in values]


def best_first(item: TrackletEmbedded) -> list[tuple[Crop, Embedding]]:
    """A tracklet's crops with their embeddings, best first."""
    pairs = zip(item.tracklet.crops, item.embeddings, strict=True)
    return sorted(pairs, key=lambda pair: -pair[0].quality)


def crop_row(crop: Crop) -> dict[str, Any]:
    """A crop's own columns."""
    box = dict(zip(("x1", "y1", "x2", "y2"), crop.bbox.tolist(), strict=True))
    width, height = jpeg_size(crop.jpeg)
    size = {"width": width, "height": height}
    own = {"frame": crop.frame, "time_ns": crop.time_ns, "quality": crop.quality, "jpeg": crop.jpeg}
    return {**own, **box, **size}


def embedding_row(embedded: Embedding, *, cells: bool) -> dict[str, Any]:
    """An embedding's columns, with or without its cells: little-endian float16."""
    if not cells:
        embedded = Embedding(embedded.cells[:0], embedded.foreground, embedded.pooled)
    cell_count, channels = embedded.cells.shape
    arrays = {name: as_bytes(getattr(embedded, name)) for name in ("cells", "foreground", "pooled")}
    return {"cell_count": cell_count, "channels": channels, **arrays}


def as_bytes(array: NDArray[np.float16]) -> bytes:
    """The array as little-endian float16 in C order."""
    return np.ascontiguousarray(array, "<f2").tobytes()


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height in px from a JPEG's header; (0, 0) where it has none."""
    at = 2
    while jpeg[:2] == b"\xff\xd8" and at + 9 <= len(jpeg) and jpeg[at] == 0xFF:
        if jpeg[at + 1] in JPEG_FRAMES:
            return int.from_bytes(jpeg[at + 7 : at + 9], "big"), int.from_bytes(jpeg[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return 0, 0


def read_tracklets(
    connection: Connection, ids: Sequence[int], crops: int | None
) -> dict[int, StoredTracklet]:
    """Tracklets by number, each with its best crops."""
    tracklet = (
        Tracklet.id,
        Tracklet.recording,
        Tracklet.track,
        Tracklet.part,
        Tracklet.start_ns,
        Tracklet.end_ns,
        Tracklet.closed_ns,
    )
    query = select(*tracklet, Camera.name).join(Recording, Tracklet.recording == Recording.id).join(Camera)
    rows = connection.execute(query.where(Tracklet.id.in_(ids))).all()
    pictures = read_crops(connection, ids, crops)
    return {row.id: stored_tracklet(row, pictures.get(row.id, [])) for row in rows}


def read_trajectories(connection: Connection, ids: Sequence[int]) -> Iterator[tuple[int, Trajectory]]:
    """Tracklets' numbers with their boxes, of those that have any."""
    columns = (Box.tracklet, Box.frame, Box.time_ns, Box.x1, Box.y1, Box.x2, Box.y2)
    query = select(*columns).where(Box.tracklet.in_(ids)).order_by(Box.tracklet, Box.frame)
    for number, rows in groupby(connection.execute(query).all(), key=lambda row: row.tracklet):
        boxes = [tuple(row) for row in rows]
        times = np.array([box[1:3] for box in boxes], np.int64)
        yield number, Trajectory(times[:, 0], times[:, 1], np.array([box[3:] for box in boxes], np.float64))


def stored_tracklet(row: Any, crops: Sequence[Any]) -> StoredTracklet:
    """A tracklet from its row and its crops' rows."""
    return StoredTracklet(
        id=row.id,
        key=TrackletKey(row.recording, row.track, row.part),
        camera=row.name,
        start_ns=row.start_ns,
        end_ns=row.end_ns,
        model=crops[0].name if crops else "",
        crops=tuple(StoredCrop(crop.id, crop.frame, crop.quality, embedding(crop)) for crop in crops),
        closed_ns=row.closed_ns,
    )


def read_crops(connection: Connection, tracklets: Sequence[int], limit: int | None) -> dict[int, list[Any]]:
    """Rows of crops and embeddings by tracklet, best first."""
    crop = (CropRow.id, CropRow.tracklet, CropRow.frame, CropRow.quality)
    vectors = (EmbeddingRow.cell_count, EmbeddingRow.channels, EmbeddingRow.cells)
    query = select(*crop, *vectors, EmbeddingRow.foreground, EmbeddingRow.pooled, Model.name)
    query = query.join(EmbeddingRow, EmbeddingRow.crop == CropRow.id).join(Model)
    query = query.where(CropRow.tracklet.in_(tracklets)).order_by(CropRow.tracklet, CropRow.rank)
    if limit is not None:
        query = query.where(CropRow.rank < limit)
    found: dict[int, list[Any]] = {}
    for row in connection.execute(query):
        found.setdefault(row.tracklet, []).append(row)
    return found


def embedding(row: Any) -> Embedding:
    """An embedding from its row."""
    cells = np.frombuffer(row.cells, "<f2").reshape(row.cell_count, row.channels)
    return Embedding(cells, np.frombuffer(row.foreground, "<f2"), np.frombuffer(row.pooled, "<f2"))

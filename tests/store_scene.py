"""A small store with known people: generated tracklets, through the real messages and the real store."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from sqlalchemy import func, select

from pipeline.messages import Crop, Embedding, TrackletClosed, TrackletEmbedded, TrackletKey
from pipeline.records import Sighting
from pipeline.store.cameras import add_camera
from pipeline.store.database import Store
from pipeline.store.identity_claims import add_sightings, new_identity
from pipeline.store.open_store import open_store
from pipeline.store.recordings import end_recording, start_recording
from pipeline.store.runs import begin_run, end_run
from pipeline.store.schema import Box, CropRow, EmbeddingRow, Identity, SightingRow, Tracklet
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.versions import new_version

FPS = 25
HELD = (Tracklet, Box, CropRow, EmbeddingRow, SightingRow, Identity)
"""What goes with a recording."""
EIGHT_NS = 1_769_846_400 * 10**9
"""2026-01-31T08:00:00Z."""
MODEL = "fpr-test"


def tracklet(
    recording: int,
    track: int,
    *,
    part: int = 0,
    start_s: float = 0.0,
    frames: int = 25,
    crops: int = 2,
    origin_ns: int = EIGHT_NS,
    camera: str = "hall",
) -> TrackletEmbedded:
    """A tracklet of random pictures and cells that depend on its key alone."""
    rng = np.random.default_rng((recording, abs(track), part))
    numbers = np.arange(round(start_s * FPS), round(start_s * FPS) + frames, dtype=np.int32)
    times = origin_ns + numbers.astype(np.int64) * (10**9 // FPS)
    boxes = np.float32([10, 20, 50, 120]) + rng.random((frames, 4), dtype=np.float32)
    confidences = np.where(numbers % 2 == 0, 0.9, 0.0).astype(np.float32)
    best = tuple(
        Crop(int(numbers[i]), int(times[i]), boxes[i], quality=i / 10, jpeg=noise_jpeg(rng))
        for i in range(crops)
    )
    key = TrackletKey(recording, track, part)
    closed = TrackletClosed(key, camera, numbers, times, boxes, confidences, best)
    return TrackletEmbedded(closed, MODEL, tuple(embedding(rng) for _ in range(crops)))


def noise_jpeg(rng: np.random.Generator, width: int = 16, height: int = 40) -> bytes:
    """A picture that resembles no other, and does not compress."""
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()


def embedding(rng: np.random.Generator, cells: int = 6, channels: int = 32) -> Embedding:
    """Random cells of unit length."""
    drawn = rng.standard_normal((cells, channels))
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    foreground = np.full(cells, 1 / cells)
    return Embedding(unit.astype(np.float16), foreground.astype(np.float16), unit[0].astype(np.float16))


def recording(
    store: Store, camera: str, *, fingerprint: str = "f", clock_known: bool = True, run: int = 0
) -> int:
    """A started recording of a camera."""
    run = run or begin_run(store, command="run", config={}, software="test")
    row = add_camera(store, camera, clock_known=clock_known)
    start_ns = EIGHT_NS if clock_known else 0
    return start_recording(
        store, run=run, camera=row, source=f"{camera}.mp4", fingerprint=fingerprint, start_ns=start_ns
    )


def fill(path: Path, *, clock_known: bool = True) -> Path:
    """A store in which P1 goes hall -> gate -> hall, P2 stays in hall, and P3 at the gate could be P1."""
    origin_ns = EIGHT_NS if clock_known else 0
    with open_store(path, create=True, write=True) as store:
        run = begin_run(store, command="run hall.mp4 gate.mp4", config={}, software="test")
        hall = recording(store, "hall", clock_known=clock_known, run=run)
        gate = recording(store, "gate", clock_known=clock_known, run=run)
        places = {"recording": hall, "camera": "hall", "origin_ns": origin_ns}
        gates = {"recording": gate, "camera": "gate", "origin_ns": origin_ns}
        add_tracklets(
            store,
            [
                tracklet(track=1, start_s=0, **places),
                tracklet(track=1, part=1, start_s=2, **places),
                tracklet(track=2, start_s=1, **places),
                tracklet(track=1, start_s=20, **gates),
                tracklet(track=2, start_s=30, **gates),
                tracklet(track=3, start_s=60, **places),
            ],
        )
        version = new_version(store, "online")
        one, two, three = (new_identity(store) for _ in range(3))
        ids = {(t.camera, t.key.track, t.key.part): t.id for t in stored_tracklets(store)}
        again = {"distance": 0.2, "probability": 0.9, "runner_up": two, "runner_up_probability": 0.1}
        unsure = {"distance": 0.4, "probability": 0.55, "runner_up": one, "runner_up_probability": 0.45}
        add_sightings(
            store,
            version,
            [
                Sighting(ids["hall", 1, 0], one, "new"),
                Sighting(ids["hall", 1, 1], one, "linked", probability=0.99),
                Sighting(ids["hall", 2, 0], two, "new"),
                Sighting(ids["gate", 1, 0], one, "linked", **again),
                Sighting(ids["gate", 2, 0], three, "ambiguous", **unsure),
                Sighting(ids["hall", 3, 0], one, "linked", probability=0.7),
            ],
        )
        for number in (hall, gate):
            end_recording(store, number, state="done", frames=2000, detected=1000)
        end_run(store, run, "done")
    return path


def count(store: Store, *tables: type) -> list[int]:
    """How many rows each of these tables has."""
    with store.reading() as connection:
        return [connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]

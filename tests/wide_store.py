"""A generated store of many tracklets, and how much of it a question reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import event

from pipeline.store.cameras import add_camera
from pipeline.store.database import Store
from pipeline.store.open_store import open_store
from pipeline.store.recordings import start_recording
from pipeline.store.rows import insert_rows
from pipeline.store.runs import begin_run
from pipeline.store.schema import Identity, SightingRow, Tracklet
from pipeline.store.versions import new_version
from tests.store_scene import EIGHT_NS

CAMERAS = 10


def fill_wide(
    path: Path, *, tracklets: int = 20_000, people: int = 2_000, at_once: int = 1, seed: int = 0
) -> Path:
    """A store of tracklets without boxes or crops; each person has every `people`-th of them.

    Args:
        path: of the new database.
        tracklets: how many; `at_once` of them begin at one time.
        people: how many.
        at_once: see there.
        seed: draws cameras and lengths.
    """
    rng = np.random.default_rng(seed)
    with open_store(path, create=True, write=True) as store:
        run = begin_run(store, command="run", config={}, software="test")
        recordings = [wide_recording(store, run, f"camera{i}") for i in range(CAMERAS)]
        version = new_version(store, "online")
        places = rng.integers(0, min(CAMERAS, max(2, tracklets // 20)), tracklets)
        lengths = rng.integers(1, 40, tracklets) * 10**9
        starts = EIGHT_NS + np.arange(tracklets) // at_once * 10**9
        with store.writing() as connection:
            insert_rows(connection, Identity, [{"id": n + 1} for n in range(people)])
            rows = zip(places.tolist(), starts.tolist(), lengths.tolist(), strict=True)
            insert_rows(
                connection,
                Tracklet,
                [tracklet(n, recordings[p], start, length) for n, (p, start, length) in enumerate(rows)],
            )
            insert_rows(connection, SightingRow, [claim(n, version, people) for n in range(tracklets)])
    return path


def wide_recording(store: Store, run: int, name: str) -> int:
    """A recording of a camera of its own."""
    row = add_camera(store, name, clock_known=True)
    return start_recording(
        store, run=run, camera=row, source=f"{name}.mp4", fingerprint="f", start_ns=EIGHT_NS
    )


def tracklet(number: int, recording: int, start_ns: int, length_ns: int) -> dict[str, Any]:
    """A tracklet's row."""
    return {
        "id": number + 1,
        "recording": recording,
        "track": number + 1,
        "part": 0,
        "first_frame": 0,
        "last_frame": 9,
        "start_ns": start_ns,
        "end_ns": start_ns + length_ns,
        "closed_ns": None,
        "boxes": 10,
        "confidence": 0.9,
    }


def claim(number: int, version: int, people: int) -> dict[str, Any]:
    """Whom it shows."""
    first = number < people
    row = {"version": version, "tracklet": number + 1, "identity": number % people + 1}
    sure = {"state": "new" if first else "linked", "probability": None if first else 0.9}
    return {**row, **sure, "distance": None, "evidence": None, **dict.fromkeys(OTHERS)}


OTHERS = ("runner_up", "runner_up_distance", "runner_up_probability")


@dataclass
class Read:
    """What was read from a store."""

    statements: int = 0
    rows: int = 0
    asked: list[tuple[str, Any]] = field(default_factory=list)


@contextmanager
def counted(store: Store) -> Iterator[Read]:
    """Count the statements that select something from the store, and the rows that they give."""
    read = Read()

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            read.asked.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield read
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
    read.statements = len(read.asked)
    with store.reading() as connection:
        for statement, parameters in read.asked:
            again = f"SELECT count(*) FROM ({statement})"
            read.rows += connection.exec_driver_sql(again, parameters).scalar() or 0

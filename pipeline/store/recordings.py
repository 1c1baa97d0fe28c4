"""What was watched: recordings begun, found again, ended, removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import func, select, update

from pipeline.messages import RecordingState
from pipeline.store.database import Store
from pipeline.store.removal import FINISHED, remove_recordings, remove_unfinished
from pipeline.store.rows import new_row
from pipeline.store.schema import Camera, Recording
from pipeline.urls import redact


class StoredRecording(msgspec.Struct, frozen=True):
    """What became of a recording."""

    id: int
    state: str
    frames: int
    detected: int
    message: str

    @property
    def finished(self) -> bool:
        """Whether it need not be processed again."""
        return self.state in FINISHED


class StoredStart(msgspec.Struct, frozen=True):
    """When a recording began, and what it was of."""

    id: int
    source: str
    """Where it was read from."""
    fingerprint: str | None
    state: str
    start_ns: int
    """0 where that is unknown."""


def recording_cameras(store: Store) -> dict[int, int]:
    """The camera's number of every recording."""
    with store.reading() as connection:
        return {row.id: row.camera for row in connection.execute(select(Recording.id, Recording.camera))}


def newest_recordings(store: Store) -> dict[str, int]:
    """The newest recording of every camera that has one, by name, the oldest recording first."""
    newest = select(func.max(Recording.id)).group_by(Recording.camera)
    query = select(Camera.name, Recording.id).join(Camera).where(Recording.id.in_(newest))
    with store.reading() as connection:
        return {row.name: row.id for row in connection.execute(query.order_by(Recording.id))}


def live_recordings(store: Store) -> set[int]:
    """Recordings that were watched as they happened: no content names them."""
    with store.reading() as connection:
        return set(connection.scalars(select(Recording.id).where(Recording.fingerprint.is_(None))))


def find_recording(store: Store, camera: int, fingerprint: str) -> StoredRecording | None:
    """The recording of this content by this camera, if there was one."""
    query = select(
        Recording.id, Recording.state, Recording.frames, Recording.detected, Recording.message
    ).where(Recording.camera == camera, Recording.fingerprint == fingerprint)
    with store.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None else StoredRecording(*row)


def cameras_of_content(store: Store, fingerprint: str) -> list[str]:
    """Names of the cameras that hold a finished recording of this content."""
    query = select(Camera.name).join(Recording, Recording.camera == Camera.id).order_by(Recording.id)
    read = (Recording.fingerprint == fingerprint) & Recording.state.in_(FINISHED)
    with store.reading() as connection:
        return list(connection.scalars(query.where(read)))


def recording_starts(store: Store, camera: str) -> list[StoredStart]:
    """When each recording of a camera began."""
    query = select(
        Recording.id, Recording.source, Recording.fingerprint, Recording.state, Recording.start_ns
    ).join(Camera)
    with store.reading() as connection:
        return [StoredStart(*row) for row in connection.execute(query.where(Camera.name == camera))]


def start_recording(
    store: Store, *, run: int, camera: int, source: str, fingerprint: str | None, start_ns: int
) -> int:
    """Number of a new recording; an unfinished one of the same content goes first, with all it held.

    Args:
        run: from `begin_run`.
        camera: from `add_camera`.
        source: as the user gave it; credentials are cut out.
        fingerprint: names the content; None for a live stream.
        start_ns: source time of the first frame; 0 where unknown.

    Raises:
        ValueError: this content is finished: see `find_recording`, `forget_recordings`.
    """
    with store.writing() as connection:
        if fingerprint is not None:
            remove_unfinished(connection, camera, fingerprint)
        keys = {"run": run, "camera": camera, "fingerprint": fingerprint, "start_ns": start_ns}
        state = {"state": "running", "frames": 0, "detected": 0, "message": ""}
        source = redact(source)
        return new_row(connection, Recording, source=source, started_ns=store.clock(), **keys, **state)


def note_frame_size(store: Store, recording: int, *, width: int, height: int, fps: float) -> None:
    """Note the size (px) and rate of a recording's frames with its camera."""
    camera = select(Recording.camera).where(Recording.id == recording).scalar_subquery()
    with store.writing() as connection:
        values = {"width": width, "height": height, "fps": fps}
        connection.execute(update(Camera).where(Camera.id == camera).values(values))


def unfinished_recordings(store: Store, ids: Sequence[int]) -> set[int]:
    """Those of these recordings whose end was not noted yet."""
    query = select(Recording.id).where(Recording.id.in_(ids), Recording.state == "running")
    with store.reading() as connection:
        return set(connection.scalars(query))


def end_recording(
    store: Store, recording: int, *, state: RecordingState, frames: int, detected: int, message: str = ""
) -> None:
    """Note how a recording ended, how many frames it had and how many were detected."""
    values = {"state": state, "frames": frames, "detected": detected, "ended_ns": store.clock()}
    message = redact(message)
    with store.writing() as connection:
        row = update(Recording).where(Recording.id == recording)
        connection.execute(row.values(message=message, **values))


def forget_recordings(store: Store, cameras: Iterable[str]) -> int:
    """How many recordings of these cameras were removed with all they held."""
    query = select(Recording.id).join(Camera).where(Camera.name.in_(list(cameras)))
    with store.writing() as connection:
        recordings = list(connection.scalars(query))
        remove_recordings(connection, recordings)
    return len(recordings)


def forget_recording(store: Store, recording: int) -> None:
    """Remove one recording with all it held."""
    with store.writing() as connection:
        remove_recordings(connection, [recording])

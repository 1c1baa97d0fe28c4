"""What the writer of a run does with the store: recordings and tracklets in, identities on top."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Select, delete, func, select, update

from pipeline.credentials import redact
from pipeline.linking.double_boxes import Trajectory
from pipeline.linking.match import Sighting
from pipeline.messages import RecordingState, TrackletEmbedded, TrackletKey
from pipeline.store.database import (
    Database,
    ReadOnlyStoreError,
    engine_for,
    locate,
    now_ns,
    translated,
    write_transaction,
)
from pipeline.store.opening import open_engine
from pipeline.store.removal import FINISHED, remove_recordings, remove_unfinished
from pipeline.store.schema import (
    AuditEntry,
    Camera,
    Identity,
    IdentityVersion,
    Model,
    Recording,
    Run,
    SightingRow,
    Tracklet,
)
from pipeline.store.tracklet_rows import (
    StoredTracklet,
    insert_rows,
    insert_tracklets,
    new_row,
    pages,
    read_tracklets,
    read_trajectories,
)

LOG = logging.getLogger(__name__)

VersionKind = Literal["online", "relink", "recluster", "correction"]


class StoredCamera(msgspec.Struct, frozen=True):
    """A camera the store knows."""

    id: int
    name: str
    clock_known: bool
    overlaps: tuple[str, ...]


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
    """When a recording began."""

    fingerprint: str | None
    state: str
    start_ns: int
    """0 where that is unknown."""


class LinkedTracklet(msgspec.Struct, frozen=True):
    """A tracklet and the claim about it."""

    tracklet: StoredTracklet
    sighting: Sighting


def open_store(
    url_or_path: str | Path,
    *,
    create: bool = False,
    write: bool = False,
    lock_held: bool = False,
    clock: Callable[[], int] = now_ns,
) -> Store:
    """The store in an SQLite file or at a PostgreSQL URL (password: PGPASSWORD or ~/.pgpass).

    Args:
        url_or_path: file path, or SQLAlchemy URL.
        create: make it if it is missing.
        write: become its one writer and bring an older schema up to date; without it, query only.
        lock_held: the process that started this one is the writer, keeps the lock and lets this one write.
        clock: now, in UTC epoch ns.

    Raises:
        MissingStoreError, NotAStoreError, NewerSchemaError, OlderSchemaError, StoreInUseError,
        ReadOnlyStoreError, UnreachableStoreError: see `pipeline.store.opening`, `pipeline.store.database`.
    """
    location = locate(url_or_path)
    opened = open_engine(location, create=create, write=write, lock_held=lock_held)
    return Store(location, opened.engine, opened.lock, clock)


class Store(Database):
    """An open store. Every method is one transaction: kept as a whole, or not at all."""

    def begin_run(self, *, command: str, config: Any, software: str) -> int:
        """Number of a new run; what an earlier one left running was interrupted.

        Args:
            command: the command line.
            config: any msgspec struct or JSON value.
            software: our version.
        """
        with self.writing() as connection:
            now = self.clock()
            for table in (Run, Recording):
                interrupted = {"state": "interrupted", "ended_ns": now}
                connection.execute(update(table).where(table.state == "running").values(interrupted))
            row = {"started_ns": now, "state": "running", "software": software}
            texts = {"command": redact(command), "config": public_config(config)}
            return new_row(connection, Run, **row, **texts)

    def end_run(self, run: int, state: str) -> None:
        """Note how a run ended; recordings it left running ended with it."""
        with self.writing() as connection:
            values = {"state": state, "ended_ns": self.clock()}
            connection.execute(update(Run).where(Run.id == run).values(values))
            left = (Recording.run == run) & (Recording.state == "running")
            connection.execute(update(Recording).where(left).values(values | {"state": "interrupted"}))

    def camera_id(self, name: str, *, clock_known: bool, overlaps: Iterable[str] = ()) -> int:
        """Number of a camera, made or updated."""
        values = {"clock_known": clock_known, "overlaps": sorted(overlaps)}
        with self.writing() as connection:
            known = connection.scalar(select(Camera.id).where(Camera.name == name))
            if known is None:
                return new_row(connection, Camera, name=name, **values)
            connection.execute(update(Camera).where(Camera.id == known).values(values))
            return known

    def cameras(self) -> list[StoredCamera]:
        """All cameras, by name."""
        with self.reading() as connection:
            rows = connection.execute(select(Camera.id, Camera.name, Camera.clock_known, Camera.overlaps))
            stored = [StoredCamera(r.id, r.name, r.clock_known, tuple(r.overlaps)) for r in rows]
        return sorted(stored, key=lambda camera: camera.name)

    def recording_cameras(self) -> dict[int, int]:
        """The camera's number of every recording."""
        with self.reading() as connection:
            return {row.id: row.camera for row in connection.execute(select(Recording.id, Recording.camera))}

    def live_recordings(self) -> set[int]:
        """Recordings that were watched as they happened: no content names them."""
        with self.reading() as connection:
            return set(connection.scalars(select(Recording.id).where(Recording.fingerprint.is_(None))))

    def find_recording(self, camera: int, fingerprint: str) -> StoredRecording | None:
        """The recording of this content by this camera, if there was one."""
        query = select(
            Recording.id, Recording.state, Recording.frames, Recording.detected, Recording.message
        ).where(Recording.camera == camera, Recording.fingerprint == fingerprint)
        with self.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else StoredRecording(*row)

    def starts(self, camera: str) -> list[StoredStart]:
        """When each recording of a camera began."""
        query = select(Recording.fingerprint, Recording.state, Recording.start_ns).join(Camera)
        with self.reading() as connection:
            return [StoredStart(*row) for row in connection.execute(query.where(Camera.name == camera))]

    def start_recording(
        self, *, run: int, camera: int, source: str, fingerprint: str | None, start_ns: int
    ) -> int:
        """Number of a new recording; an unfinished one of the same content goes first, with all it held.

        Args:
            run: from `begin_run`.
            camera: from `camera_id`.
            source: as the user gave it; credentials are cut out.
            fingerprint: names the content; None for a live stream.
            start_ns: source time of the first frame; 0 where unknown.

        Raises:
            ValueError: this content is finished: see `find_recording`, `forget_recordings`.
        """
        with self.writing() as connection:
            if fingerprint is not None:
                remove_unfinished(connection, camera, fingerprint)
            keys = {"run": run, "camera": camera, "fingerprint": fingerprint, "start_ns": start_ns}
            state = {"state": "running", "frames": 0, "detected": 0, "message": ""}
            source = redact(source)
            return new_row(connection, Recording, source=source, started_ns=self.clock(), **keys, **state)

    def frame_size(self, recording: int, *, width: int, height: int, fps: float) -> None:
        """Note the size (px) and rate of a recording's frames with its camera."""
        camera = select(Recording.camera).where(Recording.id == recording).scalar_subquery()
        with self.writing() as connection:
            values = {"width": width, "height": height, "fps": fps}
            connection.execute(update(Camera).where(Camera.id == camera).values(values))

    def end_recording(
        self, recording: int, *, state: RecordingState, frames: int, detected: int, message: str = ""
    ) -> None:
        """Note how a recording ended, how many frames it had and how many were detected."""
        values = {"state": state, "frames": frames, "detected": detected, "ended_ns": self.clock()}
        message = redact(message)
        with self.writing() as connection:
            row = update(Recording).where(Recording.id == recording)
            connection.execute(row.values(message=message, **values))

    def forget_recordings(self, cameras: Iterable[str]) -> int:
        """How many recordings of these cameras were removed with all they held."""
        query = select(Recording.id).join(Camera).where(Camera.name.in_(list(cameras)))
        with self.writing() as connection:
            recordings = list(connection.scalars(query))
            remove_recordings(connection, recordings)
        return len(recordings)

    def add_tracklets(
        self, batch: Sequence[TrackletEmbedded], closed_ns: Mapping[TrackletKey, int] | None = None
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
        with self.writing() as connection:
            insert_tracklets(connection, batch, closed_ns or {})

    def current_version(self) -> int | None:
        """The newest identity version, if there is one."""
        query = select(IdentityVersion.id).order_by(IdentityVersion.id.desc()).limit(1)
        with self.reading() as connection:
            return connection.scalar(query)

    def new_version(self, kind: VersionKind, note: str = "") -> int:
        """Number of a new, empty identity version, which is now the current one."""
        values = {"created_ns": self.clock(), "kind": kind, "note": note, "late": False}
        with self.writing() as connection:
            return new_row(connection, IdentityVersion, **values)

    def identities_of_tracklets(self, version: int) -> dict[int, int]:
        """The identity of every tracklet with a claim in `version`."""
        query = select(SightingRow.tracklet, SightingRow.identity).where(SightingRow.version == version)
        with self.reading() as connection:
            return {row.tracklet: row.identity for row in connection.execute(query)}

    def tracklets(
        self, ids: Sequence[int] | None = None, *, crops: int | None = None
    ) -> Iterator[StoredTracklet]:
        """These tracklets (None: all), in the order of `unlinked`; `crops` as in `load_gallery`."""
        every = select(Tracklet.id)
        for page in [None] if ids is None else pages(ids):
            query = every if page is None else every.where(Tracklet.id.in_(page))
            yield from self.tracklets_in_order(query, crops=crops)

    def trajectories(self, ids: Sequence[int]) -> dict[int, Trajectory]:
        """The boxes of these tracklets."""
        with self.reading() as connection:
            return dict(found for page in pages(ids) for found in read_trajectories(connection, page))

    def mark_late(self, version: int) -> None:
        """Note that tracklets were linked out of their order, so that linking anew may say otherwise."""
        with self.writing() as connection:
            row = update(IdentityVersion).where(IdentityVersion.id == version)
            connection.execute(row.values(late=True))

    def is_late(self, version: int) -> bool:
        """Whether `mark_late` was called for this version."""
        query = select(IdentityVersion.late).where(IdentityVersion.id == version)
        with self.reading() as connection:
            return bool(connection.scalar(query))

    def new_identity(self) -> int:
        """Number of a new person."""
        with self.writing() as connection:
            return new_row(connection, Identity)

    def add_sightings(self, version: int, sightings: Sequence[Sighting]) -> None:
        """Keep claims about tracklets; a later claim about the same tracklet replaces the earlier."""
        rows = [{"version": version, **msgspec.structs.asdict(sighting)} for sighting in sightings]
        with self.writing() as connection:
            for page in pages([sighting.tracklet for sighting in sightings]):
                same = (SightingRow.version == version) & SightingRow.tracklet.in_(page)
                connection.execute(delete(SightingRow).where(same))
            insert_rows(connection, SightingRow, rows)

    def unlinked(self, until_end_ns: int | None, version: int, *, after: int = 0) -> Iterator[StoredTracklet]:
        """Tracklets without a claim in `version`, by (when closed, camera's name, track, part).

        Args:
            until_end_ns: only those closed at or before it; None for all.
            version: an identity version.
            after: only those with a greater number: see `linked_up_to`.
        """
        query = select(Tracklet.id).where(Tracklet.id > after, ~claimed(version))
        if until_end_ns is not None:
            query = query.where(closing() <= until_end_ns)
        yield from self.tracklets_in_order(query)

    def linked_up_to(self, version: int, *, after: int = 0) -> int:
        """The greatest number up to which every tracklet has a claim in `version`, known of those to `after`.

        The work is in what was linked since: a site that runs for weeks need not look at all it ever saw.
        """
        later = select(Tracklet.id).where(Tracklet.id > after)
        with self.reading() as connection:
            first = connection.scalar(later.where(~claimed(version)).order_by(Tracklet.id).limit(1))
            if first is not None:
                return first - 1
            return connection.scalar(select(func.max(Tracklet.id))) or after

    def load_gallery(
        self, version: int, *, crops: int | None = None, newest: int | None = None
    ) -> Iterator[LinkedTracklet]:
        """Every tracklet with a claim in `version`, in the order of `unlinked`.

        Args:
            version: an identity version.
            crops: at most so many of each tracklet, the best; None for all.
            newest: at most so many tracklets of each identity; None for all.
        """
        query = claims_of(version, newest)
        columns = [getattr(SightingRow, name) for name in Sighting.__struct_fields__]
        for page in pages(self.tracklets_in_order(query, crops=crops)):
            mine = SightingRow.tracklet.in_([tracklet.id for tracklet in page])
            with self.reading() as connection:
                rows = connection.execute(select(*columns).where(SightingRow.version == version, mine))
                claims = {row.tracklet: Sighting(*row) for row in rows}
            yield from (LinkedTracklet(t, claims[t.id]) for t in page if t.id in claims)

    def tracklets_in_order(self, ids: Select[Any], *, crops: int | None = None) -> Iterator[StoredTracklet]:
        """The tracklets that a query selects; read in pages, so that the caller may write meanwhile."""
        columns = (closing(), Camera.name, Tracklet.track, Tracklet.part, Tracklet.id)
        query = select(*columns).join(Recording, Tracklet.recording == Recording.id).join(Camera)
        with self.reading() as connection:
            ordered = sorted(connection.execute(query.where(Tracklet.id.in_(ids))).all())
        for page in pages([number for *_, number in ordered]):
            with self.reading() as connection:
                tracklets = read_tracklets(connection, page, crops)
            yield from (tracklets[tracklet] for tracklet in page if tracklet in tracklets)

    def newest_model(self) -> str:
        """The model that was in use last; empty where there was none."""
        with self.reading() as connection:
            return connection.scalar(select(Model.name).order_by(Model.id.desc()).limit(1)) or ""

    def calibration(self, model: str) -> Any | None:
        """What `set_calibration` kept for a model."""
        with self.reading() as connection:
            return connection.scalar(select(Model.calibration).where(Model.name == model))

    def set_calibration(self, model: str, calibration: Any) -> None:
        """Keep a model's calibration, a JSON value."""
        with self.writing() as connection:
            known = connection.execute(
                update(Model).where(Model.name == model).values(calibration=calibration)
            )
            if known.rowcount == 0:
                new_row(connection, Model, name=model, calibration=calibration)

    def audit(self, action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
        """Note who was asked for; works without being the writer, beside a running one.

        A store that cannot be written is read all the same, with one warning in the log.
        """
        row = {"action": action, "subject": subject, "detail": detail or {}}
        engine = self.engine if self.lock else engine_for(self.location, write=True)
        try:
            with translated(self.location), write_transaction(engine) as connection:
                new_row(connection, AuditEntry, time_ns=self.clock(), **row)
        except ReadOnlyStoreError:
            if not self.warned:
                LOG.warning("%s: cannot be written: this query is not audited", self.location.name)
            self.warned = True
        finally:
            if engine is not self.engine:
                engine.dispose()


def claimed(version: int) -> ColumnElement[bool]:
    """Whether a tracklet has a claim."""
    mine = (SightingRow.version == version) & (SightingRow.tracklet == Tracklet.id)
    return select(SightingRow.tracklet).where(mine).exists()


def claims_of(version: int, newest: int | None) -> Select[Any]:
    """Numbers of the tracklets with a claim; at most the `newest` of each identity."""
    every = select(SightingRow.tracklet).where(SightingRow.version == version)
    if newest is None:
        return every
    latest_first = (closing().desc(), Tracklet.id.desc())
    rank = func.row_number().over(partition_by=SightingRow.identity, order_by=latest_first).label("rank")
    joined = select(SightingRow.tracklet, rank).join(Tracklet, Tracklet.id == SightingRow.tracklet)
    ranked = joined.where(SightingRow.version == version).subquery()
    return select(ranked.c.tracklet).where(ranked.c.rank <= newest)


def closing() -> ColumnElement[int]:
    """When a tracklet may be linked: at its end, or that of the whole track it was cut from."""
    return func.coalesce(Tracklet.closed_ns, Tracklet.end_ns)


def public_config(config: Any) -> Any:
    """A configuration as JSON, with credentials cut out of every string."""
    text = msgspec.json.encode(config).decode()
    return msgspec.json.decode(redact(text))

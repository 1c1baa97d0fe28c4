"""Erasing a person: rows, vectors and pictures, down to the bytes of the database file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, tuple_

from pipeline.store.database import Store
from pipeline.store.database_errors import BUSY_TIMEOUT_S, ReadOnlyStoreError, StoreError, translated
from pipeline.store.lookups import check_person
from pipeline.store.removal import remove_empty_identities, remove_identities
from pipeline.store.rows import pages
from pipeline.store.schema import (
    AuditEntry,
    Box,
    CropRow,
    EmbeddingRow,
    Recording,
    SightingRow,
    Tracklet,
)
from pipeline.store.versions import current_version

READERS_MS = 2000
"""So long those who read are waited for, who keep old bytes in the write-ahead log."""


class ErasureIncompleteError(StoreError, kind="busy"):
    """The rows are gone, but another program keeps a file with their old bytes open."""


class Erased(msgspec.Struct, frozen=True):
    """What was erased."""

    person: int
    tracklets: int
    boxes: int
    crops: int
    exports: tuple[str, ...]
    """Exports that may still name the person: made from this store before, and still there."""


def forget(store: Store, person: int) -> Erased:
    """Erase a person from every identity version, and the bytes from the database's files.

    The source video is not touched. Copies outside the database are the caller's: `exports`, backups,
    and PostgreSQL's own write-ahead log and replicas.

    Args:
        store: opened for writing.
        person: number of the identity in the newest version.

    Raises:
        UnknownPersonError: nobody of this number.
        ReadOnlyStoreError: the store is open for reading.
        ErasureIncompleteError: another program is reading; the bytes go when it has closed.
        StoreFullError: no space to rewrite the database.
    """
    erased = erase(store, person)
    purge(store)
    return erased


def erase(store: Store, person: int) -> Erased:
    """What `forget` removes from the rows; their bytes go with `purge`.

    Tracks of recordings that are still being watched may go on: what of them was not linked yet goes too, and
    the audit entry names them, so that who stores what comes later leaves it out (`erased_tracks`).

    Raises:
        UnknownPersonError, ReadOnlyStoreError: see `forget`.
    """
    if not store.writes:
        raise ReadOnlyStoreError(f"{store.location.name}: open for reading only")
    check_person(store, person)
    version = current_version(store)
    with store.writing() as connection:
        mine = (SightingRow.identity == person) & (SightingRow.version == version)
        tracklets = list(connection.scalars(select(SightingRow.tracklet).where(mine)))
        tracks = tracks_going_on(connection, tracklets)
        tracklets += unlinked_parts(connection, version or 0, tracks)
        erased = remove_tracklets(connection, person, tracklets)
        detail: dict[str, Any] = {"tracklets": erased.tracklets, "crops": erased.crops}
        if tracks:
            detail["tracks"] = sorted(tracks)
        entry = {"action": "forget", "subject": f"P{person}", "time_ns": store.clock(), "detail": detail}
        connection.execute(insert(AuditEntry).values(**entry))
    return erased


def tracks_going_on(connection: Connection, tracklets: list[int]) -> set[tuple[int, int]]:
    """Recording and number of the tracks of these tracklets that may have later parts.

    A piece that was cut off a track (its number is negative) shows somebody else than the rest of it.
    """
    found: set[tuple[int, int]] = set()
    query = select(Tracklet.recording, Tracklet.track).join(Recording, Tracklet.recording == Recording.id)
    query = query.where(Recording.state == "running", Tracklet.track > 0)
    for page in pages(tracklets):
        rows = connection.execute(query.where(Tracklet.id.in_(page)))
        found |= {(recording, track) for recording, track in rows}
    return found


def unlinked_parts(connection: Connection, version: int, tracks: Iterable[tuple[int, int]]) -> list[int]:
    """Numbers of the tracklets of these tracks that nobody has linked yet."""
    linked = (SightingRow.version == version) & (SightingRow.tracklet == Tracklet.id)
    waiting = select(Tracklet.id).where(~select(SightingRow.tracklet).where(linked).exists())
    found: list[int] = []
    for page in pages(tracks):
        mine = tuple_(Tracklet.recording, Tracklet.track).in_(page)
        found += connection.scalars(waiting.where(mine))
    return found


def erased_tracks(store: Store, recordings: Iterable[int]) -> set[tuple[int, int]]:
    """Recording and number of the tracks whose person was erased while they went on."""
    with store.reading() as connection:
        details = connection.scalars(select(AuditEntry.detail).where(AuditEntry.action == "forget")).all()
    wanted = set(recordings)
    named = [(recording, track) for detail in details for recording, track in detail.get("tracks", ())]
    return {(recording, track) for recording, track in named if recording in wanted}


def remove_tracklets(connection: Connection, person: int, tracklets: list[int]) -> Erased:
    """Delete a person and the tracklets; boxes, crops, embeddings and sightings go with them."""
    boxes = crops = 0
    touched: set[int] = set()
    for page in pages(tracklets):
        boxes += connection.scalar(select(func.count()).select_from(Box).where(Box.tracklet.in_(page))) or 0
        crops += connection.scalar(select(func.count(CropRow.id)).where(CropRow.tracklet.in_(page))) or 0
        touched |= set(connection.scalars(select(SightingRow.identity).where(SightingRow.tracklet.in_(page))))
        connection.execute(delete(Tracklet).where(Tracklet.id.in_(page)))
    remove_identities(connection, [person])
    remove_empty_identities(connection, touched)
    made = connection.scalars(select(AuditEntry.subject).where(AuditEntry.action == "export").distinct())
    exports = tuple(sorted(path for path in made if Path(path).exists()))
    return Erased(person, len(tracklets), boxes, crops, exports)


def purge(store: Store) -> None:
    """Leave no byte of what was deleted in the database's files.

    SQLite overwrites with zeros what it deletes (`secure_delete`), so nothing need be rewritten: old bytes
    are only in the write-ahead log, which is written back and emptied. A page that a reader still looks at
    stays until then.

    Raises:
        ErasureIncompleteError, StoreFullError: see `forget`.
    """
    if store.location.path is None:
        tables = ", ".join(t.__tablename__ for t in (Tracklet, Box, CropRow, EmbeddingRow, SightingRow))
        autocommit = store.engine.execution_options(isolation_level="AUTOCOMMIT")
        with translated(store.location.name), autocommit.connect() as connection:
            connection.exec_driver_sql(f"VACUUM (FULL) {tables}")
        return
    # VACUUM refuses to run within a transaction, which `begin_explicitly` would open. It rewrites the file;
    # the pages from before lie in the write-ahead log until that is cut to nothing.
    plain = store.engine.execution_options(begin="")
    with translated(store.location.name), plain.connect() as connection:
        raw = connection.connection.driver_connection  # it frees a page a row, and SQLAlchemy sees no rows
        assert raw is not None
        raw.execute("PRAGMA incremental_vacuum").fetchall()
        # A reader is not waited for as long as other writing does: cameras wait meanwhile.
        raw.execute(f"PRAGMA busy_timeout = {READERS_MS}")
        busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        raw.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    if busy:
        raise ErasureIncompleteError(
            f"{store.location.name}: erased, but another program is reading: its bytes go once that is closed"
        )

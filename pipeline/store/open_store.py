"""Opening the store's database: the file checked, the one writer locked, the schema brought up to date."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from pipeline.store.database import Store, engine_for, now_ns
from pipeline.store.database_errors import NotAStoreError, ReadOnlyStoreError, StoreError, translated
from pipeline.store.location import Location, locate
from pipeline.store.migrate import bring_up_to_date
from pipeline.store.writer_lock import WriterLock, take_lock

SQLITE_HEADER = b"SQLite format 3\x00"


class MissingStoreError(StoreError, kind="not found"):
    """There is no database where one should be."""


@dataclass(frozen=True)
class OpenedDatabase:
    """An engine that works, and the lock where it may write."""

    engine: Engine
    lock: WriterLock | None


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
        ReadOnlyStoreError, UnreachableStoreError: see there.
    """
    location = locate(url_or_path)
    opened = open_engine(location, create=create, write=write, lock_held=lock_held)
    return Store(location, opened.engine, opened.lock, clock, writes=write and lock_held)


def open_engine(location: Location, *, create: bool, write: bool, lock_held: bool = False) -> OpenedDatabase:
    """A connected engine on a database with today's schema.

    Args:
        location: of the database.
        create: make it if it is missing.
        write: become the one writer.
        lock_held: the process that started this one is the writer, keeps the lock and lets this one write.

    Raises:
        StoreError: each subclass of this file that stands for a way to fail.
    """
    check_file(location, create=create)
    may_write = create or write
    lock = take_lock(location) if may_write and not lock_held else None
    engine = engine_for(location, write=may_write)
    try:
        with translated(location.name):
            bring_up_to_date(engine, location, create=create, write=may_write)
    except BaseException:
        engine.dispose()
        if lock:
            lock.release()
        raise
    if write or lock is None:
        return OpenedDatabase(engine, lock)
    engine.dispose()
    lock.release()
    return OpenedDatabase(engine_for(location, write=False), None)


def check_file(location: Location, *, create: bool) -> None:
    """Refuse a missing file, a folder and anything whose first bytes are not SQLite's."""
    path = location.path
    if path is None:
        return
    try:
        with path.open("rb") as file:
            header = file.read(len(SQLITE_HEADER))
    except FileNotFoundError:
        if not create:
            raise MissingStoreError(
                f"{path}: no such database: check the path, or run a video first"
            ) from None
        make_file(path)
        return
    except OSError as error:
        raise NotAStoreError(f"{path}: not a database: {error.strerror}") from error
    if header != SQLITE_HEADER and not (create and header == b""):
        raise NotAStoreError(f"{path}: not a database: give another path, or move this file away")


def make_file(path: Path) -> None:
    """An empty file that only its owner may read: it will hold pictures of people."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ReadOnlyStoreError(f"{path}: cannot be made: {error.strerror}") from error

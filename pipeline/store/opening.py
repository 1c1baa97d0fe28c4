"""Opening the store's database: the file checked, the one writer locked, the schema brought up to date."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from pipeline.store.database import (
    Location,
    NotAStoreError,
    ReadOnlyStoreError,
    Store,
    StoreError,
    WriterLock,
    engine_for,
    locate,
    now_ns,
    translated,
    write_transaction,
)
from pipeline.store.schema import REVISIONS

SQLITE_HEADER = b"SQLite format 3\x00"
ADVISORY_LOCK = 0x46505252
"""Any constant will do; it names the one writer of a PostgreSQL database."""


class MissingStoreError(StoreError, kind="not found"):
    """There is no database where one should be."""


class StoreInUseError(StoreError, kind="busy"):
    """Another process is the writer."""


class NewerSchemaError(StoreError):
    """A newer version of this program made the database."""


class OlderSchemaError(StoreError):
    """An older version made the database, and it is open for reading only."""


@dataclass(frozen=True)
class Opened:
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
    return Store(location, opened.engine, opened.lock, clock)


def open_engine(location: Location, *, create: bool, write: bool, lock_held: bool = False) -> Opened:
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
        with translated(location):
            bring_up_to_date(engine, location, create=create, write=may_write)
    except BaseException:
        engine.dispose()
        if lock:
            lock.release()
        raise
    if write or lock is None:
        return Opened(engine, lock)
    engine.dispose()
    lock.release()
    return Opened(engine_for(location, write=False), None)


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


def take_lock(location: Location) -> WriterLock:
    """Make this process the only writer.

    Raises:
        StoreInUseError: another process is.
    """
    with translated(location):
        return advisory_lock(location) if location.path is None else file_lock(location.path)


def file_lock(path: Path) -> WriterLock:
    """An exclusive lock on PATH.lock, with our process id in it for the message others get."""
    try:
        descriptor = os.open(f"{path.resolve()}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ReadOnlyStoreError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        process = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreInUseError(f"{path}: in use by process {process}: wait for it or stop it") from None
    with suppress(OSError):  # the number is a courtesy: a full disk is told by the database itself
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return WriterLock(lambda: os.close(descriptor))


def advisory_lock(location: Location) -> WriterLock:
    """The same as a session lock of the server, on a connection of its own."""
    engine = create_engine(
        location.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 10}
    )
    connection = engine.connect()
    if connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK}):
        return WriterLock(partial(unlock, connection))
    connection.close()
    raise StoreInUseError(f"{location.name}: in use by another writer: wait for it or stop it")


def unlock(connection: Connection) -> None:
    """Give a server's lock back now: of a mere goodbye it learns a moment after the next writer has asked."""
    with suppress(DBAPIError), connection:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})


def bring_up_to_date(engine: Engine, location: Location, *, create: bool, write: bool) -> None:
    """Make, migrate or refuse the schema.

    Raises:
        NotAStoreError, NewerSchemaError, OlderSchemaError: see there.
    """
    revision = stored_revision(engine, location, create=create)
    if revision == REVISIONS[-1]:
        return
    if revision is not None and revision not in REVISIONS:
        raise NewerSchemaError(f"{location.name}: made by a newer version: revision {revision}; upgrade")
    if not write:
        raise OlderSchemaError(
            f"{location.name}: made by an older version: revision {revision}; a run brings it up to date"
        )
    migrate(engine)


def stored_revision(engine: Engine, location: Location, *, create: bool) -> str | None:
    """The schema's revision; None for an empty database that may be filled."""
    with engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        if "alembic_version" in tables:
            return str(connection.scalar(text("SELECT version_num FROM alembic_version")))
    if tables or not create:
        raise NotAStoreError(f"{location.name}: a database, but not one of this program: give another")
    return None


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest revision, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with write_transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

"""The store's database: SQLite by path or PostgreSQL by URL, its connections, and what can go wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from pipeline.errors import MendableError

BUSY_TIMEOUT_S = 30
"""A writer's longest transaction (one batch of tracklets) takes well under a second."""


class StoreError(MendableError, kind="wrong input"):
    """The store cannot do what was asked; the message is one line that says what to do."""


class NotAStoreError(StoreError):
    """What is there is not a database of this program."""


class StoreBusyError(StoreError, kind="busy"):
    """Something held the database's lock for longer than a writer waits."""


class StoreFullError(StoreError, kind="full"):
    """The disk is full; nothing of the last transaction was kept."""


class ReadOnlyStoreError(StoreError, kind="unavailable"):
    """The database was opened for reading, or its file may not be written."""


class UnreachableStoreError(StoreError, kind="unavailable"):
    """The database server does not answer or refuses."""


@dataclass(frozen=True)
class Location:
    """Where a database is: `path` for SQLite, None for a server."""

    url: URL
    path: Path | None
    name: str
    """For messages; holds no credentials."""


def locate(url_or_path: str | Path) -> Location:
    """The database that a path or an SQLAlchemy URL means.

    Raises:
        StoreError: neither SQLite nor PostgreSQL, or not a URL at all; psycopg is missing.
    """
    written = str(url_or_path)
    if "://" not in written:
        path = Path(written).expanduser()
        return Location(URL.create("sqlite"), path, str(path))
    try:
        url = make_url(written)
    except (ArgumentError, ValueError):
        raise StoreError("database: not a URL such as postgresql://host/name, nor a file path") from None
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        return Location(URL.create("sqlite"), Path(str(url.database)), str(url.database))
    if url.get_backend_name() == "postgresql":
        if find_spec("psycopg") is None:
            raise StoreError("database: PostgreSQL needs psycopg: pip install 'psycopg[binary]'")
        return Location(url.set(drivername="postgresql+psycopg"), None, f"{url.host}/{url.database}")
    raise StoreError(
        f"database: {url.drivername} is not supported: give a file path or postgresql://host/name"
    )


class Store:
    """An open database with its schema checked; a context manager. The writer holds the one lock."""

    def __init__(
        self, location: Location, engine: Engine, lock: WriterLock | None, clock: Callable[[], int]
    ) -> None:
        self.location = location
        self.engine = engine
        self.lock = lock
        self.clock = clock
        """Now, in UTC epoch ns."""
        self.warned = False
        """Whether the log says that audit entries cannot be kept."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view that never blocks the writer; keep it short."""
        with translated(self.location), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is kept, or nothing.

        Raises:
            StoreFullError, StoreBusyError, ReadOnlyStoreError: see there.
        """
        with translated(self.location), write_transaction(self.engine) as connection:
            yield connection

    def close(self) -> None:
        """Give connections and lock back."""
        self.engine.dispose()
        if self.lock:
            self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WriterLock:
    """What makes a process the only writer; freed by the system when the process dies."""

    def __init__(self, release: Callable[[], None]) -> None:
        self.release = release


def engine_for(location: Location, *, write: bool) -> Engine:
    """An engine whose connections are set up for this program; connects nowhere yet."""
    if location.path is None:
        options = f"-c default_transaction_read_only={'off' if write else 'on'}"
        return create_engine(location.url, connect_args={"options": options, "connect_timeout": 10})
    engine = create_engine(sqlite_url(location.path, write=write))
    event.listen(engine, "connect", set_up_writer if write else set_up_reader)
    event.listen(engine, "begin", begin_explicitly)
    return engine


def sqlite_url(path: Path, *, write: bool) -> URL:
    """The URL that opens a file; on a medium that cannot be written, without SQLite's side files."""
    wal = path.with_name(path.name + "-wal")
    effective = os.access in os.supports_effective_ids
    writable = os.access(path.parent, os.W_OK, effective_ids=effective)
    frozen = not write and not writable and not wal.exists()
    mode = {"mode": "ro", "immutable": "1"} if frozen else {"mode": "rw"}
    return URL.create("sqlite", database=f"file:{quote(str(path))}", query={**mode, "uri": "true"})


def set_up_writer(connection: Any, _: object) -> None:
    """Pragmas of a writing connection; `auto_vacuum` counts only before the first table."""
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_S * 1000}",
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def set_up_reader(connection: Any, _: object) -> None:
    """Pragmas of a reading connection."""
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}").close()
    connection.execute("PRAGMA query_only = ON").close()


def begin_explicitly(connection: Connection) -> None:
    """Python's sqlite3 begins too late; a writer takes its lock at once, for upgrading one can fail."""
    begin = connection.get_execution_options().get("begin", "BEGIN")
    if begin:
        connection.exec_driver_sql(begin)


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the write lock from its beginning."""
    with engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection, connection.begin():
        yield connection


@contextmanager
def translated(location: Location) -> Iterator[None]:
    """The driver's errors as ours, where their cause is known."""
    try:
        yield
    except DBAPIError as error:
        raise (cause(error, location) or error) from error


def cause(error: DBAPIError, location: Location) -> StoreError | None:
    """Our error for the driver's, or None."""
    message = str(error.orig)
    name = location.name
    if "is full" in message or getattr(error.orig, "sqlstate", None) == "53100":
        return StoreFullError(f"{name}: the disk is full: free some space and run again")
    if "is locked" in message:
        return StoreBusyError(f"{name}: locked by another program for {BUSY_TIMEOUT_S} s: close it")
    if "readonly database" in message or "read-only transaction" in message:
        return ReadOnlyStoreError(f"{name}: open for reading only, or not writable")
    if "malformed" in message or "not a database" in message:
        return NotAStoreError(f"{name}: not a database, or damaged: restore it from a backup")
    if "unable to open" in message:
        return ReadOnlyStoreError(f"{name}: cannot be opened: check the rights on the file and its folder")
    if location.path is None and isinstance(error, OperationalError) and error.connection_invalidated:
        return UnreachableStoreError(f"{name}: the connection was lost")
    if location.path is None and isinstance(error, OperationalError):
        return UnreachableStoreError(f"{name}: {message.splitlines()[0]}")
    return None


def now_ns() -> int:
    """The wall clock in UTC epoch ns."""
    return time.time_ns()

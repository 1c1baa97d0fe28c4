"""The store's database: SQLite by path or PostgreSQL by URL, its connections, and what can go wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event

from pipeline.store.database_errors import BUSY_TIMEOUT_S, translated
from pipeline.store.location import Location
from pipeline.store.writer_lock import WriterLock


class Store:
    """An open database with its schema checked; a context manager. The writer holds the one lock."""

    def __init__(
        self,
        location: Location,
        engine: Engine,
        lock: WriterLock | None,
        clock: Callable[[], int],
        *,
        writes: bool = False,
    ) -> None:
        """`writes`: it may, though another process that lets it keeps the lock."""
        self.location = location
        self.engine = engine
        self.lock = lock
        self.writes = writes or lock is not None
        self.clock = clock
        """Now, in UTC epoch ns."""
        self.warned = False
        """Whether the log says that audit entries cannot be kept."""
        self.begun: Connection | None = None
        """The transaction that goes on, which everything within it belongs to."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent view that never blocks the writer; keep it short. Within `writing`, what that sees."""
        if self.begun is not None:
            yield self.begun
            return
        with translated(self.location.name), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is kept, or nothing. What is written within it is part of it.

        Raises:
            StoreFullError, StoreBusyError, ReadOnlyStoreError: see there.
        """
        if self.begun is not None:
            yield self.begun
            return
        with translated(self.location.name), write_transaction(self.engine) as connection:
            self.begun = connection
            try:
                yield connection
            finally:
                self.begun = None

    def close(self) -> None:
        """Give connections and lock back."""
        self.engine.dispose()
        if self.lock:
            self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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


def now_ns() -> int:
    """The wall clock in UTC epoch ns."""
    return time.time_ns()

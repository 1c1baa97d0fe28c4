"""The lock that makes one process the only writer of a database."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from pipeline.store.database_errors import ReadOnlyStoreError, StoreError, translated
from pipeline.store.location import Location

ADVISORY_LOCK = 0x46505252
"""Any constant will do; it names the one writer of a PostgreSQL database."""
SPEAKS = "requests-1 "
"""Version of the requests that a writer understands; its address follows."""
LONGEST_BYTES = 1000


class StoreInUseError(StoreError, kind="busy"):
    """Another process is the writer."""

    def __init__(self, text: str, address: str | None = None) -> None:
        super().__init__(text)
        self.address = address
        """Where it listens to requests; None where it does not, or speaks another version."""


class WriterLock:
    """What makes a process the only writer; freed by the system when the process dies."""

    def __init__(
        self,
        release: Callable[[], None],
        announce: Callable[[str], None] | None = None,
        descriptor: int | None = None,
    ) -> None:
        """`announce` tells others where requests are listened to; None where there is no place to tell it.

        Whoever has `descriptor` open holds the lock too; None where it is no file's.
        """
        self.release, self.descriptor = release, descriptor
        self.announce = announce or (lambda address: None)


def take_lock(location: Location) -> WriterLock:
    """Make this process the only writer.

    Raises:
        StoreInUseError: another process is.
    """
    with translated(location.name):
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
        process, address = told(descriptor)
        os.close(descriptor)
        raise StoreInUseError(
            f"{path}: in use by process {process}: wait for it or stop it", address
        ) from None
    announce = partial(write_lock, descriptor)
    announce("")
    return WriterLock(lambda: os.close(descriptor), announce, descriptor)


def write_lock(descriptor: int, address: str) -> None:
    """Say in the lock file who writes, and where requests are listened to."""
    with suppress(OSError):  # a courtesy: a full disk is told by the database itself
        said = f"{os.getpid()}\n{SPEAKS}{address}\n" if address else f"{os.getpid()}\n"
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, said.encode(), 0)


def told(descriptor: int) -> tuple[str, str | None]:
    """The process that a lock file names, and where it listens; None: nowhere, or it is another user's."""
    process, _, address = os.read(descriptor, LONGEST_BYTES).decode(errors="replace").partition("\n")
    ours = os.fstat(descriptor).st_uid == os.geteuid()
    at = address.strip().removeprefix(SPEAKS) if ours and address.startswith(SPEAKS) else None
    return process.strip() or "unknown", at


def advisory_lock(location: Location) -> WriterLock:
    """The same as a session lock of the server, on a connection of its own.

    Requests are taken on the writer's machine alone: so where it listens is told in a file there.
    """
    engine = create_engine(
        location.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 10}
    )
    connection = engine.connect()
    if connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK}):
        return WriterLock(partial(unlock, connection), partial(announce_here, location))
    connection.close()
    busy = f"{location.name}: in use by another writer: wait for it or stop it"
    raise StoreInUseError(busy, announced_here(location))


def file_here(location: Location) -> Path:
    """Where this machine's writer of a server's database says where it listens; of this user."""
    url = location.url
    name = hashlib.sha256(f"{url.host}:{url.port}/{url.database}".encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"fpr-{os.getuid()}-{name}.lock"


def announce_here(location: Location, address: str) -> None:
    """Say on this machine where requests about a server's database are listened to; empty: nowhere."""
    path = file_here(location)
    with suppress(OSError):  # a courtesy: without it a command is told that somebody else writes
        if not address:
            path.unlink()
            return
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            write_lock(descriptor, address)
        finally:
            os.close(descriptor)


def announced_here(location: Location) -> str | None:
    """Where a writer on this machine listens to requests about a server's database."""
    try:
        descriptor = os.open(file_here(location), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return told(descriptor)[1]
    finally:
        os.close(descriptor)


def unlock(connection: Connection) -> None:
    """Give a server's lock back now: of a mere goodbye it learns a moment after the next writer has asked."""
    with suppress(DBAPIError), connection:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})

"""What can go wrong with a database: full disk, held lock, no rights, no answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError

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


@contextmanager
def translated(name: str) -> Iterator[None]:
    """The driver's errors as ours, where their cause is known; `name` is the database's."""
    try:
        yield
    except DBAPIError as error:
        raise (cause(error, name) or error) from error


def cause(error: DBAPIError, name: str) -> StoreError | None:
    """Our error for the driver's, or None."""
    message = str(error.orig)
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
    server = not isinstance(error.orig, sqlite3.Error)
    if server and isinstance(error, OperationalError) and error.connection_invalidated:
        return UnreachableStoreError(f"{name}: the connection was lost")
    if server and isinstance(error, OperationalError):
        return UnreachableStoreError(f"{name}: {message.splitlines()[0]}")
    return None

"""One moment of the store: which identity version counts, and everything that is read by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select

from pipeline.store.database import Store
from pipeline.store.lookups import chosen_in

AnySelect = Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class Snapshot:
    """A read transaction: whatever a writer does meanwhile, all that is read through it is of one moment."""

    connection: Connection
    version: int
    """The identity version that counts; 0, which nothing has, where there is none."""

    @property
    def by_bytes(self) -> str:
        """The collation in which text is sorted as in Python."""
        return "C" if self.connection.dialect.name == "postgresql" else "BINARY"


@contextmanager
def snapshot(store: Store, version: int | None = None) -> Iterator[Snapshot]:
    """The store at this moment; keep it short.

    Args:
        store: any open store.
        version: an identity version; None for the newest.

    Raises:
        UnknownVersionError: there is no such version.
    """
    with store.reading() as connection:
        if store.location.path is None:  # a server's transactions see what others commit meanwhile
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield Snapshot(connection, chosen_in(connection, version))

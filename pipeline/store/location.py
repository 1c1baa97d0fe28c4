"""Where a database is: a file of SQLite, or PostgreSQL at a URL."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from pipeline.store.database_errors import StoreError


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

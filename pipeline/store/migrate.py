"""The schema of a database brought up to date, or refused."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, text

from pipeline.store.database import write_transaction
from pipeline.store.database_errors import NotAStoreError, StoreError
from pipeline.store.location import Location
from pipeline.store.schema import REVISIONS


class NewerSchemaError(StoreError):
    """A newer version of this program made the database."""


class OlderSchemaError(StoreError):
    """An older version made the database, and it is open for reading only."""


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

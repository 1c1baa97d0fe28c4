"""The same store on a PostgreSQL server: the tests' own, or the empty database in POSTGRES_URL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from pipeline.queries.export import export
from pipeline.queries.journey import journey
from pipeline.queries.people import people
from pipeline.queries.tracks import tracks
from pipeline.store.corrections import merge, undo
from pipeline.store.database_errors import ReadOnlyStoreError, StoreError
from pipeline.store.erasure import forget
from pipeline.store.identity_claims import new_identity
from pipeline.store.location import locate
from pipeline.store.lookups import UnknownPersonError
from pipeline.store.open_store import open_store
from pipeline.store.schema import Base
from pipeline.store.versions import versions
from pipeline.store.writer_lock import StoreInUseError
from tests.postgres_server import postgres_server, programs
from tests.store_scene import fill


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    given = os.environ.get("POSTGRES_URL", "")
    if given:
        yield given
        return
    if programs() is None:
        pytest.skip("PostgreSQL is not installed, and POSTGRES_URL names no database")
    with postgres_server() as url:
        yield url


@pytest.fixture
def url(server: str) -> Iterator[str]:
    fill(server)  # type: ignore[arg-type]
    yield server
    engine = create_engine(locate(server).url)
    with engine.begin() as connection:
        Base.metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
    engine.dispose()


def test_postgresql_answers_as_sqlite_does(url: str, tmp_path: Path) -> None:
    fill(tmp_path / "a.db")
    with open_store(url) as server, open_store(tmp_path / "a.db") as file:
        assert people(server).people == people(file).people
        assert tracks(server).tracks == tracks(file).tracks
        assert journey(server, 1) == journey(file, 1)
        export(server, tmp_path / "server.csv", "csv")
        export(file, tmp_path / "file.csv", "csv")
        with server.reading() as connection:
            missing = compare_metadata(MigrationContext.configure(connection), Base.metadata)
            assert [what[1].name for what in missing] == ["ix_embeddings_pooled"]  # of SQLite alone
    assert (tmp_path / "server.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()


def test_one_writer_and_readers_that_cannot_write(url: str) -> None:
    with open_store(url, write=True), open_store(url) as reader:
        with pytest.raises(StoreInUseError, match="in use by another writer"):
            open_store(url, write=True)
        with pytest.raises(ReadOnlyStoreError):
            new_identity(reader)
    with open_store(url, write=True) as writer:
        forget(writer, 1)
        assert [person.person for person in people(writer).people] == [2, 3]
        with pytest.raises(UnknownPersonError):
            journey(writer, 1)


def test_a_writer_on_this_machine_is_found_by_who_asks(url: str, tmp_path: Path) -> None:
    with open_store(url, write=True) as writer:
        assert writer.lock
        writer.lock.announce(f"ipc://{tmp_path}/requests")
        with pytest.raises(StoreInUseError) as busy:
            open_store(url, write=True)
        assert busy.value.address == f"ipc://{tmp_path}/requests"
        writer.lock.announce("")
        with pytest.raises(StoreInUseError) as busy:
            open_store(url, write=True)
        assert busy.value.address is None


def test_without_its_driver_a_postgresql_url_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.location.find_spec", lambda _: None)
    with pytest.raises(StoreError, match="needs psycopg: pip install"):
        open_store("postgresql://me:secret@host/cameras")


def test_postgresql_keeps_and_takes_back_corrections(url: str) -> None:
    with open_store(url, write=True) as store:
        before = tracks(store).tracks
        merge(store, [1, 3])
        assert [person.person for person in people(store).people] == [1, 2]
        undo(store)
        assert tracks(store).tracks == before
        assert [one.kind for one in versions(store)] == ["online", "correction", "correction"]

"""Opening a store: what is refused, and what may happen side by side."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from pipeline.queries.people import people
from pipeline.store.database_errors import NotAStoreError, ReadOnlyStoreError, StoreError
from pipeline.store.identity_claims import new_identity
from pipeline.store.open_store import MissingStoreError, open_store
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from tests.store_scene import fill, recording, tracklet


def test_a_missing_database_is_refused_and_not_made(tmp_path: Path) -> None:
    for write in (False, True):
        with pytest.raises(MissingStoreError, match=r"no\.db: no such database"):
            open_store(tmp_path / "no.db", write=write)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"frame,id,x,y\n1,1,0,0\n" * 99, b"", b"SQLite format 3\x00 but no more"]
)
def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "truth.db"
    path.write_bytes(content)
    with pytest.raises(NotAStoreError, match=r"truth\.db: not a database"):
        open_store(path)
    with pytest.raises(NotAStoreError, match=r"truth\.db: not a database"):
        open_store(path, write=True)
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE songs (id INTEGER)"))
    engine.dispose()
    with pytest.raises(NotAStoreError, match="not one of this program"):
        open_store(tmp_path / "other.db", create=True, write=True)


def test_a_folder_and_an_unknown_url_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAStoreError, match="not a database: Is a directory"):
        open_store(tmp_path)
    with pytest.raises(StoreError, match="mysql is not supported"):
        open_store("mysql://me:secret@host/db")


def test_a_reader_sees_whole_batches_while_the_writer_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_store(path, create=True, write=True) as writer, open_store(path) as reader:
        number = recording(writer, "hall")
        for batch in range(5):
            assert len(list(stored_tracklets(reader))) == 4 * batch
            with writer.writing() as connection:
                connection.execute(text("UPDATE cameras SET fps = 25"))
                assert len(list(stored_tracklets(reader))) == 4 * batch
            add_tracklets(writer, [tracklet(number, 4 * batch + i) for i in range(4)])


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    with (
        open_store(fill(tmp_path / "a.db")) as store,
        pytest.raises(ReadOnlyStoreError, match="reading only"),
    ):
        new_identity(store)


def test_only_its_owner_may_read_the_database(tmp_path: Path) -> None:
    path = fill(tmp_path / "a.db")
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_database_on_a_medium_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    path = fill(tmp_path / "a.db")
    tmp_path.chmod(0o500)
    try:
        with open_store(path) as store:
            assert len(people(store).people) == 3
    finally:
        tmp_path.chmod(0o700)

"""Opening a store: what is refused, and what may happen side by side."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

import pipeline
from pipeline.queries.people import people
from pipeline.store.database_errors import NotAStoreError, ReadOnlyStoreError, StoreError
from pipeline.store.identity_claims import new_identity
from pipeline.store.migrate import NewerSchemaError, OlderSchemaError
from pipeline.store.open_store import MissingStoreError, open_store
from pipeline.store.schema import REVISIONS, Base
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.writer_lock import StoreInUseError
from tests.store_scene import fill, recording, tracklet


def set_revision(path: Path, revision: str) -> None:
    with open_store(path, write=True) as store, store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


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


def test_a_newer_schema_is_refused_for_reading_and_writing(tmp_path: Path) -> None:
    path = fill(tmp_path / "a.db")
    set_revision(path, "0999")
    for write in (False, True):
        with pytest.raises(NewerSchemaError, match="made by a newer version: revision 0999; upgrade"):
            open_store(path, write=write)


def test_an_older_schema_is_refused_for_reading_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fill(tmp_path / "a.db")
    monkeypatch.setattr("pipeline.store.migrate.REVISIONS", (*REVISIONS, "0999"))
    with pytest.raises(OlderSchemaError, match=f"made by an older version: revision {REVISIONS[-1]}"):
        open_store(path)


def test_the_migrations_make_the_tables_that_the_program_uses(tmp_path: Path) -> None:
    scripts = Config()
    scripts.set_main_option("script_location", str(Path(pipeline.__file__).parent / "store/migrations"))
    history = ScriptDirectory.from_config(scripts).walk_revisions()
    assert tuple(script.revision for script in history) == REVISIONS[::-1]
    with open_store(fill(tmp_path / "a.db")) as store, store.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_two_writers_are_refused_and_the_second_learns_of_the_first(tmp_path: Path) -> None:
    path = fill(tmp_path / "a.db")
    with open_store(path, write=True):
        with pytest.raises(StoreInUseError, match=f"in use by process {os.getpid()}"):
            open_store(path, write=True)
        opening = f"from pipeline.store.open_store import open_store; open_store({str(path)!r}, write=True)"
        root = Path(pipeline.__file__).parents[1]
        other = subprocess.run([sys.executable, "-c", opening], cwd=root, capture_output=True, text=True)
        assert f"in use by process {os.getpid()}" in other.stderr
    with open_store(path, write=True):
        pass


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


def test_creating_for_reading_gives_the_lock_back(tmp_path: Path) -> None:
    with open_store(tmp_path / "new" / "a.db", create=True) as reader:
        assert people(reader).people == ()
        with open_store(tmp_path / "new" / "a.db", write=True) as writer:
            recording(writer, "hall")


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


def test_the_lock_needs_no_room_on_the_disk(tmp_path: Path) -> None:
    no_room = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); from pathlib import Path"
    path = str(tmp_path / "a.db")
    locking = f"from pipeline.store.writer_lock import file_lock; file_lock(Path({path!r})).release()"
    root = Path(pipeline.__file__).parents[1]
    subprocess.run([sys.executable, "-c", f"{no_room}; {locking}"], cwd=root, check=True)

"""The schema is brought up to date, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

import pipeline
from pipeline.store.migrate import NewerSchemaError, OlderSchemaError
from pipeline.store.open_store import open_store
from pipeline.store.schema import REVISIONS, Base
from tests.store_scene import fill


def set_revision(path: Path, revision: str) -> None:
    with open_store(path, write=True) as store, store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})


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

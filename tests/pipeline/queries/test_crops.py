"""Pictures of a person."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from sqlalchemy import select, text

from pipeline.queries.crops import UnknownCropError, best_crops, crop_jpeg
from pipeline.store.lookups import UnknownPersonError
from pipeline.store.open_store import open_store
from pipeline.store.schema import AuditEntry
from pipeline.store.tracklet_rows import jpeg_size
from tests.store_scene import fill


def test_the_best_crops_of_a_person_are_pictures(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        best = best_crops(store, 1, limit=3)
        assert [crop.quality for crop in best] == [0.1, 0.1, 0.1]
        assert {(crop.width, crop.height) for crop in best} == {(16, 40)}
        assert jpeg_size(crop_jpeg(store, best[0].crop)) == (16, 40)
        with pytest.raises(UnknownCropError, match="no crop 999"):
            crop_jpeg(store, 999)
        with pytest.raises(UnknownPersonError, match=r"no person P9 \(nearest: P1, P2, P3\)"):
            best_crops(store, 9)


def test_a_question_by_identity_is_audited_beside_a_writer(tmp_path: Path) -> None:
    path = fill(tmp_path / "a.db")
    with open_store(path, write=True) as writer, open_store(path) as reader:
        best_crops(reader, 1)
        with writer.reading() as connection:
            (entry,) = connection.execute(select(AuditEntry.action, AuditEntry.subject)).all()
    assert entry == ("crops", "P1")


def test_a_store_that_cannot_be_written_says_so_once_and_answers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(tmp_path / "a.db")
    monkeypatch.setattr("pipeline.store.database.sqlite_url", read_only_url)
    with caplog.at_level(logging.WARNING), open_store(path) as store:
        assert len(best_crops(store, 1)) == len(best_crops(store, 1)) == 8
        with store.reading() as connection:
            assert connection.scalar(text("SELECT count(*) FROM audit")) == 0
    assert caplog.messages == [f"{path}: cannot be written: this query is not audited"]


def read_only_url(path: Path, *, write: bool) -> str:
    """What a database on a read-only medium is to SQLite, for root too."""
    return f"sqlite:///file:{path}?mode=ro&uri=true"

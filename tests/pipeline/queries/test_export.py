"""Exports: what other programs read, and what a failed export leaves."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select, text

from pipeline.messages import TrackletEmbedded
from pipeline.queries.export import ExportExistsError, ExportFormat, ExportWriteError, export
from pipeline.records import Sighting
from pipeline.store.database import Store
from pipeline.store.identity_claims import add_sightings, new_identity, unlinked_tracklets
from pipeline.store.open_store import open_store
from pipeline.store.schema import AuditEntry
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.versions import current_version, new_version
from tests.store_scene import EIGHT_NS, fill, recording, tracklet

FORMATS: tuple[ExportFormat, ...] = ("mot", "csv", "json", "parquet")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def linked(store: Store, *batch: TrackletEmbedded, person: int = 0) -> int:
    """Everything linked to one person in one version."""
    add_tracklets(store, batch)
    version, person = current_version(store) or new_version(store, "online"), person or new_identity(store)
    add_sightings(
        store, version, [Sighting(t.id, person, "new") for t in unlinked_tracklets(store, None, version)]
    )
    return person


def test_mot_has_every_frame_of_every_linked_tracklet_counted_from_one(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        assert export(store, tmp_path / "mot", "mot") == 150
        (seen,) = [t for t in stored_tracklets(store) if (t.camera, t.key.track) == ("gate", 1)]
        with store.reading() as connection:
            box = connection.execute(text("SELECT * FROM boxes WHERE tracklet = :t"), {"t": seen.id}).first()
    assert sorted(file.name for file in (tmp_path / "mot").iterdir()) == ["gate.txt", "hall.txt"]
    rows = [line.split(",") for line in (tmp_path / "mot" / "gate.txt").read_text().splitlines()]
    assert [int(row[0]) for row in rows[:25]] == list(range(501, 526))
    assert {row[1] for row in rows[:25]} == {"1"}
    assert box is not None
    expected = [box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1, box.confidence]
    assert [float(value) for value in rows[0][2:7]] == pytest.approx(expected, abs=0.006)
    assert rows[0][7:] == ["-1", "-1", "-1"]


def test_of_two_boxes_of_a_person_in_a_frame_the_surer_is_exported(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db", create=True, write=True) as store:
        number = recording(store, "hall")
        sure, unsure = tracklet(number, 1, frames=4), tracklet(number, 2, frames=4)
        sure.tracklet.confidences[:] = [0.9, 0.2, 0.9, 0.2]
        unsure.tracklet.confidences[:] = [0.5, 0.5, 0.5, 0.5]
        linked(store, sure, unsure)
        assert export(store, tmp_path / "a.csv", "csv") == 4
    rows = read_csv(tmp_path / "a.csv")
    assert [(row["frame"], row["track"]) for row in rows] == [("0", "1"), ("1", "2"), ("2", "1"), ("3", "2")]


def test_several_recordings_of_a_camera_are_numbered_files(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db", create=True, write=True) as store:
        for content in ("morning", "evening"):
            linked(store, tracklet(recording(store, "hall", fingerprint=content), 1))
        recording(store, "gate")
        export(store, tmp_path / "mot", "mot")
    assert sorted(file.name for file in (tmp_path / "mot").iterdir()) == [
        "gate.txt",
        "hall-1.txt",
        "hall-2.txt",
    ]
    assert (tmp_path / "mot" / "gate.txt").read_text() == ""


def test_csv_and_parquet_have_the_same_rows(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        assert (
            export(store, tmp_path / "a.csv", "csv")
            == export(store, tmp_path / "a.parquet", "parquet")
            == 150
        )
    rows = read_csv(tmp_path / "a.csv")
    table = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in table] == rows
    assert (table[0]["camera"], table[0]["person"], table[0]["time_utc"][:19]) == (
        "gate",
        1,
        "2026-01-31T08:00:20",
    )


def test_json_has_one_entry_for_each_tracklet(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        assert export(store, tmp_path / "a.json", "json") == 6
    document = json.loads((tmp_path / "a.json").read_text())
    first = document["sightings"][0]
    assert (document["version"], first["camera"], first["person"], first["start_ns"]) == (
        1,
        "hall",
        1,
        EIGHT_NS,
    )
    assert first["start_utc"] == "2026-01-31T08:00:00.000000+00:00"


def test_without_a_clock_there_is_no_utc_time(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db", clock_known=False)) as store:
        export(store, tmp_path / "a.csv", "csv")
    assert {row["time_utc"] for row in read_csv(tmp_path / "a.csv")} == {""}


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_store_makes_an_empty_export(tmp_path: Path, format: ExportFormat) -> None:
    with open_store(tmp_path / "a.db", create=True) as store:
        assert export(store, tmp_path / "out", format) == 0
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_there_is_replaced_only_on_demand(tmp_path: Path, format: ExportFormat) -> None:
    out = tmp_path / "out"
    with open_store(fill(tmp_path / "a.db")) as store:
        rows = export(store, out, format)
        if out.is_dir():
            (out / "notes.md").write_text("mine")
        with pytest.raises(ExportExistsError, match=r"out(/tracks\.\w+)?: is there already: add --overwrite"):
            export(store, out, format)
        assert export(store, out, format, overwrite=True) == rows
    assert not out.is_dir() or (out / "notes.md").read_text() == "mine"
    assert not list(tmp_path.glob(".out*"))


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        open_store(fill(tmp_path / "a.db")) as store,
        pytest.raises(ExportExistsError, match="mot needs a folder"),
    ):
        export(store, tmp_path / "file", "mot", overwrite=True)


@pytest.mark.parametrize(
    ("out", "file"), [("new", "new/tracks.csv"), ("a.csv", "a.csv"), ("old", "old/tracks.csv"), ("x", "x")]
)
def test_csv_goes_to_the_file_that_is_named_or_into_the_folder(tmp_path: Path, out: str, file: str) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "mine.txt").write_text("mine")
    (tmp_path / "x").touch()
    with open_store(fill(tmp_path / "a.db")) as store:
        rows = export(store, tmp_path / out, "csv")
    assert len(read_csv(tmp_path / file)) == rows > 0


def test_a_failed_export_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    out.write_text("mine")
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        with store.writing() as connection:
            connection.execute(text("ALTER TABLE boxes RENAME TO hidden"))
        with pytest.raises(Exception, match="no such table"):
            export(store, out, "csv", overwrite=True)
    assert out.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if "csv" in path.name) == ["a.csv"]


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    failure = pytest.raises(ExportWriteError, match="cannot be written")
    with open_store(fill(tmp_path / "a.db")) as store, failure:
        export(store, tmp_path / "file" / "a.csv", "csv")


def test_an_export_is_audited_with_its_place(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        export(store, tmp_path / "a.csv", "csv")
        with store.reading() as connection:
            entry = connection.execute(select(AuditEntry.action, AuditEntry.subject, AuditEntry.detail)).one()
    assert entry == ("export", str(tmp_path / "a.csv"), {"format": "csv", "version": 1})

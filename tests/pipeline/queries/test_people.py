"""Questions to the store."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from sqlalchemy import select, text

from pipeline.queries.people import (
    UnknownCropError,
    best_crops,
    crop_jpeg,
    parse_person,
    people,
    recordings,
    tracks,
)
from pipeline.records import Sighting
from pipeline.store.identity_claims import add_sightings
from pipeline.store.lookups import UnknownCameraError, UnknownPersonError, UnknownVersionError
from pipeline.store.open_store import open_store
from pipeline.store.schema import AuditEntry
from pipeline.store.tracklet_rows import jpeg_size
from pipeline.store.versions import new_version
from pipeline.times import with_utc
from tests.store_scene import EIGHT_NS, fill

SECOND_NS = 10**9


def test_people_come_by_first_appearance_with_the_cameras_in_their_order(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        found = people(store)
    assert [(person.person, person.cameras, person.tracklets) for person in found] == [
        (1, ("hall", "gate"), 4),
        (2, ("hall",), 1),
        (3, ("gate",), 1),
    ]
    one = found[0]
    assert (one.first_ns, one.last_ns) == (EIGHT_NS, EIGHT_NS + round(60.96 * SECOND_NS))
    assert one.seen_s == pytest.approx(4 * 0.96)
    assert one.probability == pytest.approx((0.99 + 0.9 + 0.7) / 3)
    assert (one.states, found[2].states) == ({"new": 1, "linked": 3}, {"ambiguous": 1})
    assert found[1].probability is None


def test_the_newest_version_counts_unless_another_is_asked_for(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        newer = new_version(store, "relink")
        add_sightings(store, newer, [Sighting(1, 2, "new")])
        assert [person.person for person in people(store)] == [2]
        assert len(people(store, version=1)) == 3


def test_an_empty_store_has_no_people(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db", create=True) as store:
        assert people(store) == tracks(store) == recordings(store) == []


def test_tracks_are_those_in_view_between_two_times(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        assert [(t.camera, t.track, t.part) for t in tracks(store, camera="gate")] == [
            ("gate", 1, 0),
            ("gate", 2, 0),
        ]
        between = tracks(store, from_ns=EIGHT_NS + SECOND_NS, to_ns=EIGHT_NS + 2 * SECOND_NS)
        assert [(t.track, t.part) for t in between] == [(2, 0), (1, 1)]
        assert len(tracks(store)) == 6


def test_a_track_that_is_not_linked_has_no_person(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        new_version(store, "relink")
        assert {(t.person, t.state) for t in tracks(store)} == {(None, None)}


def test_an_unknown_camera_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with (
        open_store(fill(tmp_path / "a.db")) as store,
        pytest.raises(UnknownCameraError, match="did you mean 'hall'"),
    ):
        tracks(store, camera="hal")


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


def test_recordings_say_what_was_found_in_them(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        gate, hall = recordings(store)
        assert (gate.camera, gate.tracklets, gate.people) == ("gate", 2, 2)
        assert (hall.camera, hall.tracklets, hall.people, hall.frames) == ("hall", 4, 2, 2000)
        assert recordings(store, [gate.recording]) == [gate]


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


@pytest.mark.parametrize("written", ["7", "P7", "p7", " person 7", "#7"])
def test_a_person_may_be_written_in_several_ways(written: str) -> None:
    assert parse_person(written) == 7


@pytest.mark.parametrize("written", ["", "P", "-1", "hall", "7.5", "9" * 40])
def test_what_is_not_a_person_is_refused(written: str) -> None:
    with pytest.raises(UnknownPersonError, match="is not a person"):
        parse_person(written)


def test_an_identity_version_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with (
        open_store(fill(tmp_path / "a.db")) as store,
        pytest.raises(UnknownVersionError, match=r"no identity version 77 \(there is: 1\)"),
    ):
        people(store, version=77)


def test_every_time_in_json_has_its_iso_time_where_the_clock_is_known() -> None:
    record = {"clock_known": False, "start_ns": 5, "links": [{"clock_known": True, "end_ns": EIGHT_NS}]}
    joined = with_utc(record)
    assert joined["start_utc"] is None
    assert joined["links"][0]["end_utc"] == "2026-01-31T08:00:00.000000+00:00"

"""What became of recordings."""

from __future__ import annotations

from pathlib import Path

from pipeline.queries.recordings import recordings
from pipeline.store.open_store import open_store
from tests.store_scene import fill


def test_recordings_say_what_was_found_in_them(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        gate, hall = recordings(store)
        assert (gate.camera, gate.tracklets, gate.people) == ("gate", 2, 2)
        assert (hall.camera, hall.tracklets, hall.people, hall.frames) == ("hall", 4, 2, 2000)
        assert recordings(store, [gate.recording]) == [gate]


def test_an_empty_store_has_no_recordings(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db", create=True) as store:
        assert recordings(store) == []

"""Tracklets with whom they show."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.queries.filters import Filters
from pipeline.queries.tracks import tracks
from pipeline.records import Sighting
from pipeline.store.identity_claims import add_sightings
from pipeline.store.lookups import UnknownCameraError
from pipeline.store.open_store import open_store
from pipeline.store.versions import new_version
from tests.store_scene import EIGHT_NS, fill
from tests.wide_store import counted, fill_wide

SECOND_NS = 10**9


def test_tracks_are_those_in_view_between_two_times(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        assert [(t.camera, t.track, t.part) for t in tracks(store, Filters(cameras=("gate",))).tracks] == [
            ("gate", 1, 0),
            ("gate", 2, 0),
        ]
        between = tracks(store, Filters(from_ns=EIGHT_NS + SECOND_NS, to_ns=EIGHT_NS + 2 * SECOND_NS)).tracks
        assert [(t.track, t.part) for t in between] == [(2, 0), (1, 1)]
        assert len(tracks(store).tracks) == 6


def test_a_track_that_is_not_linked_has_no_person(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        new_version(store, "relink")
        assert {(t.person, t.state) for t in tracks(store).tracks} == {(None, None)}


def test_an_unknown_camera_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with (
        open_store(fill(tmp_path / "a.db")) as store,
        pytest.raises(UnknownCameraError, match="did you mean 'hall'"),
    ):
        tracks(store, Filters(cameras=("hal",)))


def test_an_empty_store_has_no_tracks(tmp_path: Path) -> None:
    with open_store(tmp_path / "a.db", create=True) as store:
        found = tracks(store, limit=3)
    assert (found.tracks, found.version, found.next) == ((), 0, None)


@pytest.mark.parametrize("limit", [1, 2, 4, 6, 7])
def test_pages_put_together_are_all_of_it(tmp_path: Path, limit: int) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        page, found = tracks(store, limit=limit), []
        while found.extend(page.tracks) or page.next:
            assert len(page.tracks) == limit
            page = tracks(store, limit=limit, after=page.next)
        assert tuple(found) == tracks(store).tracks


def test_pages_go_on_in_the_version_they_began_in(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db"), write=True) as store:
        first = tracks(store, limit=1)
        add_sightings(store, new_version(store, "relink"), [Sighting(1, 2, "new")])
        second = tracks(store, limit=5, after=first.next)
    assert second.version == 1 and [seen.person for seen in second.tracks] == [2, 1, 1, 3, 1]


def test_a_first_page_of_20000_tracklets_loads_only_its_page(tmp_path: Path) -> None:
    with open_store(fill_wide(tmp_path / "a.db")) as store:
        with counted(store) as read:
            page = tracks(store, limit=50)
        assert len(page.tracks) == 50
        assert read.rows <= 50 + 10 and read.statements <= 5
        with counted(store) as read:
            tracks(store, Filters(cameras=("camera3",), people=(5, 6)), limit=50, after=page.next)
        assert read.rows <= 50 + 20 and read.statements <= 5

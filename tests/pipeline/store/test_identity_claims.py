"""Claims about tracklets, and which tracklets have none."""

from __future__ import annotations

from pathlib import Path

from pipeline.records import Sighting
from pipeline.store.database import Store
from pipeline.store.identity_claims import (
    add_sightings,
    identities_of_tracklets,
    linked_up_to,
    load_gallery,
    new_identity,
    unlinked_tracklets,
)
from pipeline.store.open_store import open_store
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.versions import current_version, new_version
from tests.store_scene import fill, recording, tracklet


def keys(store: Store, until_ns: int | None, version: int) -> list[tuple[str, int, int]]:
    return [(t.camera, t.key.track, t.key.part) for t in unlinked_tracklets(store, until_ns, version)]


def test_unlinked_tracklets_come_by_end_camera_track_and_part(store: Store) -> None:
    hall, gate = recording(store, "hall"), recording(store, "gate")
    batch = [tracklet(hall, 2), tracklet(hall, 1, part=1), tracklet(hall, 1), tracklet(gate, 7)]
    add_tracklets(store, [*batch, tracklet(gate, 1, start_s=5)])
    version = new_version(store, "online")
    first = [("gate", 7, 0), ("hall", 1, 0), ("hall", 1, 1), ("hall", 2, 0)]
    assert keys(store, None, version) == [*first, ("gate", 1, 0)]
    assert keys(store, int(batch[0].tracklet.times_ns[-1]), version) == first
    assert keys(store, int(batch[0].tracklet.times_ns[-1]) - 1, version) == []


def test_claims_may_be_written_while_unlinked_tracklets_are_read(store: Store) -> None:
    number = recording(store, "hall")
    add_tracklets(store, [tracklet(number, track, crops=1) for track in range(1, 151)])
    version = new_version(store, "online")
    for found in unlinked_tracklets(store, None, version):
        add_sightings(store, version, [Sighting(found.id, new_identity(store), "new")])
    assert keys(store, None, version) == []
    assert len(keys(store, None, new_version(store, "relink"))) == 150


def test_what_is_linked_already_is_not_looked_at_again(store: Store) -> None:
    number = recording(store, "hall")
    add_tracklets(store, [tracklet(number, track, start_s=10 - track) for track in (1, 2, 3, 4)])
    version, ids = new_version(store, "online"), {t.key.track: t.id for t in stored_tracklets(store)}
    person = new_identity(store)
    assert linked_up_to(store, version) == 0
    add_sightings(store, version, [Sighting(ids[track], person, "new") for track in (1, 2, 4)])
    assert linked_up_to(store, version) == linked_up_to(store, version, after=1) == ids[2]
    assert [t.key.track for t in unlinked_tracklets(store, None, version, after=ids[2])] == [3]
    assert not list(unlinked_tracklets(store, None, version, after=ids[3]))
    add_sightings(store, version, [Sighting(ids[3], person, "linked")])
    assert linked_up_to(store, version, after=ids[2]) == ids[4]
    assert linked_up_to(store, new_version(store, "relink"), after=0) == 0


def test_of_a_regular_only_the_newest_tracklets_are_restored_and_nobody_is_left_out(store: Store) -> None:
    number, version = recording(store, "hall"), new_version(store, "online")
    add_tracklets(store, [tracklet(number, track, start_s=10 * track) for track in range(1, 8)])
    regular, guest = new_identity(store), new_identity(store)
    people = {track: guest if track == 2 else regular for track in range(1, 8)}
    claims = [Sighting(t.id, people[t.key.track], "linked") for t in stored_tracklets(store)]
    add_sightings(store, version, claims)
    assert [known.tracklet.key.track for known in load_gallery(store, version, newest=3)] == [2, 5, 6, 7]


def test_a_later_claim_replaces_the_earlier(store: Store) -> None:
    add_tracklets(store, [tracklet(recording(store, "hall"), 1)])
    version, (found,) = new_version(store, "online"), stored_tracklets(store)
    one, two = new_identity(store), new_identity(store)
    add_sightings(store, version, [Sighting(found.id, one, "new")])
    claim = Sighting(found.id, two, "linked", 0.25, 0.75, one, 0.5, 0.25, {"gate": "open"})
    add_sightings(store, version, [claim])
    (linked,) = load_gallery(store, version)
    assert linked.sighting == claim
    assert identities_of_tracklets(store, version) == {found.id: two}


def test_the_gallery_comes_in_order_with_the_best_crops(tmp_path: Path) -> None:
    with open_store(fill(tmp_path / "a.db")) as store:
        version = current_version(store) or 0
        linked = list(load_gallery(store, version, crops=1))
        assert [item.sighting.identity for item in linked] == [1, 2, 1, 1, 3, 1]
        assert [[crop.quality for crop in item.tracklet.crops] for item in linked] == [[0.1]] * 6
        assert list(load_gallery(store, version + 1)) == []

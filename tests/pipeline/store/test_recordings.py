"""Recordings begun, started over, found again and removed."""

from __future__ import annotations

import pytest

from pipeline.records import Sighting
from pipeline.store.cameras import add_camera
from pipeline.store.database import Store
from pipeline.store.identity_claims import (
    add_sightings,
    new_identity,
)
from pipeline.store.recordings import end_recording, find_recording, forget_recordings, start_recording
from pipeline.store.runs import begin_run
from pipeline.store.schema import Identity, Recording, Tracklet
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.versions import new_version
from tests.store_scene import HELD, count, recording, tracklet


def test_a_started_over_recording_leaves_nothing_of_the_first_try(store: Store) -> None:
    first = recording(store, "hall")
    add_tracklets(store, [tracklet(first, 1), tracklet(first, 2)])
    version, person = new_version(store, "online"), new_identity(store)
    add_sightings(store, version, [Sighting(t.id, person, "new") for t in stored_tracklets(store)])
    end_recording(store, first, state="failed", frames=10, detected=5, message="cut short")
    second = recording(store, "hall")
    assert second != first
    assert count(store, *HELD) == [0] * len(HELD)
    assert count(store, Recording) == [1]


def test_an_identity_seen_elsewhere_survives_a_recording_started_over(store: Store) -> None:
    hall, gate = recording(store, "hall"), recording(store, "gate")
    add_tracklets(store, [tracklet(hall, 1), tracklet(gate, 1)])
    version, person = new_version(store, "online"), new_identity(store)
    add_sightings(store, version, [Sighting(t.id, person, "new") for t in stored_tracklets(store)])
    recording(store, "hall")
    assert count(store, Tracklet, Identity) == [1, 1]


def test_a_finished_recording_is_found_and_not_started_over(store: Store) -> None:
    number = recording(store, "hall")
    end_recording(store, number, state="short", frames=10, detected=5, message="ends early")
    found = find_recording(store, add_camera(store, "hall", clock_known=True), "f")
    assert found and found.finished and (found.state, found.message) == ("short", "ends early")
    with pytest.raises(ValueError, match="is short: forget it first"):
        recording(store, "hall")
    assert forget_recordings(store, ["hall", "nowhere"]) == 1
    recording(store, "hall")


def test_two_live_streams_without_a_fingerprint_are_two_recordings(store: Store) -> None:
    run, camera = (
        begin_run(store, command="", config={}, software=""),
        add_camera(store, "hall", clock_known=True),
    )
    for _ in range(2):
        start_recording(store, run=run, camera=camera, source="rtsp://host/1", fingerprint=None, start_ns=0)
    assert count(store, Recording) == [2]

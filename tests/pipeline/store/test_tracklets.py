"""The store as its writer uses it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event, func, select

from pipeline.messages import TrackletEmbedded
from pipeline.records import Sighting
from pipeline.store.cameras import add_camera
from pipeline.store.claims import (
    add_sightings,
    identities_of_tracklets,
    linked_up_to,
    load_gallery,
    new_identity,
    unlinked_tracklets,
)
from pipeline.store.database import Store, StoreFullError
from pipeline.store.models import keep_calibration, stored_calibration
from pipeline.store.opening import open_store
from pipeline.store.recordings import end_recording, find_recording, forget_recordings, start_recording
from pipeline.store.runs import begin_run, end_run
from pipeline.store.schema import Box, CropRow, EmbeddingRow, Identity, Recording, Run, SightingRow, Tracklet
from pipeline.store.tracklet_rows import CELLS_KEPT, UnknownRecordingError, jpeg_size
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from pipeline.store.versions import current_version, is_late, mark_late, new_version
from tests.store_scene import fill, recording, tracklet

HELD = (Tracklet, Box, CropRow, EmbeddingRow, SightingRow, Identity)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "a.db", create=True, write=True) as opened:
        yield opened


def count(store: Store, *tables: type) -> list[int]:
    with store.reading() as connection:
        return [connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def keys(store: Store, until_ns: int | None, version: int) -> list[tuple[str, int, int]]:
    return [(t.camera, t.key.track, t.key.part) for t in unlinked_tracklets(store, until_ns, version)]


def test_a_tracklet_comes_back_as_it_was_sent_best_crop_first(store: Store) -> None:
    sent = tracklet(recording(store, "hall"), 1, crops=3)
    add_tracklets(store, [sent])
    (found,) = stored_tracklets(store)
    assert (found.key, found.camera, found.model) == (sent.tracklet.key, "hall", sent.model)
    assert (found.start_ns, found.end_ns) == (sent.tracklet.times_ns[0], sent.tracklet.times_ns[-1])
    assert [crop.quality for crop in found.crops] == [0.2, 0.1, 0.0]
    for ours, theirs in zip(found.embeddings, reversed(sent.embeddings), strict=True):
        np.testing.assert_array_equal(ours.cells, theirs.cells)
        np.testing.assert_array_equal(ours.foreground, theirs.foreground)
        np.testing.assert_array_equal(ours.pooled, theirs.pooled)


def test_only_the_best_crops_keep_their_cells_and_all_keep_what_the_mean_is_made_of(store: Store) -> None:
    sent = tracklet(recording(store, "hall"), 1, crops=CELLS_KEPT + 2)
    add_tracklets(store, [sent])
    (found,) = stored_tracklets(store)
    whole, channels = sent.embeddings[0].cells.shape
    assert [e.cells.shape for e in found.embeddings] == [(whole, channels)] * CELLS_KEPT + [(0, channels)] * 2
    for ours, theirs in zip(found.embeddings, reversed(sent.embeddings), strict=True):
        np.testing.assert_array_equal(ours.foreground, theirs.foreground)
        np.testing.assert_array_equal(ours.pooled, theirs.pooled)


def test_a_resent_tracklet_is_stored_once(store: Store) -> None:
    number = recording(store, "hall")
    first, second = tracklet(number, 1), tracklet(number, 2)
    add_tracklets(store, [first, first])
    before = count(store, *HELD)
    add_tracklets(store, [first, second])
    add_tracklets(store, [second, first])
    assert count(store, *HELD) == [2 * n for n in before]


@pytest.mark.parametrize("seed", range(3))
def test_order_batches_and_repetition_do_not_matter(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    number = recording(store, "hall")
    sent = [tracklet(number, track, frames=4) for track in range(1, 9)]
    queue = chance.sample(sent * 3, 24)
    while queue:
        size = chance.randint(1, 6)
        batch, queue = queue[:size], queue[size:]
        add_tracklets(store, batch)
    assert count(store, Tracklet, Box, CropRow, EmbeddingRow) == [8, 32, 16, 16]
    for found, original in zip(stored_tracklets(store), sent, strict=True):
        assert found.key == original.tracklet.key
        np.testing.assert_array_equal(found.embeddings[1].cells, original.embeddings[0].cells)


def test_a_batch_is_kept_whole_or_not_at_all(store: Store) -> None:
    number = recording(store, "hall")
    good, bad = tracklet(number, 1), tracklet(number, 2)
    short = TrackletEmbedded(bad.tracklet, bad.model, bad.embeddings[:1])
    with pytest.raises(ValueError, match="1 embeddings for 2 crops"):
        add_tracklets(store, [good, short])
    assert count(store, *HELD) == [0] * len(HELD)


def test_a_tracklet_of_an_unknown_recording_is_refused(store: Store) -> None:
    with pytest.raises(UnknownRecordingError, match="recording 9 is not in the store"):
        add_tracklets(store, [tracklet(9, 1)])


def test_a_tracklet_without_crops_is_kept(store: Store) -> None:
    add_tracklets(store, [tracklet(recording(store, "hall"), 1, crops=0)])
    (found,) = stored_tracklets(store)
    assert (found.crops, found.model) == ((), "")


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


def test_a_run_that_ends_leaves_no_recording_running(store: Store) -> None:
    run = begin_run(store, command="run", config={}, software="test")
    done, left = recording(store, "hall", run=run), recording(store, "gate", run=run)
    end_recording(store, done, state="done", frames=9, detected=9)
    end_run(store, run, "failed")
    with store.reading() as connection:
        states = {row.id: row.state for row in connection.execute(select(Recording.id, Recording.state))}
    assert states == {done: "done", left: "interrupted"}


def test_what_a_killed_run_left_running_is_interrupted(store: Store) -> None:
    recording(store, "hall")
    begin_run(store, command="", config={}, software="")
    with store.reading() as connection:
        assert list(connection.scalars(select(Run.state).order_by(Run.id))) == ["interrupted", "running"]
        assert connection.scalar(select(Recording.state)) == "interrupted"


def test_credentials_never_reach_a_row(tmp_path: Path) -> None:
    source = "rtsp://admin:s3cr3t@host/1?token=s3cr3t"
    with open_store(tmp_path / "a.db", create=True, write=True) as store:
        config = {"cameras": [{"name": "hall", "source": source}]}
        run = begin_run(store, command=f"run {source}", config=config, software="")
        camera = add_camera(store, "hall", clock_known=True)
        number = start_recording(store, run=run, camera=camera, source=source, fingerprint=None, start_ns=0)
        end_recording(store, number, state="failed", frames=0, detected=0, message=f"{source}: refused")
    assert b"s3cr3t" not in (tmp_path / "a.db").read_bytes()


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


def test_a_version_is_marked_late_alone(store: Store) -> None:
    first, second = new_version(store, "online"), new_version(store, "relink")
    mark_late(store, first)
    assert (is_late(store, first), is_late(store, second), current_version(store)) == (True, False, second)


def test_a_models_calibration_is_kept_before_and_after_its_first_tracklet(store: Store) -> None:
    assert stored_calibration(store, "fpr-test") is None
    keep_calibration(store, "fpr-test", {"a": 1.5})
    add_tracklets(store, [tracklet(recording(store, "hall"), 1)])
    assert stored_calibration(store, "fpr-test") == {"a": 1.5}
    keep_calibration(store, "fpr-test", None)
    assert stored_calibration(store, "fpr-test") is None


def test_a_full_disk_is_one_clear_error_and_the_store_goes_on(store: Store) -> None:
    number = recording(store, "hall")

    def limit(connection: object, pages: int = 60) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]

    store.engine.dispose()
    event.listen(store.engine, "connect", lambda connection, _: limit(connection))
    with pytest.raises(StoreFullError, match=r"a\.db: the disk is full"):
        add_tracklets(store, [tracklet(number, track) for track in range(1, 40)])
    assert count(store, *HELD) == [0] * len(HELD)
    add_tracklets(store, [tracklet(number, 1)])
    assert count(store, Tracklet) == [1]


def test_a_jpegs_size_is_read_from_its_header() -> None:
    assert jpeg_size(tracklet(1, 1).tracklet.crops[0].jpeg) == (16, 40)
    assert jpeg_size(b"") == jpeg_size(b"not a picture") == jpeg_size(b"\xff\xd8\xff") == (0, 0)

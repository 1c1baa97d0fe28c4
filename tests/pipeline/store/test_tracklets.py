"""Tracklets kept whole, once, and read back as they were."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pipeline.messages import TrackletEmbedded
from pipeline.store.database import Store
from pipeline.store.schema import Box, CropRow, EmbeddingRow, Tracklet
from pipeline.store.tracklet_rows import CELLS_KEPT, UnknownRecordingError, jpeg_size
from pipeline.store.tracklets import add_tracklets, stored_tracklets
from tests.store_scene import HELD, count, recording, tracklet


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


def test_a_jpegs_size_is_read_from_its_header() -> None:
    assert jpeg_size(tracklet(1, 1).tracklet.crops[0].jpeg) == (16, 40)
    assert jpeg_size(b"") == jpeg_size(b"not a picture") == jpeg_size(b"\xff\xd8\xff") == (0, 0)

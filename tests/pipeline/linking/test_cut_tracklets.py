"""A track that jumps from one person to another is cut in two; one person's is left whole."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.linking.cut_tracklets import cut_at_jumps, cut_off, track_text
from pipeline.messages import Crop, Embedding, TrackletClosed, TrackletEmbedded, TrackletKey

ANNA, BORIS, CLARA = np.eye(8)[:3]


def seen(looks: dict[int, np.ndarray], *, lost: tuple[int, int] = (0, 0)) -> TrackletEmbedded:
    """Track 7 in frames 0..39 with crops at some frames; it is not detected in `lost`."""
    frames = np.arange(40, dtype=np.int32)
    confidences = np.where((frames >= lost[0]) & (frames < lost[1]), 0.0, 0.9).astype(np.float32)
    boxes = np.tile(np.float32([10, 10, 30, 60]), (40, 1))
    crops = tuple(Crop(f, f * 10**9, boxes[0], 1.0, b"") for f in looks)
    cells = np.ones((1, 1), np.float16)
    embeddings = tuple(Embedding(cells, cells[0], look.astype(np.float16)) for look in looks.values())
    times = frames.astype(np.int64) * 10**9
    closed = TrackletClosed(TrackletKey(1, 7, 2), "hall", frames, times, boxes, confidences, crops)
    return TrackletEmbedded(closed, "m", embeddings)


def test_one_person_stays_whole_whatever_the_order_of_the_crops() -> None:
    tracklet = seen({30: ANNA, 2: ANNA + 0.2 * BORIS, 11: ANNA})
    assert cut_at_jumps(tracklet)[0] is tracklet


def test_a_jump_is_cut_where_the_track_was_lost() -> None:
    first, second = cut_at_jumps(seen({3: ANNA, 8: ANNA, 33: BORIS, 36: BORIS}, lost=(12, 20)))
    assert first.tracklet.frames.tolist() == list(range(20))
    assert second.tracklet.frames.tolist() == list(range(20, 40))
    assert [crop.frame for crop in second.tracklet.crops] == [33, 36]


def test_the_last_piece_goes_on_as_the_track_and_the_others_have_numbers_of_their_own() -> None:
    keys = [piece.tracklet.key for piece in cut_at_jumps(seen({3: ANNA, 15: BORIS, 36: CLARA}))]
    assert keys[-1] == TrackletKey(1, 7, 2)
    assert len(set(keys)) == 3 and all(key.track < 0 for key in keys[:-1])


def test_the_pieces_hold_every_frame_once() -> None:
    cut = cut_at_jumps(seen({3: ANNA, 15: BORIS, 36: CLARA}))
    assert np.concatenate([piece.tracklet.frames for piece in cut]).tolist() == list(range(40))


def test_somebody_who_looks_a_little_like_everybody_is_not_cut_off() -> None:
    tracklet = seen({3: ANNA, 15: (ANNA + BORIS) / 2**0.5, 36: BORIS})
    assert cut_at_jumps(tracklet)[0] is tracklet


def test_who_looks_different_every_time_is_one_person_and_two_who_do_not_are_two() -> None:
    a, b, c, d = np.linalg.cholesky(np.full((4, 4), 0.2) + 0.8 * np.eye(4)) @ np.eye(4, 8)
    assert len(cut_at_jumps(seen({3: a, 8: b, 15: c, 36: d}))) == 1
    assert len(cut_at_jumps(seen({3: a, 8: a, 15: b, 36: b}))) == 2


def test_one_odd_crop_must_be_further_than_two() -> None:
    near = 0.35 * ANNA + (1 - 0.35**2) ** 0.5 * BORIS
    assert len(cut_at_jumps(seen({3: ANNA, 8: ANNA, 36: near}))) == 1
    assert len(cut_at_jumps(seen({3: ANNA, 8: ANNA, 33: near, 36: near}))) == 2


def test_a_tracklet_without_crops_is_left_alone() -> None:
    assert len(cut_at_jumps(seen({}))) == 1


@pytest.mark.parametrize(
    ("track", "part", "number", "text"), [(14, 0, 0, "14a"), (14, 3, 1, "14.3b"), (7, 123456, 8, "7.123456i")]
)
def test_a_piece_reads_as_its_track_with_a_letter(track: int, part: int, number: int, text: str) -> None:
    assert track_text(cut_off(TrackletKey(1, track, part), number).track, part) == text


def test_a_track_that_was_not_cut_reads_as_its_number() -> None:
    assert track_text(14, 0) == "14" and track_text(14, 2) == "14.2"

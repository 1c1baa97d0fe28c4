"""The ReID worker: how it ends."""

from __future__ import annotations

from pipeline.messages import RecordingEnded
from pipeline.reid_worker import BEST_ONLY_S, NO_CROPS_S, Closing
from tests import store_scene


def test_crops_are_left_out_once_a_run_has_been_stopped_for_a_while() -> None:
    now_s, stopped = [100.0], [False]
    closing = Closing(lambda: stopped[0], lambda: now_s[0], {1})
    tracklet = store_scene.tracklet(1, 1, crops=4).tracklet
    kept = []
    for at_s in (100.0, 200.0, 200.0 + BEST_ONLY_S, 200.0 + NO_CROPS_S):
        now_s[0], stopped[0] = at_s, at_s >= 200.0
        kept.append([crop.quality for crop in closing.lightened(tracklet).crops])
    assert kept == [[0.0, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.3], [0.3], []]
    ended = RecordingEnded(1, "done", 0, 0)
    assert closing.lightened(ended) is ended


def test_of_a_recording_no_crop_is_left_out_for_what_is_finished_is_not_read_again() -> None:
    now_s = [200.0]
    closing = Closing(lambda: True, lambda: now_s[0], {2})
    tracklet = store_scene.tracklet(1, 1, crops=4).tracklet
    assert closing.lightened(tracklet) is tracklet
    now_s[0] += 2 * NO_CROPS_S
    assert closing.lightened(tracklet) is tracklet

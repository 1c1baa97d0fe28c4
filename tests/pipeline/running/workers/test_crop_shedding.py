"""What the ReID worker leaves out of live cameras' tracklets, and of whom it never leaves out anything."""

from __future__ import annotations

import msgspec
import pytest

from pipeline.messages import Message, RecordingEnded, TrackletClosed
from pipeline.running.workers.crop_shedding import BEST_ONLY_S, LEFT_OUT, NO_CROPS_S, Haste
from pipeline.running.workers.outbox import HOPELESS_S, LATE_S, Outbox
from tests import store_scene

TRACKLET = store_scene.tracklet(1, 1, crops=4).tracklet


def crops(message: Message) -> list[float]:
    assert isinstance(message, TrackletClosed)
    return [crop.quality for crop in message.crops]


def test_crops_are_left_out_once_a_run_has_been_stopped_for_a_while() -> None:
    now_s, stopped = [100.0], [False]
    haste = Haste(lambda: stopped[0], lambda: now_s[0], {1})
    kept = []
    for at_s in (100.0, 200.0, 200.0 + BEST_ONLY_S, 200.0 + NO_CROPS_S):
        now_s[0], stopped[0] = at_s, at_s >= 200.0
        kept.append(crops(haste.lightened(TRACKLET)))
    assert kept == [[0.0, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.3], [0.3], []]


@pytest.mark.parametrize(("waited_s", "kept"), [(0.9 * LATE_S, 4), (LATE_S, 1), (HOPELESS_S, 0)])
def test_who_has_waited_for_the_network_gets_in_with_fewer_crops_wherever_that_was(
    waited_s: float, kept: int
) -> None:
    sent: list[Message] = []
    now_s = [50.0]
    outbox = Outbox(lambda m: not sent.append(m), lambda tracklet, count: None, now_s=lambda: now_s[0])
    outbox.send(TRACKLET)
    now_s[0] += waited_s
    haste = Haste(lambda: False, lambda: now_s[0], {1})
    assert len(crops(haste.lightened(sent[0]))) == kept
    assert haste.left_out[1] == 4 - kept


def test_what_was_left_out_is_told_when_the_camera_ends() -> None:
    haste = Haste(lambda: False, lambda: 60.0, {1})
    ended = RecordingEnded(1, "done", 0, 0, message="decode:behind 3")
    assert haste.lightened(ended) is ended
    haste.lightened(msgspec.structs.replace(TRACKLET, closed_s=60.0 - LATE_S))
    told = haste.lightened(ended)
    assert isinstance(told, RecordingEnded) and told.message == f"decode:behind 3; {LEFT_OUT} 3"


def test_of_a_recording_no_crop_is_left_out_for_what_is_finished_is_not_read_again() -> None:
    now_s = [200.0]
    haste = Haste(lambda: True, lambda: now_s[0], {2})
    for _ in range(2):
        assert haste.lightened(TRACKLET) is TRACKLET
        now_s[0] += 10 * max(NO_CROPS_S, HOPELESS_S)

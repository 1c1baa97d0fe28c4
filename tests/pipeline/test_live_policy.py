"""What a live camera worker decides: when to try again, what to drop, who gets how much."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.live.backoff import HEALTHY_S, Backoff
from pipeline.live.load import BUSY, LEAST_HZ, Load, shares
from pipeline.live.outbox import LIMIT, Outbox
from pipeline.live.watchdog import BEHIND_S, BURST_S, Allowance, SkipAhead, Stillness
from pipeline.messages import Crop, Message, RecordingEnded, TrackletClosed, TrackletKey, Watermark


def test_the_longest_wait_doubles_up_to_the_cap() -> None:
    backoff = Backoff(0.5, 30, chance=lambda: 1.0)
    assert [backoff.wait_s(0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_wait_is_anything_from_nothing_to_the_longest() -> None:
    assert Backoff(0.5, 30, chance=lambda: 0.0).wait_s(0) == 0
    assert Backoff(0.5, 30, chance=lambda: 0.5).wait_s(0) == 0.25


def test_only_a_healthy_minute_makes_the_next_wait_a_first_one() -> None:
    backoff = Backoff(0.5, 30, chance=lambda: 1.0)
    for _ in range(5):
        backoff.wait_s(0)
    assert backoff.wait_s(HEALTHY_S - 1) == 16
    assert backoff.wait_s(HEALTHY_S) == 0.5


def test_a_wait_after_a_week_of_trying_is_still_the_cap() -> None:
    backoff = Backoff(0.5, 30, chance=lambda: 1.0)
    backoff.tries = 20_000
    assert backoff.wait_s(0) == 30


@pytest.mark.parametrize(
    ("wanted", "capacity", "given"),
    [([5, 5], 20, [5, 5]), ([5, 5], 6, [3, 3]), ([1, 5, 5], 7, [1, 3, 3]), ([], 5, []), ([5], 0, [LEAST_HZ])],
)
def test_the_machine_is_shared_evenly_and_nobody_gets_more_than_wanted(
    wanted: list[float], capacity: float, given: list[float]
) -> None:
    assert shares(wanted, capacity) == given


def test_rates_follow_what_a_detection_costs() -> None:
    load = Load([5, 5])
    assert load.rates_hz() == [5, 5]
    for _ in range(100):
        load.spent(1.0, 2)
    assert load.rates_hz() == pytest.approx([BUSY, BUSY])
    for _ in range(100):
        load.spent(0.1, 2)
    assert load.rates_hz() == [5, 5]


def test_a_picture_is_still_until_one_of_many_bytes_changes() -> None:
    stillness, picture = Stillness(), np.zeros(300 * 200, np.uint8)
    assert [stillness.still_s(picture, second * 10**9) for second in range(4)] == [0, 1, 2, 3]
    assert stillness.still_s(picture + 1, 4 * 10**9) == 0


def test_a_hanging_camera_that_encodes_its_picture_again_and_again_shows_nothing_new() -> None:
    stillness, picture = Stillness(), np.zeros(300 * 200, np.uint8)
    sharpness = [0, 1, 2, 0, 1, 2, 0, 1, 2]
    still_s = [stillness.still_s(picture + s, i * 10**9) for i, s in enumerate(sharpness)]
    assert still_s == [0, 0, 0, 1, 2, 3, 4, 5, 6]
    assert stillness.still_s(picture, 60 * 10**9) == 58  # still after a gap
    assert stillness.still_s(picture + 9, 61 * 10**9) == 0
    assert stillness.still_s(picture + 2, 62 * 10**9) == 0


def test_twice_the_rate_is_held_to_the_allowance_after_a_burst() -> None:
    allowance = Allowance(5.0, 0.0)
    passed = sum(allowance.take(i / 10) for i in range(1000))
    assert passed == pytest.approx(500 + 5 * BURST_S, abs=1)
    assert all(Allowance(None, 0.0).take(0.0) for _ in range(1000))


def test_frames_too_late_are_skipped_up_to_a_key_frame_that_is_not() -> None:
    skip = SkipAhead()
    packets = [
        (0.1, False),
        (BEHIND_S + 1, False),
        (1.0, False),
        (1.0, True),
        (0.2, False),
        (0.2, True),
        (0.2, False),
    ]
    skipped = [skip.skips(lag_s, key_frame=key_frame) for lag_s, key_frame in packets]
    assert skipped == [False, True, True, False, True, False, False]


def closed(part: int) -> TrackletClosed:
    one = np.zeros(1, np.int64)
    crop = Crop(0, 0, np.zeros(4, np.float32), 1.0, b"jpeg")
    boxes, confidences = np.zeros((1, 4), np.float32), np.ones(1, np.float32)
    return TrackletClosed(
        TrackletKey(1, 1, part), "door", one.astype(np.int32), one, boxes, confidences, (crop,)
    )


def test_nobody_waits_for_a_full_channel_and_crops_go_before_anything_else() -> None:
    room: list[bool] = []
    sent: list[Message] = []
    dropped: list[TrackletClosed] = []

    def offer(message: Message) -> bool:
        if room:
            sent.append(message)
        return bool(room)

    outbox = Outbox(offer, dropped.append)
    for part in range(LIMIT + 5):
        outbox.send(closed(part))
    outbox.send(Watermark(1, 7))
    outbox.send(RecordingEnded(1, "done", 0, 0))
    room.append(True)
    outbox.flush()
    parts = [m.key.part for m in sent if isinstance(m, TrackletClosed)]
    assert parts == list(range(LIMIT + 5)) and len(dropped) == 5 and len(sent) == LIMIT + 7
    assert [m.crops for m in sent if isinstance(m, TrackletClosed)][-5:] == [()] * 5

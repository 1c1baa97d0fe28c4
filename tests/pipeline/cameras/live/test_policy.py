"""What a live camera worker decides: when to try again, what to drop, who gets how much."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.cameras.live.backoff import HEALTHY_S, Backoff
from pipeline.cameras.live.health import HealthMeter
from pipeline.cameras.live.reception import LATE_NS, LiveFrame, Reception
from pipeline.cameras.live.watchdog import BEHIND_S, BURST_S, Allowance, SkipAhead, Stillness
from pipeline.config import CameraConfig, LiveConfig
from pipeline.messages import Crop, Message, RecordingEnded, TrackletClosed, TrackletKey, Watermark
from pipeline.running.workers.detection_rates import BUSY, LEAST_HZ, Load, shares
from pipeline.running.workers.outbox import HOPELESS_S, LATE_S, Outbox


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
    crops = tuple(Crop(0, 0, np.zeros(4, np.float32), quality, b"jpeg") for quality in (0.2, 0.9, 0.4))
    boxes, confidences = np.zeros((1, 4), np.float32), np.ones(1, np.float32)
    return TrackletClosed(
        TrackletKey(1, 1, part), "door", one.astype(np.int32), one, boxes, confidences, crops
    )


@pytest.mark.parametrize(("waited_s", "kept"), [(0, [0.2, 0.9, 0.4]), (LATE_S, [0.9]), (HOPELESS_S, [])])
def test_nobody_waits_for_a_full_channel_and_crops_go_before_anything_else(
    waited_s: float, kept: list[float]
) -> None:
    room: list[bool] = []
    sent: list[Message] = []
    lost: list[int] = []
    now_s = [0.0]

    def offer(message: Message) -> bool:
        if room:
            sent.append(message)
        return bool(room)

    outbox = Outbox(offer, lambda _, count: lost.append(count), now_s=lambda: now_s[0])
    for message in (closed(0), Watermark(1, 7), closed(1), RecordingEnded(1, "done", 0, 0)):
        outbox.send(message)
    assert not sent
    room.append(True)
    now_s[0] = waited_s
    outbox.flush()
    crops = [[crop.quality for crop in m.crops] for m in sent if isinstance(m, TrackletClosed)]
    assert len(sent) == 4 and crops == [kept, kept] and lost == [3 - len(kept)] * 2


def test_what_still_waits_at_the_end_goes_as_light_as_its_wait_made_it() -> None:
    sent: list[Message] = []
    lost: list[int] = []
    now_s = [0.0]
    outbox = Outbox(lambda _: False, lambda _, count: lost.append(count), now_s=lambda: now_s[0])
    outbox.send(closed(0))
    now_s[0] = LATE_S
    outbox.send(closed(1))
    outbox.empty(sent.append)
    assert [len(message.crops) for message in sent] == [1, 3] and lost == [2, 0]


def test_of_frames_that_waited_too_long_the_newest_is_detected_and_all_are_known() -> None:
    clock_ns = [10**18]
    meter = HealthMeter("door", 1, monotonic_s=lambda: 0.0, utc_ns=lambda: clock_ns[0])
    camera = CameraConfig(name="door", source="rtsp://127.0.0.1:9/door")
    reception = Reception(
        camera, LiveConfig(), None, meter, now_s=lambda: 0.0, opened=lambda _: None, rate_hz=5.0
    )
    for index in range(5):
        image = np.zeros((2, 2, 3), np.uint8)
        passed = ((10 * index - 5, index),)
        reception.waiting.append(LiveFrame(10 * index, index, index, clock_ns[0], image, passed, 0, 0))
    clock_ns[0] += LATE_NS + 1
    frame = reception.next_frame()
    assert frame is not None and frame.index == 40 and reception.next_frame() is None
    assert [index for index, _ in frame.passed] == [-5, 0, 5, 10, 15, 20, 25, 30, 35]
    assert meter.dropped == {"detect:busy": 4}

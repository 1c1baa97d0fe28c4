"""Source time of live frames: true to the time stamps, never backwards, never far from the arrival."""

from __future__ import annotations

import itertools
import random

import pytest

from pipeline.cameras.live.clock import FUTURE_NS, LAG_NS, SECOND_NS, LiveClock

T0 = 1_800_000_000 * SECOND_NS
PERIOD_NS = 40_000_000


def played(clock: LiveClock, frames: list[tuple[int | None, int]], *, settle_after: int = 1) -> list[int]:
    """Source times of frames given as (time stamp, arrival since T0), in ns."""
    times = []
    for number, (pts_ns, arrival_ns) in enumerate(frames, 1):
        clock.observe(pts_ns, T0 + arrival_ns)
        if number == settle_after:
            clock.settle()
        clock.advance(pts_ns)
        times.append(clock.time_ns() - T0)
    return times


def steps(times: list[int]) -> list[int]:
    return [b - a for a, b in itertools.pairwise(times)]


def test_a_steady_stream_keeps_the_spacing_of_its_time_stamps() -> None:
    rng = random.Random(0)
    jitter = [rng.randrange(30_000_000) for _ in range(500)]
    frames: list[tuple[int | None, int]] = [(i * PERIOD_NS, i * PERIOD_NS + j) for i, j in enumerate(jitter)]
    times = played(LiveClock(), frames)
    assert all(abs(step - PERIOD_NS) < 0.02 * PERIOD_NS for step in steps(times))
    assert abs(times[-1] - 499 * PERIOD_NS) < 5_000_000


def test_frames_that_waited_for_us_are_dated_back() -> None:
    late: list[tuple[int | None, int]] = [(i * PERIOD_NS, SECOND_NS) for i in range(25)]
    clock = LiveClock()
    for pts_ns, arrival_ns in late:
        clock.observe(pts_ns, T0 + arrival_ns)
    clock.settle()
    clock.advance(0)
    assert clock.time_ns() - T0 == SECOND_NS - 24 * PERIOD_NS


def test_frames_held_up_on_the_way_keep_their_time() -> None:
    frames: list[tuple[int | None, int]] = [
        (i * PERIOD_NS, i * PERIOD_NS if i < 50 or i > 100 else 100 * PERIOD_NS) for i in range(200)
    ]
    times = played(LiveClock(), frames)
    assert all(abs(step - PERIOD_NS) < 0.03 * PERIOD_NS for step in steps(times))


@pytest.mark.parametrize("jump_ns", [3600 * SECOND_NS, -3600 * SECOND_NS, 10 * SECOND_NS, -10 * SECOND_NS])
def test_a_jump_of_the_time_stamps_is_not_one_of_time(jump_ns: int) -> None:
    frames: list[tuple[int | None, int]] = [
        (i * PERIOD_NS + (jump_ns if i >= 100 else 0), i * PERIOD_NS) for i in range(200)
    ]
    clock = LiveClock()
    times = played(clock, frames)
    assert clock.jumps == 1
    assert all(abs(step - PERIOD_NS) < 0.02 * PERIOD_NS for step in steps(times))


def test_time_goes_on_when_the_time_stamps_stand_still() -> None:
    frames: list[tuple[int | None, int]] = [(min(i, 100) * PERIOD_NS, i * PERIOD_NS) for i in range(300)]
    times = played(LiveClock(), frames)
    assert all(abs(step - PERIOD_NS) < 0.02 * PERIOD_NS for step in steps(times))


@pytest.mark.parametrize("speed", [0.1, 2.0, 5.0])
def test_time_stamps_at_a_wrong_speed_are_bounded_by_the_arrivals_and_told(speed: float) -> None:
    frames: list[tuple[int | None, int]] = [
        (round(i * PERIOD_NS * speed), i * PERIOD_NS) for i in range(1000)
    ]
    clock = LiveClock()
    times = played(clock, frames)
    assert all(step > 0 for step in steps(times))
    late = [arrival - time for (_, arrival), time in zip(frames, times, strict=True)]
    assert min(late) >= -FUTURE_NS and max(late) <= LAG_NS
    assert clock.speed == pytest.approx(speed, rel=0.01)


def test_a_stream_without_time_stamps_goes_by_arrival() -> None:
    times = played(LiveClock(), [(None, i * PERIOD_NS) for i in range(50)])
    assert times == [i * PERIOD_NS for i in range(50)]


def test_a_new_connection_goes_on_after_the_last_one() -> None:
    clock = LiveClock(after_ns=T0 + 10 * SECOND_NS)
    times = played(clock, [(i * PERIOD_NS, i * PERIOD_NS) for i in range(50)])
    assert times[0] > 10 * SECOND_NS and all(step > 0 for step in steps(times))


def test_a_senders_clock_is_followed_where_it_is_near_ours() -> None:
    clock = LiveClock()
    for i in range(3000):
        clock.observe(i * PERIOD_NS, T0 + i * PERIOD_NS + 200_000_000)
        clock.hear_sender(T0 + i * PERIOD_NS, i * PERIOD_NS)
    clock.advance(2999 * PERIOD_NS)
    assert clock.time_ns() == T0 + 2999 * PERIOD_NS
    assert clock.sender_offset_s == pytest.approx(-0.2)


def test_a_camera_that_boots_in_1970_is_dated_by_arrival() -> None:
    clock = LiveClock()
    for i in range(100):
        clock.observe(i * PERIOD_NS, T0 + i * PERIOD_NS)
        clock.hear_sender(i * PERIOD_NS, i * PERIOD_NS)
    clock.advance(99 * PERIOD_NS)
    assert clock.time_ns() == T0 + 99 * PERIOD_NS
    assert clock.sender_offset_s == pytest.approx(-T0 / 1e9)


def test_drift_is_followed() -> None:
    drift = 1.0005
    times = played(LiveClock(), [(i * PERIOD_NS, round(i * PERIOD_NS * drift)) for i in range(9000)])
    assert abs(times[-1] - round(8999 * PERIOD_NS * drift)) < 50_000_000
    assert all(abs(step - PERIOD_NS) < 0.02 * PERIOD_NS for step in steps(times))

"""Times as people write them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.time_zones import ClockTimeError, epoch_ns
from pipeline.times import TimeSyntaxError, WallClock, iso, parse_span, parse_time

BERLIN = ZoneInfo("Europe/Berlin")
NOW = epoch_ns(datetime.fromisoformat("2026-12-01T10:30:00+01:00"))
CLOCK = WallClock(BERLIN, NOW)


def read(text: str, **end: bool) -> str:
    return iso(parse_time(text, CLOCK, **end))[:19]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("now", "2026-12-01T09:30:00"),
        ("-10m", "2026-12-01T09:20:00"),
        ("-1h30m", "2026-12-01T08:00:00"),
        ("-1.5h", "2026-12-01T08:00:00"),
        ("-2d", "2026-11-29T09:30:00"),
        ("-1w", "2026-11-24T09:30:00"),
        ("14:05", "2026-12-01T13:05:00"),
        ("8:05", "2026-12-01T07:05:00"),
        ("14:05:30", "2026-12-01T13:05:30"),
        ("today", "2026-11-30T23:00:00"),
        ("yesterday", "2026-11-29T23:00:00"),
        ("yesterday 18:00", "2026-11-30T17:00:00"),
        ("Yesterday  18:00", "2026-11-30T17:00:00"),
        ("2026-01-31", "2026-01-30T23:00:00"),
        ("2026-07-31", "2026-07-30T22:00:00"),
        ("2026-01-31 08:00", "2026-01-31T07:00:00"),
        ("2026-01-31T08:00", "2026-01-31T07:00:00"),
        ("31.1.2026 08:00", "2026-01-31T07:00:00"),
        ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00"),
        ("2026-01-31T08:00:00+05:45", "2026-01-31T02:15:00"),
        ("2026-01-31 08:00:00 +05:45", "2026-01-31T02:15:00"),
        ("20260131T080000", "2026-01-31T07:00:00"),
    ],
)
def test_times_without_an_offset_are_the_sites(text: str, utc: str) -> None:
    assert read(text) == utc


def test_plain_seconds_count_from_the_start_of_a_recording() -> None:
    assert parse_time("12.5", CLOCK) == 12_500_000_000


def test_a_day_that_ends_a_span_is_meant_whole() -> None:
    assert parse_span("2026-01-31", "2026-01-31", CLOCK) == (
        parse_time("2026-01-31", CLOCK),
        parse_time("2026-02-01", CLOCK) - 1000,
    )
    start, end = parse_span("2026-10-25", "2026-10-25", CLOCK)  # clocks go back
    assert start and end and (end + 1000 - start) == 25 * 3600 * 10**9


def test_a_day_begins_where_clocks_skip_its_midnight() -> None:
    clock = WallClock(ZoneInfo("America/Sao_Paulo"), NOW)
    assert iso(parse_time("2018-11-04", clock)) == "2018-11-04T03:00:00.000000+00:00"  # 00:00 became 01:00


@pytest.mark.parametrize("text", ["2026-03-29 02:30", "2026-10-25 02:30"])
def test_an_hour_that_is_not_or_is_twice_is_asked_about(text: str) -> None:
    with pytest.raises(ClockTimeError, match="Europe/Berlin"):
        parse_time(text, CLOCK)


def test_an_offset_answers_which_of_the_two_hours_is_meant() -> None:
    first, second = (parse_time(f"2026-10-25 02:30{offset}", CLOCK) for offset in ("+02:00", "+01:00"))
    assert second - first == 3600 * 10**9


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "yesterday 25:00", "2026-13-01", "31.02.2026", "--10m", "-", "-10x", "today now",
     "nan", "inf", "1e400", "9999-12-31T23:59:59Z", "0001-01-01", "yesterday noon", "14:05 today x"],
)  # fmt: skip
def test_what_is_no_time_is_refused_in_one_line_with_examples(text: str) -> None:
    with pytest.raises(TimeSyntaxError) as error:
        parse_time(text, CLOCK)
    assert "\n" not in str(error.value) and (repr(text) in str(error.value))


def test_a_reversed_span_is_refused() -> None:
    with pytest.raises(TimeSyntaxError, match="--from 15:00 is later than --to 14:00"):
        parse_span("15:00", "14:00", CLOCK)


@pytest.mark.parametrize("text", ["1e30", "-1e12", "9999-01-01T00:00:00Z", "0001-01-02"])
def test_a_time_the_store_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(TimeSyntaxError, match="too far away"):
        parse_time(text, CLOCK)


@given(st.integers(0, 4 * 10**18))
def test_an_iso_time_reads_back_to_the_microsecond(time_ns: int) -> None:
    assert parse_time(iso(time_ns), CLOCK) == time_ns // 1000 * 1000

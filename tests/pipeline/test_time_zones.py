"""The site's time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.time_zones import (
    ClockTimeError,
    TimeZoneError,
    epoch_ns,
    from_the_clock,
    on_the_clock,
    system_zone,
    zone_label,
    zone_named,
)

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "UTC",
)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Berlin", "did you mean Europe/Berlin?"),
        ("new york", "did you mean America/New_York?"),
        ("Europe/Berln", "did you mean Europe/Berlin?"),
        ("../../etc/passwd", "no time zone"),
        ("Europe", "no time zone"),
        ("", "no time zone"),
        ("qqq", "write a name such as Europe/Berlin"),
    ],
)
def test_what_is_no_zone_is_refused_and_what_is_near_is_said(name: str, said: str) -> None:
    with pytest.raises(TimeZoneError, match=said.replace("?", r"\?")):
        zone_named(name)


def test_no_name_means_the_machines_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    assert system_zone().key == zone_named(None).key == "America/New_York"


def test_a_machine_with_a_zone_nobody_knows_has_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Nowhere/Land")
    assert zone_label(system_zone()) == "UTC"


def test_an_hour_that_clocks_skip_is_asked_about() -> None:
    with pytest.raises(ClockTimeError, match=r"02:30:00 does not exist in Europe/Berlin"):
        from_the_clock(datetime(2026, 3, 29, 2, 30), BERLIN)


def test_an_hour_that_clocks_show_twice_is_asked_about_with_both_answers() -> None:
    shown = datetime(2026, 10, 25, 2, 30)
    with pytest.raises(ClockTimeError) as error:
        from_the_clock(shown, BERLIN)
    assert "2026-10-25 02:30:00+02:00 for the first" in str(error.value)
    assert "2026-10-25 02:30:00+01:00 for the second" in str(error.value)
    first = from_the_clock(datetime.fromisoformat("2026-10-25 02:30:00+02:00"), BERLIN)
    assert epoch_ns(first) == epoch_ns(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))


@given(st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)), st.sampled_from(ZONES))
def test_what_a_clock_shows_is_the_moment_it_came_from(moment: datetime, name: str) -> None:
    zone, time_ns = ZoneInfo(name), epoch_ns(moment.replace(tzinfo=UTC))
    shown = on_the_clock(time_ns, zone)
    assert epoch_ns(shown) == time_ns
    try:
        again = from_the_clock(shown.replace(tzinfo=None, fold=0), zone)
    except ClockTimeError as error:
        assert "twice" in str(error)
    else:
        assert epoch_ns(again) == time_ns


@given(st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)), st.sampled_from(ZONES))
def test_a_time_of_a_clock_is_taken_only_when_the_clock_showed_it_once(shown: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    near = epoch_ns(shown.replace(tzinfo=UTC))
    step = timedelta(minutes=15) // timedelta(microseconds=1) * 1000
    moments = [near + k * step for k in range(-64, 65)]
    times = [
        m for m in moments if on_the_clock(m, zone).replace(tzinfo=None, fold=0) == shown.replace(fold=0)
    ]
    try:
        assert [epoch_ns(from_the_clock(shown.replace(fold=0), zone))] == times
    except ClockTimeError as error:
        assert len(times) == (2 if "twice" in str(error) else 0)

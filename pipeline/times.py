"""Times as people and other programs write them; inside they are UTC epoch ns."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from zoneinfo import ZoneInfo

from pipeline.errors import MendableError
from pipeline.time_zones import ClockTimeError, epoch_ns, from_the_clock, on_the_clock

LIMIT_NS = 2**63 - 1
"""The store's times are 64-bit: the years 1678 to 2262."""
STEP = r"\d+(?:\.\d+)?[smhdw]"
STEPS = r"(\d+(?:\.\d+)?)([smhdw])"
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
DAYS_AGO = {"today": 0, "yesterday": 1}
FORMS = "14:05, yesterday 18:00, -10m, now, 2026-01-31, 2026-01-31 14:05, 2026-01-31T14:05:00Z or seconds"


class TimeSyntaxError(MendableError, ValueError, kind="wrong input"):
    """Not a time that can be asked for."""


@dataclass(frozen=True)
class WallClock:
    """What a time that somebody writes is measured by."""

    zone: ZoneInfo
    """Of the site: times without an offset are what its clocks show."""
    now_ns: int
    """UTC epoch ns, for `now`, `-10m`, `today`."""

    @property
    def today(self) -> date:
        """The day it is at the site."""
        return on_the_clock(self.now_ns, self.zone).date()


def wall_clock(zone: ZoneInfo) -> WallClock:
    """The clock of a zone, as of now."""
    return WallClock(zone, time.time_ns())


def parse_time(text: str, clock: WallClock, *, end: bool = False) -> int:
    """UTC epoch ns of a time as people write it.

    `now`; `-10m`, `-1h30m`, `-2d` before now; `14:05` today; `today`, `yesterday`, 2026-01-31 or 31.01.2026,
    alone or before a time of day; any ISO time. Plain seconds are those since the start of a recording
    without a clock.

    Args:
        text: what was written.
        clock: the site's; times without an offset are its.
        end: it ends a span, so that a mere day means all of that day.

    Raises:
        TimeSyntaxError: none of these, or before 1678 or after 2262.
        ClockTimeError: clocks skipped this time, or showed it twice.
    """
    time_ns = unlimited_time(text.strip(), clock, end=end)
    if abs(time_ns) > LIMIT_NS:
        raise TimeSyntaxError(f"{text!r} is too far away: times reach from 1678 to 2262")
    return time_ns


def unlimited_time(text: str, clock: WallClock, *, end: bool) -> int:
    """See `parse_time`."""
    with suppress(ValueError, OverflowError):
        return round(float(text) * 1e9)
    if text.lower() == "now":
        return clock.now_ns
    if re.fullmatch(rf"-({STEP})+", text, re.IGNORECASE):
        return clock.now_ns - sum(
            round(float(n) * UNITS_S[u.lower()] * 1e9) for n, u in re.findall(STEPS, text)
        )
    try:
        return moment_ns(*day_and_rest(text, clock), clock, end=end)
    except (ValueError, OverflowError) as error:
        if isinstance(error, ClockTimeError):
            raise
        raise TimeSyntaxError(f"{text!r} is not a time: write {FORMS}") from None


def day_and_rest(text: str, clock: WallClock) -> tuple[date, str]:
    """The day that a text begins with, today where it begins with none, and what is written behind it.

    Raises:
        ValueError: it begins with a day that there is not.
    """
    first, _, rest = text.replace("T", " ", 1).partition(" ") if text[:1].isdigit() else text.partition(" ")
    if first.lower() in DAYS_AGO:
        return clock.today - timedelta(days=DAYS_AGO[first.lower()]), rest.strip()
    if written := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", first):
        return date(int(written[3]), int(written[2]), int(written[1])), rest.strip()
    if ":" in first:
        return clock.today, text
    return date.fromisoformat(first), rest.strip()


def moment_ns(day: date, rest: str, clock: WallClock, *, end: bool) -> int:
    """UTC epoch ns of a time of day (none: the beginning of the day, or its end) on a day.

    Raises:
        ValueError: it is no time of day.
    """
    if rest:
        hours = re.sub(r"^(\d):", r"0\1:", rest.replace(" ", ""))
        shown = datetime.combine(day, clock_time.fromisoformat(hours))
        return epoch_ns(from_the_clock(shown, clock.zone))
    if end:
        return epoch_ns(first_moment(day + timedelta(days=1), clock.zone)) - 1000
    return epoch_ns(first_moment(day, clock.zone))


def first_moment(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins; in some zones clocks skip its midnight, or show it twice."""
    midnight = datetime.combine(day, clock_time(), zone)
    return midnight.astimezone(UTC).astimezone(zone)


def parse_span(since: str | None, until: str | None, clock: WallClock) -> tuple[int | None, int | None]:
    """The limits of a question in UTC epoch ns, each None where it is not given.

    Raises:
        TimeSyntaxError: one is not a time, or they are reversed.
        ClockTimeError: see `parse_time`.
    """
    start_ns = None if since is None else parse_time(since, clock)
    end_ns = None if until is None else parse_time(until, clock, end=True)
    if start_ns is not None and end_ns is not None and start_ns > end_ns:
        raise TimeSyntaxError(f"--from {since} is later than --to {until}")
    return start_ns, end_ns


def iso(time_ns: int) -> str:
    """UTC epoch ns as an ISO time with microseconds."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)).isoformat(
        timespec="microseconds"
    )

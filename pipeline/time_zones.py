"""The site's time zone: what its clocks show, to UTC and back; hours they skip or repeat are asked about."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import tzlocal

from pipeline.errors import MendableError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimeZoneError(MendableError, ValueError, kind="wrong input"):
    """There is no such time zone."""


class ClockTimeError(MendableError, ValueError, kind="wrong input"):
    """A clock time that happens twice in its zone, or never."""


def zone_named(name: str | None) -> ZoneInfo:
    """The time zone of an IANA name such as Europe/Berlin; None: the system's.

    Raises:
        TimeZoneError: nothing of this name; the message says what is near.
    """
    if name is None:
        return system_zone()
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no such key, a path, a folder of the zone files
        raise TimeZoneError(f"no time zone {name!r}: {near_zone(name)}") from None


def near_zone(name: str) -> str:
    """What may have been meant by a name that is no zone's: that of a city, or nearly the same letters."""
    known = sorted(available_timezones())
    cities = {zone.rpartition("/")[2].lower(): zone for zone in known}
    city = cities.get(name.strip().replace(" ", "_").lower())
    near = [city] if city else difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else "write a name such as Europe/Berlin"


def system_zone() -> ZoneInfo:
    """The zone that this machine is set to; UTC where it does not say."""
    try:
        return ZoneInfo(tzlocal.reload_localzone().key)
    except Exception:  # a zone of the machine's own making, or none: tzlocal and zoneinfo raise many kinds
        return ZoneInfo("Etc/UTC")


def zone_label(zone: ZoneInfo) -> str:
    """How a zone is written beside times: its name, and UTC for each of its many spellings."""
    return "UTC" if zone.key.rpartition("/")[2] in ("UTC", "UCT", "GMT", "Zulu", "Universal") else zone.key


def on_the_clock(time_ns: int, zone: ZoneInfo) -> datetime:
    """What the site's clocks showed at a UTC epoch time (ns), to the microsecond, with its offset."""
    return (EPOCH + timedelta(microseconds=time_ns // 1000)).astimezone(zone)


def from_the_clock(shown: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which the site's clocks showed a time; one that has an offset is taken by its word.

    Raises:
        ClockTimeError: it happened twice (clocks went back) or never (they went forward): an offset decides.
    """
    if shown.tzinfo is not None:
        return shown
    first, second = (shown.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    offsets = [moment.isoformat(sep=" ") for moment in (first, second)]
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != shown:
        raise ClockTimeError(
            f"{shown.isoformat(sep=' ')} does not exist in {zone.key}, where clocks went forward then: "
            "write it with its UTC offset, or in UTC with a Z"
        )
    raise ClockTimeError(
        f"{shown.isoformat(sep=' ')} happened twice in {zone.key}, where clocks went back: "
        f"write {offsets[0]} for the first or {offsets[1]} for the second"
    )


def epoch_ns(moment: datetime) -> int:
    """UTC epoch ns of a moment with an offset, exact to the microsecond."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000

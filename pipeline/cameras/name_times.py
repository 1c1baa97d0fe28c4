"""When a clip or picture begins, as recorders write it into names of files and folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import PurePath
from typing import NamedTuple

from pipeline.time_zones import epoch_ns

PARTS = 8
"""Folders that a time may be spread over: year, month, day, hour, and names between them."""
DATE = r"(?<!\d)(?P<Y>20\d\d)[-_./]?(?P<m>\d\d)[-_./]?(?P<d>\d\d)"
IN_NAME = (
    # Most of them, in one piece or over nested folders: Reolink, Hikvision, Dahua's downloads, Axis,
    # Blue Iris, Synology, motion, motionEye, Foscam, Tesla, BlackVue, Viofo, Thinkware, ISO 8601.
    DATE + r"[T _.,@/-]{0,3}(?P<H>\d\d)[-_.:h/]?(?P<M>\d\d)[-_.:m/]?(?P<S>\d\d)s?(?:[.,]?(?P<f>\d{3}))?(?!\d)"
    r"(?P<zone>Z|UTC|\+\d\d:?\d\d(?!\d)|-\d\d:\d\d)?",
    # UniFi Protect: 1-31-2026, 8.00.04am
    r"(?<!\d)(?P<m>\d{1,2})-(?P<d>\d{1,2})-(?P<Y>20\d\d),? (?P<H>\d{1,2})\.(?P<M>\d\d)\.(?P<S>\d\d) ?"
    r"(?P<half>[AaPp][Mm])?",
    # 31.01.2026 08.00.04
    r"(?<!\d)(?P<d>\d\d)\.(?P<m>\d\d)\.(?P<Y>20\d\d)[T _,.-]{1,2}"
    r"(?P<H>\d\d)[-_.:](?P<M>\d\d)[-_.:](?P<S>\d\d)(?!\d)",
    # Nextbase and other dashcams: 260131_080004
    r"(?<!\d)(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)_(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)(?!\d)",
)
"""Date and time in the name itself."""
IN_FOLDERS = (
    IN_NAME[0],
    # Frigate: 2026-01-31/08/hall/00.04, in UTC
    DATE + r"/(?P<H>\d\d)/(?P<utc>[^/]+)/(?P<M>\d\d)\.(?P<S>\d\d)(?!\d)",
    # Dahua: 2026-01-31/001/dav/08/08.00.04-08.10.00[M]; ZLMediaKit: 2026-01-31/08-00-04-0
    DATE + r"[^/]*/(?:.*/)?[^/]*?(?<!\d)(?P<H>\d\d)[-_.:h](?P<M>\d\d)[-_.:m](?P<S>\d\d)(?!\d)[^/]*$",
    # Yi: 2026Y01M31D08H/E100M04S60
    r"(?P<Y>20\d\d)Y(?P<m>\d\d)M(?P<d>\d\d)D(?P<H>\d\d)H/(?:E\d)?(?P<M>\d\d)M(?P<S>\d\d)S",
    # Wyze, OpenIPC: 20260131/08/00
    DATE + r"[-_/T ](?P<H>\d\d)/(?P<M>\d\d)(?!\d)[^/]*$",
    # ZoneMinder's deep folders: 26/01/31/08/00/04/
    r"(?<!\d)(?P<y>\d\d)/(?P<m>\d\d)/(?P<d>\d\d)/(?P<H>\d\d)/(?P<M>\d\d)/(?P<S>\d\d)/",
)
"""Part of it in the names of folders."""
EPOCH = r"(?<!\d)(?P<s>1\d{9})(?:\.(?P<f>\d{1,6})|(?P<ms>\d{3}))?(?!\d)"
"""Seconds or milliseconds since 1970: Frigate's events, Arlo."""
DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d\d)",
    "m": r"(?P<m>\d{1,2})",
    "d": r"(?P<d>\d{1,2})",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<H>\d{1,2})",
    "M": r"(?P<M>\d\d)",
    "S": r"(?P<S>\d\d)",
    "f": r"(?P<f>\d{1,6})",
    "p": r"(?P<half>[AaPp][Mm])",
    "z": r"(?P<zone>Z|[+-]\d\d:?\d\d)",
    "s": r"(?P<s>\d{9,11})",
    "%": "%",
}
"""What a `name_time` may hold, as in strftime."""


class NamedTime(NamedTuple):
    """A time in a name."""

    time_ns: int
    """UTC epoch."""
    exists: bool = True
    """Whether clocks of the zone ever showed it: one hour a year is left out."""
    once: bool = True
    """Whether they showed it only once: another hour is repeated."""


class NameTimes:
    """Times in names of files.

    Args:
        template: such as "%Y-%m-%d_%H-%M-%S", with `/` where folders hold a part; None: as common recorders
            write them.
        zone: of times that name none; None: the system's.

    Raises:
        ValueError: the template holds what is not known, or no date and time.
    """

    def __init__(self, template: str | None = None, zone: tzinfo | None = None) -> None:
        self.zone = zone
        self.parts = template.count("/") + 1 if template else PARTS
        self.in_name = () if template else tuple(re.compile(one) for one in IN_NAME)
        known = (in_words(template),) if template else (*IN_FOLDERS, EPOCH)
        self.in_folders = tuple(re.compile(one) for one in known)

    def of(self, path: PurePath) -> NamedTime | None:
        """The time that a file is named after; None where there is none in its name."""
        for found in self.candidates(path):
            if (time := self.time(found.groupdict())) is not None:
                return time
        return None

    def candidates(self, path: PurePath) -> Iterator[re.Match[str]]:
        """What looks like a time, the likeliest first: in the name itself, then over the folders."""
        for pattern in self.in_name:
            yield from pattern.finditer(path.stem)
        tail = "/".join((*path.parts[-self.parts : -1], path.stem))
        for pattern in self.in_folders:
            yield from reversed(list(pattern.finditer(tail)))

    def time(self, said: dict[str, str | None]) -> NamedTime | None:
        """The time of its parts; None where there is no such day, hour or minute."""
        if said.get("s"):
            fraction = said.get("f") or said.get("ms") or ""
            return NamedTime(int(said["s"] or 0) * 10**9 + int(f"{fraction:0<9}"))
        try:
            moment = moment_of(said)
            return self.in_zone(moment, zone_of(said))
        except (ValueError, OverflowError):
            return None

    def in_zone(self, moment: datetime, zone: tzinfo | None) -> NamedTime:
        """A time of day in a zone, or else in the site's."""
        local = moment.replace(tzinfo=zone or self.zone)
        utc = local.astimezone(UTC)  # a time without zone is the system's
        back = utc.astimezone(local.tzinfo).replace(tzinfo=None)
        once = local.utcoffset() == local.replace(fold=1).utcoffset()
        return NamedTime(epoch_ns(utc), back == moment, once or back != moment)


def moment_of(said: dict[str, str | None]) -> datetime:
    """The time of day that its parts give.

    Raises:
        ValueError: there is none such.
    """

    def number(part: str) -> int:
        return int(said.get(part) or 0)

    hour = number("H")
    if half := said.get("half"):
        hour = hour % 12 + 12 * (half.lower() == "pm")
    year = number("Y") or 2000 + number("y")
    micro = int(f"{said.get('f') or '':0<6}")
    return datetime(year, number("m"), number("d"), hour, number("M"), number("S"), micro)


def zone_of(said: dict[str, str | None]) -> tzinfo | None:
    """The zone that a name gives; None where it gives none."""
    if said.get("utc"):
        return UTC
    zone = said.get("zone")
    return datetime.strptime(zone.replace("UTC", "Z"), "%z").tzinfo if zone else None


def in_words(template: str) -> str:
    """A `name_time` as a regular expression.

    Raises:
        ValueError: says what is wrong with it.
    """
    pieces = re.split(r"%(.?)", template)
    unknown = [f"%{one}" for one in pieces[1::2] if one not in DIRECTIVES]
    if unknown:
        raise ValueError(f"{unknown[0]} is not one of {', '.join('%' + one for one in DIRECTIVES)}")
    letters = pieces[1::2]
    dated = "s" in letters or ({"m", "d", "M"} <= set(letters) and bool({"Y", "y"} & set(letters)))
    if not dated:
        raise ValueError("needs a date and a time, such as %Y-%m-%d_%H-%M-%S")
    seen: set[str] = set()
    parts = [re.escape(pieces[0])]
    for letter, text in zip(letters, pieces[2::2], strict=True):
        pattern = DIRECTIVES[letter]
        name = re.match(r"\(\?P<(\w+)>", pattern)
        if name and name[1] in seen:
            pattern = f"(?P={name[1]})"
        seen |= {name[1]} if name else set()
        parts.append(pattern + re.escape(text))
    return r"(?<!\d)" + "".join(parts) + r"(?!\d)"

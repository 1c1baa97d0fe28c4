"""Times as people and other programs write them; inside they are UTC epoch ns."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from pipeline.errors import MendableError

LIMIT_NS = 2**63 - 1
"""The store's times are 64-bit: the years 1678 to 2262."""


class TimeSyntaxError(MendableError, ValueError, kind="wrong input"):
    """Not a time that can be asked for."""


def parse_time(text: str) -> int:
    """UTC epoch ns of an ISO time, or of midnight in UTC where it is a mere date.

    Plain seconds are those since the start of a recording without a clock.

    Raises:
        TimeSyntaxError: neither, or before 1678 or after 2262.
    """
    time_ns = unlimited_time(text)
    if abs(time_ns) > LIMIT_NS:
        raise TimeSyntaxError(f"{text!r} is too far away: times reach from 1678 to 2262")
    return time_ns


def unlimited_time(text: str) -> int:
    """See `parse_time`."""
    try:
        return round(float(text) * 1e9)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TimeSyntaxError(
            f"{text!r} is not a time: write 2026-01-31T08:00:00Z, 2026-01-31, or seconds"
        ) from None
    if is_date(text):
        moment = moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise TimeSyntaxError(f"{text!r} has no UTC offset: write {text}Z or {text}+01:00")
    return round(moment.timestamp() * 1e6) * 1000


def is_date(text: str) -> bool:
    """Whether an ISO time is a day and no more."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def parse_span(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """The limits of a question in UTC epoch ns, each None where it is not given.

    Raises:
        TimeSyntaxError: one is not a time, or they are reversed.
    """
    start_ns, end_ns = (None if text is None else parse_time(text) for text in (since, until))
    if start_ns is not None and end_ns is not None and start_ns > end_ns:
        raise TimeSyntaxError(f"--from {since} is later than --to {until}")
    return start_ns, end_ns


def with_utc(record: Any) -> Any:
    """A record as JSON values in which every `x_ns` is joined by `x_utc`, null where the clock is unknown."""
    return joined_by_utc(msgspec.to_builtins(record), clock_known=True)


def joined_by_utc(value: Any, *, clock_known: bool) -> Any:
    """See `with_utc`; a `clock_known` in a record counts for all that is in it."""
    if isinstance(value, list):
        return [joined_by_utc(item, clock_known=clock_known) for item in value]
    if not isinstance(value, dict):
        return value
    known = bool(value.get("clock_known", clock_known))
    result: dict[str, Any] = {}
    for key, item in value.items():
        result[key] = joined_by_utc(item, clock_known=known)
        if key.endswith("_ns"):
            result[f"{key[:-3]}_utc"] = iso(item) if known and item is not None else None
    return result


def iso(time_ns: int) -> str:
    """UTC epoch ns as an ISO time with microseconds."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)).isoformat(
        timespec="microseconds"
    )

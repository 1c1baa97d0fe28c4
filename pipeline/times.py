"""Times as people and other programs write them; inside they are UTC epoch ns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pipeline.database import StoreError


class TimeSyntaxError(StoreError):
    """Not a time that can be asked for."""


def parse_time(text: str) -> int:
    """UTC epoch ns of an ISO time; seconds are those since the start of a recording without a clock.

    Raises:
        TimeSyntaxError: neither.
    """
    try:
        return round(float(text) * 1e9)
    except (ValueError, OverflowError):
        pass
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise TimeSyntaxError(f"{text!r} is not a time: write 2026-01-31T08:00:00Z, or seconds") from None
    if time.tzinfo is None:
        raise TimeSyntaxError(f"{text!r} has no UTC offset: write {text}Z or {text}+01:00")
    return round(time.timestamp() * 1e6) * 1000


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

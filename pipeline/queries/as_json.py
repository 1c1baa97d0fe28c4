"""Answers as JSON: the one way in which records become what other programs read."""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.times import iso


def as_json(record: Any) -> bytes:
    """A record, or several by key, as indented JSON in which every `x_ns` is joined by `x_utc`."""
    return msgspec.json.format(msgspec.json.encode(with_utc(record)), indent=2)


def with_utc(record: Any) -> Any:
    """A record as JSON values in which every `x_ns` is joined by `x_utc`, null where the clock is unknown."""
    return joined_by_utc(msgspec.to_builtins(record, str_keys=True), clock_known=True)


def joined_by_utc(value: Any, *, clock_known: bool) -> Any:
    """See `with_utc`; a `clock_known` in a record counts for all that is in it."""
    if isinstance(value, list | tuple):
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

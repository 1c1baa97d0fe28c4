"""The filters that a command was given, as they were typed, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.queries.filters import Filters
from pipeline.queries.people import parse_person
from pipeline.store.database import Store
from pipeline.store.runs import site_zone
from pipeline.times import parse_span, wall_clock


@dataclass(frozen=True)
class Typed:
    """`--camera`, `--person`, `--from` and `--to` as they were typed."""

    cameras: Sequence[str] | None = None
    people: Sequence[str] | None = None
    since: str | None = None
    until: str | None = None


ANYTHING = Typed()


def meant(store: Store, typed: Typed) -> Filters:
    """What was typed, by the clocks of the store's site.

    Raises:
        UnknownPersonError: not a person's number.
        TimeSyntaxError, ClockTimeError: see `times.parse_span`.
    """
    from_ns, to_ns = parse_span(typed.since, typed.until, wall_clock(site_zone(store)))
    people = tuple(parse_person(person) for person in typed.people or ())
    return Filters(tuple(typed.cameras or ()), people, from_ns, to_ns)

"""Where one person went: tracklets made visits, with the gaps between them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pipeline.queries.people import Sighted, sighted, sighted_query
from pipeline.store.audit import audit
from pipeline.store.database import Store
from pipeline.store.lookups import chosen, unknown_person
from pipeline.store.schema import SightingRow

VISIT_GAP_S = 5.0
"""Tracklets of one camera that follow each other within it are one visit: a person behind a pillar."""

Stay = list[Sighted]
"""Tracklets of one recording that follow each other closely, by start."""


class Visit(msgspec.Struct, frozen=True):
    """One stay in front of one camera."""

    camera: str
    recording: int
    start_ns: int
    end_ns: int
    clock_known: bool
    """False: times count from the start of the recording."""
    first_frame: int
    last_frame: int
    gap_s: float | None
    """Since the person was last in view; negative when in view of both; None when not comparable."""
    probability: float | None
    """Of the least certain link; None where nothing was linked."""
    ambiguous: bool
    """Whether any link is."""
    links: tuple[Sighted, ...]
    """The tracklets, each with how sure its link is and who else it could be."""


class Journey(msgspec.Struct, frozen=True):
    """Where one person went."""

    person: int
    version: int
    visits: tuple[Visit, ...]
    """By start."""


def journey(
    store: Store, person: int, *, version: int | None = None, visit_gap_s: float = VISIT_GAP_S
) -> Journey:
    """Where a person went, in order of time. Audited.

    Args:
        store: any open store.
        person: number of the identity.
        version: an identity version; None for the newest.
        visit_gap_s: a longer absence from a camera ends the visit.

    Raises:
        UnknownPersonError: nobody of this number in this version.
    """
    number = chosen(store, version)
    audit(store, "journey", f"P{person}", {"version": number})
    links = sighted(store, sighted_query(number).where(SightingRow.identity == person))
    if not links:
        raise unknown_person(store, person, number)
    return Journey(person, number, visits(stays(links, visit_gap_s)))


def stays(links: Sequence[Sighted], visit_gap_s: float) -> list[Stay]:
    """The tracklets, which come by start, put together; the stays by start."""
    latest: dict[int, Stay] = {}
    found: list[Stay] = []
    for link in links:
        stay = latest.get(link.recording)
        if stay is None or link.start_ns - end_ns(stay) > visit_gap_s * 1e9:
            stay = latest[link.recording] = []
            found.append(stay)
        stay.append(link)
    return found


def visits(found: Sequence[Stay]) -> tuple[Visit, ...]:
    """The stays as visits, each with the time since the person was last in view."""
    result: list[Visit] = []
    for number, stay in enumerate(found):
        result.append(visit(stay, gap_s(found[:number], stay)))
    return tuple(result)


def gap_s(before: Sequence[Stay], stay: Stay) -> float | None:
    """Time between the end of what came before and a stay, where clocks can be compared."""
    first = stay[0]
    comparable = [
        end_ns(earlier)
        for earlier in before
        if earlier[0].recording == first.recording or (earlier[0].clock_known and first.clock_known)
    ]
    return (first.start_ns - max(comparable)) / 1e9 if comparable else None


def visit(stay: Stay, gap_s: float | None) -> Visit:
    """One stay as a visit."""
    certain = [link.probability for link in stay if link.probability is not None]
    return Visit(
        camera=stay[0].camera,
        recording=stay[0].recording,
        start_ns=stay[0].start_ns,
        end_ns=end_ns(stay),
        clock_known=stay[0].clock_known,
        first_frame=min(link.first_frame for link in stay),
        last_frame=max(link.last_frame for link in stay),
        gap_s=gap_s,
        probability=min(certain, default=None),
        ambiguous=any(link.state == "ambiguous" for link in stay),
        links=tuple(stay),
    )


def end_ns(stay: Stay) -> int:
    """When the person went out of view."""
    return max(link.end_ns for link in stay)

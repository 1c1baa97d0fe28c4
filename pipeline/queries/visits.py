"""Tracklets of one person made visits: those that follow each other before a camera, and the gaps between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pipeline.queries.tracks import Sighted

VISIT_GAP_S = 5.0
"""Tracklets of one camera that follow each other within it are one visit: a person behind a pillar."""


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


@dataclass
class Latest:
    """The latest stay in a recording."""

    number: int
    """Its place among those found; -1: it was told on an earlier page."""
    end_ns: int
    clock_known: bool


class Stays:
    """Tracklets put together as they come, by start: a stay is those of one recording without a long gap."""

    def __init__(self, visit_gap_s: float, before: Mapping[int, Latest] | None = None) -> None:
        """`before`: by recording the stays that earlier pages told, which may go on."""
        self.visit_gap_ns = visit_gap_s * 1e9
        self.before = dict(before or {})
        self.latest = dict(self.before)
        self.found: list[list[Sighted]] = []

    def add(self, link: Sighted) -> None:
        """Take the next tracklet; one that goes on a stay told before only makes that longer."""
        latest = self.latest.get(link.recording)
        if latest is None or link.start_ns - latest.end_ns > self.visit_gap_ns:
            latest = self.latest[link.recording] = Latest(len(self.found), link.end_ns, link.clock_known)
            self.found.append([])
        latest.end_ns = max(latest.end_ns, link.end_ns)
        if latest.number >= 0:
            self.found[latest.number].append(link)

    def settled(self, count: int, start_ns: int) -> bool:
        """Whether the first `count` stays are whole, where the next tracklet begins at `start_ns`."""
        return len(self.found) > count and all(
            latest.number >= count or start_ns - latest.end_ns > self.visit_gap_ns
            for latest in self.latest.values()
        )


def visits(stays: Stays, limit: int | None = None) -> Iterator[Visit]:
    """The first stays (None: all) as visits, each with the time since the person was last in view."""
    ends = {recording: latest.end_ns for recording, latest in stays.before.items()}
    known = [latest.end_ns for latest in stays.before.values() if latest.clock_known]
    known_ns = max(known, default=None)
    for stay in stays.found[:limit]:
        first, end_ns = stay[0], max(link.end_ns for link in stay)
        seen = [ends.get(first.recording), known_ns if first.clock_known else None]
        last_ns = max((end for end in seen if end is not None), default=None)
        yield visit(stay, end_ns, None if last_ns is None else (first.start_ns - last_ns) / 1e9)
        ends[first.recording] = max(end_ns, ends.get(first.recording, end_ns))
        if first.clock_known:
            known_ns = end_ns if known_ns is None else max(end_ns, known_ns)


def visit(stay: Sequence[Sighted], end_ns: int, gap_s: float | None) -> Visit:
    """One stay as a visit."""
    certain = [link.probability for link in stay if link.probability is not None]
    return Visit(
        camera=stay[0].camera,
        recording=stay[0].recording,
        start_ns=stay[0].start_ns,
        end_ns=end_ns,
        clock_known=stay[0].clock_known,
        first_frame=min(link.first_frame for link in stay),
        last_frame=max(link.last_frame for link in stay),
        gap_s=gap_s,
        probability=min(certain, default=None),
        ambiguous=any(link.state == "ambiguous" for link in stay),
        links=tuple(stay),
    )

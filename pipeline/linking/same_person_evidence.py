"""What is known about all tracklets of a store: looks, times, and what one person cannot have done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.constraints import Pair, ordered
from pipeline.linking.cluster import Evidence
from pipeline.linking.double_boxes import Doubles, one_body
from pipeline.linking.site import Site
from pipeline.linking.two_places_at_once import clock_slack_ns, exclusive, share_time
from pipeline.records import StoredTracklet
from reid.sets.affinity import FprPairs, Looks, computed_ahead, log_odds

NOTHING_SEEN = -20.0
"""Log-odds of a tracklet without crops: it is nobody known."""


def gather_evidence(
    tracklets: Sequence[StoredTracklet],
    site: Site,
    *,
    fixed: Mapping[int, int] | None = None,
    shown: Appearances | None = None,
    pairs: FprPairs | None = None,
    others: int = 0,
    complete_ns: int | None = None,
) -> Evidence:
    """All that is known about these tracklets.

    Args:
        tracklets: in any order.
        site: where and how.
        fixed: by tracklet, identities that cannot change any more: those of one stay together, others apart.
        shown: how they look, where that was asked for before.
        pairs: keeps FPR distances from one call to the next.
        others: people who are known besides.
        complete_ns: before this time no part of a track is missing; None: none is at all.
    """
    rows = {tracklet.id: row for row, tracklet in enumerate(tracklets)}
    cannot = conflicts(tracklets, site, complete_ns)
    must = [(rows[a], rows[b]) for a, b in sorted(site.said.must) if a in rows and b in rows]
    for a, b in site.said.cannot:
        if a in rows and b in rows:
            cannot[rows[a], rows[b]] = cannot[rows[b], rows[a]] = True
    # -1: may be anybody. Two settled people stay two, however alike: their numbers are told already.
    owners = np.array([(fixed or {}).get(t.id, -1) for t in tracklets], np.int64)
    cannot |= (owners[:, None] != owners) & (owners[:, None] >= 0) & (owners >= 0)
    must += chained([np.flatnonzero(owners == owner).tolist() for owner in np.unique(owners[owners >= 0])])
    return Evidence(
        looks=looks_of(len(tracklets), shown or appearances_of(tracklets, site), site, pairs or FprPairs()),
        cannot=cannot,
        must=joined(tracklets, must),
        start_s=np.array([t.start_ns for t in tracklets]) / 1e9,
        end_s=np.array([t.end_ns for t in tracklets]) / 1e9,
        cameras=[t.camera for t in tracklets],
        clocks=[site.clock_of(t) for t in tracklets],
        others=others,
        crops=[len(t.crops) if t.model == site.model else 0 for t in tracklets],
    )


@dataclass(frozen=True)
class Appearances:
    """How tracklets look, those that have crops of the model."""

    rows: Sequence[int]
    """Their places among all tracklets."""
    looks: Looks | None
    """None: no tracklet has any."""


def appearances_of(tracklets: Sequence[StoredTracklet], site: Site, *, settled: int = 0) -> Appearances:
    """How these tracklets look.

    Args:
        tracklets: in any order.
        site: whose model counts.
        settled: so many, the first, are not asked about; their distances to each other are not needed.
    """
    rows = [row for row, t in enumerate(tracklets) if t.model == site.model and t.embeddings]
    if not rows:
        return Appearances(rows, None)
    names = sorted({tracklets[row].camera for row in rows})
    looks = Looks(
        crops=[tracklets[row].embeddings for row in rows],
        cameras=np.array([names.index(tracklets[row].camera) for row in rows]),
        names=[tracklets[row].id for row in rows],
        settled=np.array(rows) < settled,
    )
    return Appearances(rows, looks)


def looks_of(count: int, shown: Appearances, site: Site, pairs: FprPairs) -> NDArray[np.float64]:
    """(T, T) log-odds by looks of so many tracklets; those that show nothing look like nobody."""
    odds = np.full((count, count), NOTHING_SEEN)
    if shown.looks:
        odds[np.ix_(shown.rows, shown.rows)] = log_odds(shown.looks, site.calibration, pairs)
    return odds


def gather_ahead(
    tracklets: Sequence[StoredTracklet], shown: Appearances, site: Site, pairs: FprPairs
) -> Iterator[None]:
    """Do most of the work of `gather_evidence` with the same arguments, with a pause now and then."""
    yield from site.doubles.computed(list(pairs_at(tracklets, at_once(tracklets))))
    if shown.looks:
        yield from computed_ahead(shown.looks, site.calibration, pairs)


def conflicts(tracklets: Sequence[StoredTracklet], site: Site, complete_ns: int | None) -> NDArray[np.bool_]:
    """(T, T) whether one person would have to be in two places, or twice in one frame."""
    start = np.array([t.start_ns for t in tracklets], np.int64)
    end = np.array([t.end_ns for t in tracklets], np.int64)
    recording = np.array([t.key.recording for t in tracklets], np.int64)
    slack_ns = clock_slack_ns(site.settings)
    meanwhile = share_time(start[:, None], end[:, None], start, end, slack_ns)
    numbers = np.unique(recording)
    where = site.places
    apart = np.array([[exclusive(where[a], where[b]) for b in numbers] for a in numbers], np.bool_)
    place = np.searchsorted(numbers, recording)
    elsewhere = meanwhile & apart.reshape(len(numbers), len(numbers))[place[:, None], place]
    # Within a recording there is one clock, which needs no slack, and boxes, which tell two bodies from one.
    elsewhere &= recording[:, None] != recording
    twice = at_once(tracklets)
    return np.asarray(elsewhere | (twice & ~doubled(tracklets, twice, site.doubles, complete_ns)))


def at_once(tracklets: Sequence[StoredTracklet]) -> NDArray[np.bool_]:
    """(T, T) whether two of different tracks are in one recording at the same time."""
    start = np.array([t.start_ns for t in tracklets], np.int64)
    end = np.array([t.end_ns for t in tracklets], np.int64)
    recording = np.array([t.key.recording for t in tracklets], np.int64)
    meanwhile = share_time(start[:, None], end[:, None], start, end)
    return np.asarray(meanwhile & (recording[:, None] == recording) & ~same_track(tracklets))


def pairs_at(tracklets: Sequence[StoredTracklet], twice: NDArray[np.bool_]) -> dict[Pair, tuple[int, int]]:
    """Rows of the pairs of a symmetric (T, T) mask, by their numbers."""
    return {
        ordered(tracklets[a].id, tracklets[b].id): (a, b) for a, b in np.argwhere(np.triu(twice)).tolist()
    }


def doubled(
    tracklets: Sequence[StoredTracklet],
    twice: NDArray[np.bool_],
    doubles: Doubles,
    complete_ns: int | None,
) -> NDArray[np.bool_]:
    """(T, T) which of the pairs that are at once may be one body; decided for whole tracks."""
    rows = pairs_at(tracklets, twice)
    met = doubles.meetings(list(rows))
    names = [t.whole_track for t in tracklets]
    tracks: defaultdict[tuple[tuple[int, int], ...], list[Pair]] = defaultdict(list)
    for pair, (a, b) in rows.items():
        tracks[tuple(sorted((names[a], names[b])))].append(pair)
    found = np.zeros_like(twice)
    # Parts are cut by the clock: one of them may share three frames with the other track, of which two happen
    # to overlap. All that the two tracks share is asked at once.
    for pairs in tracks.values():
        seen = [one for one in map(met.__getitem__, pairs) if one]
        if seen and one_body(seen, complete_ns):
            for a, b in map(rows.__getitem__, pairs):
                found[a, b] = found[b, a] = True
    return found


def same_track(tracklets: Sequence[StoredTracklet]) -> NDArray[np.bool_]:
    """(T, T) whether two are parts of one track."""
    names = [t.whole_track for t in tracklets]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    track = np.array([numbers[name] for name in names], np.int64)
    return np.asarray(track[:, None] == track)


def joined(tracklets: Sequence[StoredTracklet], must: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Groups of more than one row: parts of a track, and what operators said is one person."""
    group_of: dict[int, set[int]] = {}
    tracks: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for row, t in enumerate(tracklets):
        tracks[t.whole_track].append(row)
    for a, b in [*chained(tracks.values()), *must]:
        merged = group_of.get(a, {a}) | group_of.get(b, {b})
        group_of.update(dict.fromkeys(merged, merged))
    return sorted({tuple(sorted(group)): sorted(group) for group in group_of.values()}.values())


def chained(groups: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """Pairs that make each group one."""
    return [(rows[0], other) for rows in groups for other in rows[1:]]

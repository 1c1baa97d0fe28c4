"""What is known about all tracklets of a store: looks, times, and what one person cannot have done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.cluster import Evidence
from pipeline.config import MatcherConfig
from pipeline.constraints import Constraints
from pipeline.match import Place
from pipeline.rows import StoredTracklet
from reid.affinity import Looks, PairCalibration, log_odds

NOTHING_SEEN = -20.0
"""Log-odds of a tracklet without crops: it is nobody known."""


def gather(
    tracklets: Sequence[StoredTracklet],
    where: Mapping[int, Place],
    said: Constraints,
    settings: MatcherConfig,
    calibration: PairCalibration,
    model: str,
) -> Evidence:
    """All that is known about these tracklets; those without crops of the model look like nobody."""
    rows = {tracklet.id: row for row, tracklet in enumerate(tracklets)}
    cannot = conflicts(tracklets, where, round(settings.clock_tolerance_s * 1e9))
    must = [(rows[a], rows[b]) for a, b in sorted(said.must) if a in rows and b in rows]
    for a, b in said.cannot:
        if a in rows and b in rows:
            cannot[rows[a], rows[b]] = cannot[rows[b], rows[a]] = True
    return Evidence(
        looks=looks_of(tracklets, calibration, model),
        cannot=cannot,
        must=joined(tracklets, must),
        start_s=np.array([t.start_ns for t in tracklets]) / 1e9,
        end_s=np.array([t.end_ns for t in tracklets]) / 1e9,
        cameras=[t.camera for t in tracklets],
        clocks=[0 if where[t.key.recording].clock_known else t.key.recording for t in tracklets],
    )


def looks_of(
    tracklets: Sequence[StoredTracklet], calibration: PairCalibration, model: str
) -> NDArray[np.float64]:
    """(T, T) log-odds by looks; -inf where either has none."""
    seen = [row for row, t in enumerate(tracklets) if t.model == model and t.embeddings]
    odds = np.full((len(tracklets), len(tracklets)), NOTHING_SEEN)
    if seen:
        names = sorted({tracklets[row].camera for row in seen})
        cameras = np.array([names.index(tracklets[row].camera) for row in seen])
        looks = Looks([tracklets[row].embeddings for row in seen], cameras)
        odds[np.ix_(seen, seen)] = log_odds(looks, calibration)
    return odds


def conflicts(
    tracklets: Sequence[StoredTracklet], where: Mapping[int, Place], slack_ns: int
) -> NDArray[np.bool_]:
    """(T, T) whether one person would have to be in two places, or twice in one frame."""
    start = np.array([t.start_ns for t in tracklets], np.int64)
    end = np.array([t.end_ns for t in tracklets], np.int64)
    recording = np.array([t.key.recording for t in tracklets], np.int64)
    here = (start[:, None] <= end) & (start <= end[:, None]) & (recording[:, None] == recording)
    slack = slack_ns
    meanwhile = (start[:, None] + slack < end) & (start + slack < end[:, None])
    numbers = np.unique(recording)
    apart = np.array([[exclusive(where[a], where[b]) for b in numbers] for a in numbers], np.bool_)
    place = np.searchsorted(numbers, recording)
    elsewhere = meanwhile & apart.reshape(len(numbers), len(numbers))[place[:, None], place]
    return np.asarray((here | (elsewhere & (recording[:, None] != recording))) & ~same_track(tracklets))


def exclusive(a: Place, b: Place) -> bool:
    """Whether nobody is seen by both at once."""
    if not (a.clock_known and b.clock_known):
        return False
    return b.camera not in a.overlaps and a.camera not in b.overlaps


def same_track(tracklets: Sequence[StoredTracklet]) -> NDArray[np.bool_]:
    """(T, T) whether two are parts of one track."""
    names = [(t.key.recording, t.key.track) for t in tracklets]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    track = np.array([numbers[name] for name in names], np.int64)
    return np.asarray(track[:, None] == track)


def joined(tracklets: Sequence[StoredTracklet], must: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Groups of more than one row: parts of a track, and what operators said is one person."""
    group_of: dict[int, set[int]] = {}
    tracks: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for row, t in enumerate(tracklets):
        tracks[t.key.recording, t.key.track].append(row)
    chains = [(rows[0], other) for rows in tracks.values() for other in rows[1:]]
    for a, b in [*chains, *must]:
        merged = group_of.get(a, {a}) | group_of.get(b, {b})
        group_of.update(dict.fromkeys(merged, merged))
    return sorted({tuple(sorted(group)): sorted(group) for group in group_of.values()}.values())

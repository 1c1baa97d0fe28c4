"""Looks at everything in the store at once and says again who is who, as a new identity version."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import count

import msgspec
import numpy as np

from pipeline.cluster import Evidence, cluster, walked
from pipeline.config import MatcherConfig
from pipeline.constraints import enforced
from pipeline.corrections import constraints
from pipeline.evidence import NOTHING_SEEN, gather
from pipeline.match import Sighting
from pipeline.match_worker import places
from pipeline.relink import renumbered
from pipeline.rows import StoredTracklet
from pipeline.store import Store
from pipeline.transit import Transit, learnt
from reid.affinity import PairCalibration

PASSES = 2
"""The first goes by looks alone; the second also by the transit times that the first one shows."""
MOST_TRACKLETS = 20_000
"""Log-odds of all pairs are held in memory: 8 bytes each, in some five arrays at once."""

UNLIKELY = 0.01
"""A runner-up below this probability is none."""


class TooManyTracklets(ValueError):
    """The store holds more than can be compared all with all."""


class Change(msgspec.Struct, frozen=True):
    """What became of the tracklets of one identity, and why."""

    kind: str
    """merged or split."""
    identity: int
    others: tuple[int, ...]
    """merged: the identities that came to it; split: those that its tracklets went to."""
    tracklets: tuple[int, ...]
    """Those that moved."""
    probability: float | None
    """That they show the same person as those they were put with (merged) or taken from (split)."""
    reason: str


class Reclustered(msgspec.Struct, frozen=True):
    """What looking at everything at once changed."""

    version: int
    tracklets: int
    identities_before: int
    identities: int
    changes: tuple[Change, ...]


def recluster(store: Store, settings: MatcherConfig, *, note: str = "all tracklets at once") -> Reclustered:
    """A new identity version from all tracklets at once; what operators said holds.

    The person's number stays with most of its tracklets.

    Raises:
        TooManyTracklets: more than fit into memory.
        CalibrationError: see `reid.tracklets`.
    """
    model = store.newest_model()
    tracklets = list(store.tracklets())
    if len(tracklets) > MOST_TRACKLETS:
        raise TooManyTracklets(f"{len(tracklets)} tracklets: at most {MOST_TRACKLETS} are compared at once")
    said = constraints(store)
    evidence = gather(
        tracklets, places(store), said, settings, PairCalibration.from_dict(store.calibration(model)), model
    )
    groups = solve(evidence, log_odds_of(settings.link_probability))
    numbers = count(len(groups))
    labels = {tracklets[i].id: number for number, group in enumerate(groups) for i in group}
    labels = enforced(labels, said, lambda: next(numbers))
    current = store.current_version()
    before = store.identities_of_tracklets(current) if current is not None else {}
    drafts = [Sighting(tracklet, label, "new") for tracklet, label in labels.items()]
    names = renumbered(drafts, before, store)
    after = {tracklet: names[label] for tracklet, label in labels.items()}
    sightings = claims(tracklets, after, evidence, settings)
    version = store.new_version("recluster", note)
    store.add_sightings(version, sightings)
    found = changes(before, after, [t.id for t in tracklets], evidence)
    return Reclustered(version, len(tracklets), len(set(before.values())), len(set(after.values())), found)


def solve(evidence: Evidence, threshold: float) -> list[list[int]]:
    """Groups of tracklets, each one person."""
    transit, groups = Transit(), list[list[int]]()
    for _ in range(PASSES):
        groups = cluster(evidence, transit, threshold)
        transit = learnt(walked(evidence, groups))
    return groups


def claims(
    tracklets: Sequence[StoredTracklet],
    identities: Mapping[int, int],
    evidence: Evidence,
    settings: MatcherConfig,
) -> list[Sighting]:
    """One sighting for each tracklet: how well it fits the rest of its identity, and who else it could be."""
    members: defaultdict[int, list[int]] = defaultdict(list)
    for row, tracklet in enumerate(tracklets):
        members[identities[tracklet.id]].append(row)
    first = {rows[0] for rows in members.values()}
    return [
        claim(row, tracklets[row].id, identities[tracklets[row].id], members, evidence, settings)
        if row not in first
        else Sighting(tracklets[row].id, identities[tracklets[row].id], "new")
        for row in range(len(tracklets))
    ]


def claim(
    row: int,
    tracklet: int,
    identity: int,
    members: Mapping[int, Sequence[int]],
    evidence: Evidence,
    settings: MatcherConfig,
) -> Sighting:
    """The sighting of a tracklet that is not its identity's first."""
    odds = {
        name: mean_odds(row, rows, evidence)
        for name, rows in members.items()
        if name == identity or not evidence.cannot[row, list(rows)].any()
    }
    shares = posterior(odds)
    rival = max((name for name in odds if name != identity), key=lambda name: odds[name], default=None)
    mine, other = shares[identity], shares[rival] if rival is not None else 0.0
    shown = rival if other > UNLIKELY else None
    return Sighting(
        tracklet,
        identity,
        "linked" if mine - other >= settings.margin else "ambiguous",
        probability=mine,
        runner_up=shown,
        runner_up_probability=other if shown is not None else None,
        evidence={"looks": round(odds[identity], 2)},
    )


def posterior(odds: Mapping[int, float]) -> dict[int, float]:
    """The probability of each of some people, of whom it is at most one, from log-odds of each alone."""
    weights = {name: float(np.exp(np.clip(value, -40, 40))) for name, value in odds.items()}
    total = 1 + sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def mean_odds(row: int, rows: Sequence[int], evidence: Evidence) -> float:
    """Mean log-odds of a tracklet and the others of a group."""
    others = [other for other in rows if other != row]
    return float(evidence.looks[row, others].mean()) if others else NOTHING_SEEN


def log_odds_of(probability: float) -> float:
    """The log-odds of a probability, at most 1e9 to one."""
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    return float(np.log(inside / (1 - inside)))


def likely(odds: float) -> float:
    """The probability of these log-odds."""
    return float(1 / (1 + np.exp(-np.clip(odds, -40, 40))))


def changes(
    before: Mapping[int, int], after: Mapping[int, int], rows: Sequence[int], evidence: Evidence
) -> tuple[Change, ...]:
    """Every identity that gained tracklets of others, or lost some, with the reason."""
    place = {tracklet: row for row, tracklet in enumerate(rows)}
    moved: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for tracklet, identity in after.items():
        if tracklet in before and before[tracklet] != identity:
            moved[before[tracklet], identity].append(tracklet)
    kept = Counter(before[t] for t, identity in after.items() if before.get(t) == identity)
    found = []
    for (old, new), tracklets in sorted(moved.items()):
        split = bool(kept[old])
        rest = [t for t, i in (before if split else after).items() if i == (old if split else new)]
        others = [place[t] for t in rest if t in place and t not in tracklets]
        mine = [place[t] for t in tracklets]
        found.append(explained(old, new, tracklets, mine, others, evidence, split=split))
    return tuple(found)


def explained(
    old: int,
    new: int,
    tracklets: Sequence[int],
    mine: Sequence[int],
    others: Sequence[int],
    evidence: Evidence,
    *,
    split: bool,
) -> Change:
    """One change in words."""
    chance = likely(float(evidence.looks[np.ix_(mine, others)].mean())) if others else None
    if split and others and evidence.cannot[np.ix_(mine, others)].any():
        reason = "in two places at once, or an operator said so"
    elif split:
        reason = f"looks and times fit P{new} better"
    else:
        reason = f"looks and times of both fit one person, P{new}"
    kind = "split" if split else "merged"
    identity, other = (old, new) if split else (new, old)
    return Change(kind, identity, (other,), tuple(tracklets), chance, reason)

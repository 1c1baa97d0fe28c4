"""Looks at everything in the store at once and says again who is who, as a new identity version."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count

import msgspec
import numpy as np

from pipeline.config import MatcherConfig
from pipeline.errors import MendableError
from pipeline.linking.cluster import Evidence, grouped_into_people, walked
from pipeline.linking.enforce_corrections import enforced
from pipeline.linking.keep_numbers import keep_numbers
from pipeline.linking.link_confidence import claims_of_groups
from pipeline.linking.same_person_evidence import gather_evidence
from pipeline.linking.site_knowledge import site_of
from pipeline.linking.walking_times import Usual, learnt, told, usual
from pipeline.records import Sighting
from pipeline.store.database import Store
from pipeline.store.identity_claims import add_numbered_version, identities_of_tracklets
from pipeline.store.models import newest_model
from pipeline.store.tracklets import stored_tracklets
from pipeline.store.versions import current_version

MOST_TRACKLETS = 20_000
"""Log-odds of all pairs are held in memory: 8 bytes each, in some five arrays at once."""


class TooManyTracklets(MendableError, ValueError, kind="full"):
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
    transit: dict[str, Usual]
    """Walking times as these identities show them, by 'camera -> camera'."""


Adopt = Callable[[str, int | None, Sequence[Sighting]], tuple[int, dict[int, int]]]
"""Makes a version of claims, given a note, the version they were made from, and the claims with new people
below 0; gives its number and, for each new person, the number they got."""


def recluster(
    store: Store, settings: MatcherConfig, *, note: str = "all tracklets at once", adopt: Adopt | None = None
) -> Reclustered:
    """A new identity version from all tracklets at once; what operators said holds.

    The person's number stays with most of its tracklets.

    Args:
        store: opened for writing, or, with `adopt`, for reading.
        settings: see `MatcherConfig`.
        note: of the new version.
        adopt: has the version made; left out: made in `store`.

    Raises:
        TooManyTracklets: more than fit into memory.
        UnusableWeightsError: the weights in use were never calibrated.
    """
    current = current_version(store)  # first: what is said from here on makes another one
    site = site_of(store, settings, newest_model(store))
    tracklets = list(stored_tracklets(store))
    if len(tracklets) > MOST_TRACKLETS:
        raise TooManyTracklets(f"{len(tracklets)} tracklets: at most {MOST_TRACKLETS} are compared at once")
    evidence = gather_evidence(tracklets, site)
    found = grouped_into_people(evidence, settings.link_probability, told(settings.transit))
    numbers = count(len(found.groups))
    labels = {tracklets[i].id: number for number, group in enumerate(found.groups) for i in group}
    labels = enforced(labels, site.said, lambda: next(numbers))
    before = identities_of_tracklets(store, current) if current is not None else {}
    drafts = count(-1, -1)
    names = keep_numbers(labels, before, lambda: next(drafts))
    draft = {tracklet: names[label] for tracklet, label in labels.items()}
    sightings = claims_of_groups(tracklets, draft, found.walks, settings)
    version, given = (adopt or partial(added, store))(note, current, sightings)
    after = {tracklet: given.get(person, person) for tracklet, person in draft.items()}
    told_of = changes(before, after, [t.id for t in tracklets], evidence)
    walks = usual(learnt(walked(evidence, found.groups)))
    counts = (len(set(before.values())), len(set(after.values())))
    return Reclustered(version, len(tracklets), *counts, told_of, walks)


def added(
    store: Store, note: str, based_on: int | None, sightings: Sequence[Sighting]
) -> tuple[int, dict[int, int]]:
    """The version made here; nobody else writes meanwhile, so what it is based on is the newest still."""
    return add_numbered_version(store, "recluster", note, sightings)


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

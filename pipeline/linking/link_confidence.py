"""What is claimed of a tracklet once groups are made: how well it fits, and who else it could be."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.config import MatcherConfig
from pipeline.linking.cluster import Evidence, Walks
from pipeline.linking.same_person_evidence import NOTHING_SEEN
from pipeline.records import Sighting, StoredTracklet

UNLIKELY = 0.01
"""A runner-up below this probability is none."""
RIVALS = 8
"""Identities, the most alike, that times are asked about; the others hardly matter."""
LEAST_LIKELY = -8.0
"""Log-odds by looks that times cannot lift to a probability worth a mention."""


def claims_of_groups(
    tracklets: Sequence[StoredTracklet],
    identities: Mapping[int, int],
    walks: Walks,
    settings: MatcherConfig,
    *,
    settled: int = 0,
) -> list[Sighting]:
    """One sighting for each tracklet; the first of an identity is `new`.

    Args:
        tracklets: all of them.
        identities: by tracklet.
        walks: between the tracklets, in their order, as the identities were made with.
        settings: what is ambiguous.
        settled: so many, the first, are not asked about.
    """
    names, owner = np.unique([identities[t.id] for t in tracklets], return_inverse=True)
    looks = identity_odds(owner, len(names), walks.evidence)
    ways = [Way(walks, np.flatnonzero(owner == one)) for one in range(len(names))]
    first = set(np.unique(owner, return_index=True)[1].tolist())
    found = []
    for row, tracklet in enumerate(tracklets[settled:], settled):
        mine = int(owner[row])
        if row in first:
            found.append(Sighting(tracklet.id, int(names[mine]), "new"))
        else:
            times = time_odds(row, mine, looks[row], ways)
            found.append(claim(tracklet.id, names.tolist(), mine, looks[row], times, settings))
    return found


def identity_odds(owner: NDArray[np.intp], count: int, evidence: Evidence) -> NDArray[np.float64]:
    """(T, I) mean log-odds of each tracklet and the others of each identity; -inf where it cannot be there.

    The mean is that of `Evidence.weights`.

    Args:
        owner: (T,) each tracklet's identity, 0..count - 1.
        count: identities.
        evidence: of the tracklets.
    """
    member = evidence.weights[:, None] * np.eye(count)[owner]  # (T, I)
    others = member.sum(0) - member
    looks = evidence.looks - np.diag(np.diag(evidence.looks))
    odds = np.where(others > 0, looks @ member / np.maximum(others, 1), NOTHING_SEEN)
    elsewhere = (evidence.cannot @ member > 0) & (member == 0)
    return np.asarray(np.where(elsewhere, -np.inf, odds))


def time_odds(row: int, mine: int, looks: NDArray[np.float64], ways: Sequence[Way]) -> NDArray[np.float64]:
    """(I,) what times add to the log-odds of a tracklet's own identity and its RIVALS, 0 elsewhere.

    Args:
        row: the tracklet.
        mine: its identity.
        looks: (I,) its log-odds by looks.
        ways: of each identity.
    """
    times = np.zeros(len(looks))
    rivals = np.argsort(-looks, kind="stable")[:RIVALS].tolist()
    for one in {mine, *(rival for rival in rivals if looks[rival] > LEAST_LIKELY)}:
        times[one] = ways[one].gain(row)
    return times


class Way:
    """An identity's tracklets in order of time, without those that lie within others."""

    def __init__(self, walks: Walks, members: NDArray[np.intp]) -> None:
        self.walks, self.place = walks, walks.evidence.place
        self.members = walks.evidence.outer(members.tolist())
        self.places = [self.place[row] for row in self.members]

    def gain(self, row: int) -> float:
        """What times add to the log-odds of a tracklet being one of these."""
        # Only the walks to and from the neighbours in time differ with and without this tracklet: the rest of
        # a chain of hundreds would cancel.
        at = bisect_left(self.places, self.place[row])
        after = at + (self.members[at : at + 1] == [row])
        without = [*self.members[max(at - 1, 0) : at], *self.members[after : after + 1]]
        whole, rest = self.walks.chain([*without, row]), self.walks.chain(without)
        return self.walks.gain(whole.log_odds - rest.log_odds, whole.absences - rest.absences)


def claim(
    tracklet: int,
    names: Sequence[int],
    mine: int,
    looks: NDArray[np.float64],
    times: NDArray[np.float64],
    settings: MatcherConfig,
) -> Sighting:
    """The sighting of a tracklet that is not its identity's first, from (I,) log-odds by looks and times."""
    odds = looks + times
    shares = posterior(odds)
    others = np.where(np.arange(len(odds)) == mine, -1.0, shares)
    rival = int(others.argmax())
    shown = len(odds) > 1 and others[rival] > UNLIKELY
    return Sighting(
        tracklet,
        names[mine],
        "linked" if shares[mine] - max(others[rival], 0.0) >= settings.margin else "ambiguous",
        probability=float(shares[mine]),
        runner_up=names[rival] if shown else None,
        runner_up_probability=float(shares[rival]) if shown else None,
        evidence={"looks": round(float(looks[mine]), 2), "times": round(float(times[mine]), 2)},
    )


def posterior(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(I,) the probability of each of some people, of whom it is at most one, from log-odds of each alone."""
    weights = np.exp(np.clip(odds, -40, 40))
    return np.asarray(weights / (1 + weights.sum()))

"""Tracklets to identities, all at once: merges the most likely pair of groups until none is likely."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.linking.walking_times import Hop, Transit, learnt

TIME_WEIGHT = 0.5
"""Weight of transit times beside looks: the gaps in one person's chain do not vary independently."""
TIME_LIMIT = 3.0
"""Times alone move the log-odds by no more."""
ABSENT_S = 600.0
"""Who is not seen for so long has left the site."""
ABSENCE = 2.0
"""Least log-odds that who left does not come back."""
RETURN = 3.0
"""Who looks like one of n people who left is that one, come back, at odds of this to n: of so many strangers
some look alike. Both chosen on held-out people of whom none, one in five or half come back."""


@dataclass(frozen=True)
class Evidence:
    """What is known about T tracklets."""

    looks: NDArray[np.float64]  # (T, T) log-odds of the same person
    cannot: NDArray[np.bool_]  # (T, T) one person cannot have made both
    must: Sequence[Sequence[int]]
    """Groups that are one person: parts of a track, and what operators said. No tracklet is in two."""
    start_s: NDArray[np.float64]  # (T,)
    end_s: NDArray[np.float64]  # (T,)
    cameras: Sequence[str]
    clocks: Sequence[int]
    """Tracklets of one number have times that can be compared."""
    others: int = 0
    """People who are known besides those of these tracklets, who are the most alike of all."""
    crops: Sequence[int] = ()
    """(T,) of each tracklet, 0 where it shows nothing; left out: as many of each."""

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """(T,) how much each tracklet says among others of a group: a mean of n crops errs by 1 / sqrt(n)."""
        return np.sqrt(np.maximum(self.crops or np.ones(len(self.looks)), 1))

    @cached_property
    def place(self) -> list[int]:
        """(T,) place of each tracklet in order of clock and time."""
        order = np.lexsort((self.start_s, np.asarray(self.clocks)))
        return [int(rank) for rank in np.argsort(order)]

    def walks(self, members: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Pairs of a person's tracklets that follow each other in time; two boxes at once are no walk."""
        followed = pairwise(self.outer(members))
        return ((a, b) for a, b in followed if self.clocks[a] == self.clocks[b] and self.leads(a, b))

    def outer(self, members: Iterable[int]) -> list[int]:
        """The tracklets in order of clock and time, without those that lie within one of the same camera."""
        kept: list[int] = []
        last: dict[tuple[int, str], int] = {}
        for row in sorted(members, key=self.place.__getitem__):
            # A second box on one body lies within the first one's time. Taken for a stay it would be a walk
            # of negative length and one back.
            before = last.get((self.clocks[row], self.cameras[row]))
            if before is None or self.end_s[row] > self.end_s[before]:
                kept.append(row)
                last[self.clocks[row], self.cameras[row]] = row
        return kept

    def leads(self, a: int, b: int) -> bool:
        """Whether the person went from one tracklet to the next: not if one camera has both at once."""
        return self.cameras[a] != self.cameras[b] or bool(self.start_s[b] >= self.end_s[a])

    def walk(self, a: int, b: int) -> tuple[Hop, float]:
        """From where to where, and the time between, s."""
        return (self.cameras[a], self.cameras[b]), float(self.start_s[b] - self.end_s[a])


class Walks:
    """What walks between tracklets speak for, each computed once: most are asked for often."""

    def __init__(self, evidence: Evidence, transit: Transit, absence: float = ABSENCE) -> None:
        """Nothing is computed yet.

        Args:
            evidence: of the tracklets.
            transit: what is known of walking times.
            absence: log-odds that who left the site does not come back.
        """
        self.evidence, self.transit, self.absence = evidence, transit, absence
        self.known: dict[tuple[int, int], Chain] = {}

    def chain(self, members: Sequence[int]) -> Chain:
        """All the walks of one person."""
        log_odds, absences = 0.0, 0
        for a, b in self.evidence.walks(members):
            one = self.known.get((a, b)) or self.step(a, b)
            log_odds += one.log_odds
            absences += one.absences
        return Chain(log_odds, absences)

    def gain(self, log_odds: float, absences: int) -> float:
        """What walks of these log-odds, and so many absences more, add to the log-odds of looks."""
        times = min(max(TIME_WEIGHT * log_odds, -TIME_LIMIT), TIME_LIMIT)
        return times - self.absence * absences if absences > 0 else times

    def step(self, a: int, b: int) -> Chain:
        """One walk."""
        hop, gap_s = self.evidence.walk(a, b)
        self.known[a, b] = Chain(self.transit.log_odds(hop, gap_s), int(gap_s > ABSENT_S))
        return self.known[a, b]


class Chain(NamedTuple):
    """Walks of one person, one after the other."""

    log_odds: float
    """That they are one person's."""
    absences: int
    """How often that person left the site and came back."""


@dataclass(frozen=True)
class Grouped:
    """Tracklets by person, and the walks with what was held of walking times when they were grouped."""

    groups: Sequence[Sequence[int]]
    walks: Walks


class Clustering:
    """Groups of tracklets on their way to being identities; group numbers stay, merged ones become empty."""

    def __init__(self, walks: Walks, threshold: float) -> None:
        self.walks, self.threshold, evidence = walks, threshold, walks.evidence
        alone = set(range(len(evidence.looks))) - {member for group in evidence.must for member in group}
        self.groups = sorted([*map(sorted, evidence.must), *([one] for one in alone)])
        member = np.zeros((len(self.groups), len(evidence.looks)))
        for row, group in zip(member, self.groups, strict=True):
            row[group] = evidence.weights[group]
        self.sizes = member.sum(1)
        self.looks = member @ evidence.looks @ member.T / np.outer(self.sizes, self.sizes)
        self.cannot = member @ evidence.cannot @ member.T > 0
        self.chains = [walks.chain(group) for group in self.groups]
        self.bonds = np.full(self.looks.shape, -np.inf)
        for i in range(len(self.groups)):
            self.weigh(i, np.arange(i))

    def merge_all(self) -> list[list[int]]:
        """The groups once no bond exceeds the threshold."""
        while self.bonds.size and self.bonds.max() > self.threshold:
            i, j = sorted(map(int, np.unravel_index(np.argmax(self.bonds), self.bonds.shape)))
            self.merge(i, j)
        return [group for group in self.groups if group]

    def merge(self, i: int, j: int) -> None:
        """Put group j into group i."""
        # Average linkage: what a third group has in common with the union is the weighted mean of what it has
        # with either half (Lance and Williams 1967), so that no pair of tracklets is looked at again.
        share = self.sizes[j] / (self.sizes[i] + self.sizes[j])
        self.looks[i] += share * (self.looks[j] - self.looks[i])
        self.looks[:, i] = self.looks[i]
        self.cannot[i] |= self.cannot[j]
        self.cannot[:, i] = self.cannot[i]
        self.sizes[i] += self.sizes[j]
        self.groups[i], self.groups[j] = sorted([*self.groups[i], *self.groups[j]]), []
        self.chains[i] = self.walks.chain(self.groups[i])
        self.bonds[j] = self.bonds[:, j] = self.bonds[i] = self.bonds[:, i] = -np.inf
        self.weigh(i, np.array([k for k, group in enumerate(self.groups) if group and k != i], np.intp))

    def weigh(self, i: int, others: NDArray[np.intp]) -> None:
        """Compute the bonds of group i with some others."""
        # Times add TIME_LIMIT at most and absences nothing: who looks less alike cannot reach the threshold,
        # and walks, which are most of the work, need not be known.
        worth = (self.looks[i, others] > self.threshold - TIME_LIMIT) & ~self.cannot[i, others]
        for j in others[worth].tolist():
            self.bonds[i, j] = self.bonds[j, i] = self.looks[i, j] + self.time(i, j)

    def time(self, i: int, j: int) -> float:
        """How much times speak for two groups being one person: the walks of both in one chain, or in two."""
        # Not the walks between the two alone: where one person's stays lie between the other's, their union
        # breaks up walks that either had, and those no longer speak for anything.
        both, mine, theirs = self.walks.chain(self.groups[i] + self.groups[j]), self.chains[i], self.chains[j]
        return self.walks.gain(
            both.log_odds - mine.log_odds - theirs.log_odds, both.absences - mine.absences - theirs.absences
        )


def grouped_into_people(evidence: Evidence, probability: float, before: Transit) -> Grouped:
    """Groups of tracklets, each one person.

    The first pass goes by looks and the times known before, as on a small site: it shows the walks and how
    many people there are. The second one goes by all of that.

    Args:
        evidence: of all of them.
        probability: tracklets are one person from this probability on.
        before: transit times that are known before these tracklets are seen.
    """
    threshold = log_odds_of(probability)
    groups = Clustering(Walks(evidence, before), threshold).merge_all()
    # A group without crops shows nobody for whom others could be mistaken.
    known = sum(not evidence.crops or any(evidence.crops[row] for row in group) for group in groups)
    transit = learnt(walked(evidence, groups), before)
    walks = Walks(evidence, transit, absence(known + evidence.others))
    return Grouped(Clustering(walks, threshold).merge_all(), walks)


def absence(people: int) -> float:
    """Log-odds that who left the site is not who comes, one of so many: the more, the more are alike."""
    return max(ABSENCE, log(max(people, 1) / RETURN))


def log_odds_of(probability: float) -> float:
    """The log-odds of a probability, at most 1e9 to one."""
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    return float(np.log(inside / (1 - inside)))


def cluster(evidence: Evidence, transit: Transit, threshold: float) -> list[list[int]]:
    """Groups of tracklets, each one person: greedy correlation clustering by average linkage.

    The bond of two groups is the mean log-odds of their tracklets' looks, by `Evidence.weights`, plus what
    times say (`time`). While any exceeds the threshold, the strongest is made; groups that cannot be one
    person have none.
    """
    return Clustering(Walks(evidence, transit), threshold).merge_all()


def walked(evidence: Evidence, groups: Sequence[Sequence[int]]) -> Iterator[tuple[Hop, float]]:
    """Every walk that an assignment implies, for `pipeline.linking.walking_times.learnt`."""
    for group in groups:
        for a, b in evidence.walks(group):
            yield evidence.walk(a, b)

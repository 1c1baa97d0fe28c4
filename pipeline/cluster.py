"""Tracklets to identities, all at once: merges the most likely pair of groups until none is likely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.transit import Hop, Transit, learnt

TIME_WEIGHT = 0.5
"""Weight of transit times beside looks: the gaps in one person's chain do not vary independently."""
TIME_LIMIT = 3.0
"""Times alone move the log-odds by no more."""
ABSENT_S = 600.0
"""Who is not seen for so long has left the site."""
ABSENCE = 2.0
"""Log-odds that who left does not come back: chosen on held-out people of whom none or one in five do."""
PASSES = 2
"""The first goes by looks and the times known before; the next also by those that the first one shows."""


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

    def walks(self, members: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Pairs of a person's tracklets that follow each other in time."""
        ordered = sorted(members, key=lambda one: (self.clocks[one], self.start_s[one], one))
        return ((a, b) for a, b in pairwise(ordered) if self.clocks[a] == self.clocks[b])

    def walk(self, a: int, b: int) -> tuple[Hop, float]:
        """From where to where, and the time between, s."""
        return (self.cameras[a], self.cameras[b]), float(self.start_s[b] - self.end_s[a])

    def absences(self, members: Sequence[int]) -> int:
        """How often a person of these tracklets would have left the site and come back."""
        return sum(self.walk(a, b)[1] > ABSENT_S for a, b in self.walks(members))


@dataclass(frozen=True)
class Grouped:
    """Tracklets by person, and what was held of walking times when they were grouped."""

    groups: Sequence[Sequence[int]]
    transit: Transit


class Clustering:
    """Groups of tracklets on their way to being identities; group numbers stay, merged ones become empty."""

    def __init__(self, evidence: Evidence, transit: Transit, threshold: float) -> None:
        self.evidence, self.transit, self.threshold = evidence, transit, threshold
        alone = set(range(len(evidence.looks))) - {member for group in evidence.must for member in group}
        self.groups = sorted([*map(sorted, evidence.must), *([one] for one in alone)])
        member = np.zeros((len(self.groups), len(evidence.looks)))
        for row, group in zip(member, self.groups, strict=True):
            row[group] = 1
        self.sizes = member.sum(1)
        self.looks = member @ evidence.looks @ member.T / np.outer(self.sizes, self.sizes)
        self.cannot = member @ evidence.cannot @ member.T > 0
        self.walks: dict[tuple[int, int], float] = {}
        """Log-odds of the walks between two tracklets that were asked for: most are asked for often."""
        self.chains = [self.chain(group) for group in self.groups]
        self.absences = [evidence.absences(group) for group in self.groups]
        self.bonds = np.full(self.looks.shape, -np.inf)
        for i in range(len(self.groups)):
            self.weigh(i)

    def merge_all(self) -> list[list[int]]:
        """The groups once no bond exceeds the threshold."""
        while self.bonds.size and self.bonds.max() > self.threshold:
            i, j = sorted(map(int, np.unravel_index(np.argmax(self.bonds), self.bonds.shape)))
            self.merge(i, j)
        return [group for group in self.groups if group]

    def merge(self, i: int, j: int) -> None:
        """Put group j into group i."""
        share = self.sizes[j] / (self.sizes[i] + self.sizes[j])
        self.looks[i] += share * (self.looks[j] - self.looks[i])
        self.looks[:, i] = self.looks[i]
        self.cannot[i] |= self.cannot[j]
        self.cannot[:, i] = self.cannot[i]
        self.sizes[i] += self.sizes[j]
        self.groups[i], self.groups[j] = sorted([*self.groups[i], *self.groups[j]]), []
        self.chains[i] = self.chain(self.groups[i])
        self.absences[i] = self.evidence.absences(self.groups[i])
        self.bonds[j] = self.bonds[:, j] = -np.inf
        self.weigh(i)

    def weigh(self, i: int) -> None:
        """Compute the bonds of group i with every other."""
        self.bonds[i] = self.bonds[:, i] = -np.inf
        worth = (self.looks[i] > self.threshold - TIME_LIMIT) & ~self.cannot[i]
        for j in map(int, np.flatnonzero(worth)):
            if j != i and self.groups[j]:
                self.bonds[i, j] = self.bonds[j, i] = self.looks[i, j] + self.time(i, j)

    def time(self, i: int, j: int) -> float:
        """How much times speak for two groups being one person: the walks of both in one chain, or in two."""
        both = [*self.groups[i], *self.groups[j]]
        absences = self.evidence.absences(both) - self.absences[i] - self.absences[j]
        return time_gain(self.chain(both) - self.chains[i] - self.chains[j], absences)

    def chain(self, members: Sequence[int]) -> float:
        """Log-odds of all the walks of one person."""
        walks = list(self.evidence.walks(members))
        for walk in walks:
            if walk not in self.walks:
                self.walks[walk] = self.transit.log_odds(*self.evidence.walk(*walk))
        return sum(self.walks[walk] for walk in walks)


def time_gain(walks: float, absences: int) -> float:
    """What walks of these log-odds, and so many absences more, add to the log-odds of looks."""
    return float(np.clip(TIME_WEIGHT * walks, -TIME_LIMIT, TIME_LIMIT)) - ABSENCE * absences


def people(evidence: Evidence, probability: float, before: Transit) -> Grouped:
    """Groups of tracklets, each one person.

    Args:
        evidence: of all of them.
        probability: tracklets are one person from this probability on.
        before: transit times that are known before these tracklets are seen.
    """
    transit = before
    for _ in range(PASSES - 1):
        groups = cluster(evidence, transit, log_odds_of(probability))
        transit = learnt(walked(evidence, groups), before)
    return Grouped(cluster(evidence, transit, log_odds_of(probability)), transit)


def log_odds_of(probability: float) -> float:
    """The log-odds of a probability, at most 1e9 to one."""
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    return float(np.log(inside / (1 - inside)))


def cluster(evidence: Evidence, transit: Transit, threshold: float) -> list[list[int]]:
    """Groups of tracklets, each one person: greedy correlation clustering by average linkage.

    The bond of two groups is the mean log-odds of their tracklets' looks, plus what times say (`time`). While
    any exceeds the threshold, the strongest is made; groups that cannot be one person have none.
    """
    return Clustering(evidence, transit, threshold).merge_all()


def walked(evidence: Evidence, groups: Sequence[Sequence[int]]) -> Iterator[tuple[Hop, float]]:
    """Every walk that an assignment implies, for `pipeline.transit.learnt`."""
    for group in groups:
        for a, b in evidence.walks(group):
            yield evidence.walk(a, b)

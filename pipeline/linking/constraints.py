"""What operators said, as links between tracklets that must be, and links that cannot be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

Pair = tuple[int, int]
"""Two tracklets, the smaller number first."""
Relation = Literal["same", "different"]


@dataclass(frozen=True)
class Constraints:
    """Links between tracklets that an operator settled; no chain of `must` joins a pair of `cannot`."""

    must: frozenset[Pair] = frozenset()
    cannot: frozenset[Pair] = frozenset()


@dataclass(frozen=True)
class Statement:
    """Two groups of tracklets show the same person, or different people."""

    relation: Relation
    sides: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def pairs(self) -> list[Pair]:
        """The links it speaks of: all groups in one chain, or each of one with each of the other."""
        if self.relation == "different":
            return [ordered(a, b) for a, b in product(*self.sides) if a != b]
        members = [*self.sides[0], *self.sides[1]]
        return [ordered(members[0], other) for other in members[1:]]


class Groups:
    """Tracklets joined step by step (union-find)."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}

    def of(self, tracklet: int) -> int:
        """The tracklet that stands for its group."""
        root = tracklet
        while self.parent.get(root, root) != root:
            root = self.parent[root]
        while tracklet != root:
            self.parent[tracklet], tracklet = root, self.parent.get(tracklet, tracklet)
        return root

    def join(self, a: int, b: int) -> None:
        """Make one group of two."""
        self.parent[self.of(b)] = self.of(a)


def ordered(a: int, b: int) -> Pair:
    """The pair with the smaller number first."""
    return (a, b) if a < b else (b, a)


def consistent(statements: Iterable[Statement]) -> Constraints:
    """The constraints of statements, newest first; what contradicts a newer one is left out."""
    groups = Groups()
    must: set[Pair] = set()
    apart: dict[int, set[int]] = defaultdict(set)
    cannot: set[Pair] = set()
    for statement in statements:
        for a, b in statement.pairs:
            first, second = groups.of(a), groups.of(b)
            if statement.relation == "different" and first != second:
                cannot.add((a, b))
                apart[first].add(second)
                apart[second].add(first)
            elif statement.relation == "same" and second not in apart[first]:
                must.add((a, b))
                join(groups, apart, first, second)
    return Constraints(frozenset(must), frozenset(cannot))


def join(groups: Groups, apart: dict[int, set[int]], first: int, second: int) -> None:
    """Make one group of two, kept apart from all that either was."""
    if first == second:
        return
    groups.join(first, second)
    for other in apart.pop(second, set()):
        apart[other].discard(second)
        apart[other].add(first)
        apart[first].add(other)


def enforced(
    identities: Mapping[int, int], constraints: Constraints, new_identity: Callable[[], int]
) -> dict[int, int]:
    """An assignment of tracklets to identities, changed only where it breaks a constraint.

    Tracklets that must be together go where most of them are, unless somebody they cannot be with is there;
    then to the next best, at last to a new identity.

    Args:
        identities: by tracklet.
        constraints: those about other tracklets are passed over.
        new_identity: makes a number for a person not seen before.
    """
    pairs = [pair for pair in (*constraints.must, *constraints.cannot) if identities.keys() >= set(pair)]
    groups = Groups()
    for a, b in constraints.must & frozenset(pairs):
        groups.join(a, b)
    members: dict[int, list[int]] = defaultdict(list)
    for tracklet in sorted({tracklet for pair in pairs for tracklet in pair}):
        members[groups.of(tracklet)].append(tracklet)
    rivals = apart_groups(constraints.cannot & frozenset(pairs), groups)
    result = dict(identities)
    placed: dict[int, int] = {}
    for root in sorted(members, key=lambda root: (-len(members[root]), members[root][0])):
        taken = {placed[other] for other in rivals[root] if other in placed}
        placed[root] = place(members[root], identities, taken, new_identity)
        result |= dict.fromkeys(members[root], placed[root])
    return result


def apart_groups(cannot: Iterable[Pair], groups: Groups) -> dict[int, set[int]]:
    """For each group those it cannot be with."""
    rivals: dict[int, set[int]] = defaultdict(set)
    for a, b in cannot:
        rivals[groups.of(a)].add(groups.of(b))
        rivals[groups.of(b)].add(groups.of(a))
    return rivals


def place(
    members: Sequence[int], identities: Mapping[int, int], taken: set[int], new_identity: Callable[[], int]
) -> int:
    """The identity that holds most of the members and is not taken by a rival."""
    held = Counter(identities[tracklet] for tracklet in members)
    for identity in sorted(held, key=lambda one: (-held[one], one)):
        if identity not in taken:
            return identity
    return new_identity()

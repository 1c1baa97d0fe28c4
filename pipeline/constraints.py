"""What operators said, as links between tracklets that must be, and links that cannot be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
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

"""People changed so that they keep to what operators said, and nowhere else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from pipeline.constraints import Constraints, Groups, Pair


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
        placed[root] = home_of(members[root], identities, taken, new_identity)
        result |= dict.fromkeys(members[root], placed[root])
    return result


def apart_groups(cannot: Iterable[Pair], groups: Groups) -> dict[int, set[int]]:
    """For each group those it cannot be with."""
    rivals: dict[int, set[int]] = defaultdict(set)
    for a, b in cannot:
        rivals[groups.of(a)].add(groups.of(b))
        rivals[groups.of(b)].add(groups.of(a))
    return rivals


def home_of(
    members: Sequence[int], identities: Mapping[int, int], taken: set[int], new_identity: Callable[[], int]
) -> int:
    """The identity that holds most of the members and is not taken by a rival."""
    held = Counter(identities[tracklet] for tracklet in members)
    for identity in sorted(held, key=lambda one: (-held[one], one)):
        if identity not in taken:
            return identity
    return new_identity()

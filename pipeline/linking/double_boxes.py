"""Two tracks on one body: their boxes lie on each other while both are there, or where one hands over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.boxes import iou
from pipeline.constraints import Pair
from pipeline.records import Trajectory

SAME_BODY = 0.5
"""Intersection over union from which on two boxes count as one object: what detectors are judged by."""
HAND_OVER_S = 1.0
"""A track that begins on another one's box, or ends on it, may go on where that one was for so long: when two
people meet, boxes change hands."""
READ_AT_ONCE = 64
"""Pairs."""
TRAJECTORIES_KEPT = 512
"""Tracklets whose boxes are held at a time, about."""


class Meeting(NamedTuple):
    """Two tracklets of one recording in the frames that have both."""

    frames: int
    together: int
    """In so many of them their boxes lie on each other."""
    first_ns: int
    last_ns: int
    begins: bool
    """They do in the first of them."""
    ends: bool
    """They do in the last."""


class Doubles:
    """How tracklets that are in a recording at once met, each pair looked at once."""

    def __init__(self, read: Callable[[Sequence[int]], Mapping[int, Trajectory]]) -> None:
        """Nothing is known yet; `read` gives the boxes of tracklets."""
        self.read = read
        self.met: dict[Pair, Meeting | None] = {}
        """None: no frame has both."""

    def meetings(self, pairs: Sequence[Pair]) -> dict[Pair, Meeting | None]:
        """How each of these pairs met; of others nothing is remembered."""
        for _ in self.computed(pairs):
            pass
        self.met = {pair: self.met[pair] for pair in pairs}
        return self.met

    def computed(self, pairs: Sequence[Pair]) -> Iterator[None]:
        """Look at those of the pairs that are new, with a pause now and then.

        Pairs that are near each other in their order share what is read.
        """
        held: dict[int, Trajectory] = {}
        fresh = sorted(set(pairs) - self.met.keys())
        for first in range(0, len(fresh), READ_AT_ONCE):
            page = fresh[first : first + READ_AT_ONCE]
            wanted = {tracklet for pair in page for tracklet in pair}
            if len(held) > TRAJECTORIES_KEPT:
                held = {tracklet: held[tracklet] for tracklet in wanted & held.keys()}
            held.update(self.read(sorted(wanted - held.keys())))
            for a, b in page:
                self.met[a, b] = meeting(held[a], held[b]) if a in held and b in held else None
            yield


def meeting(a: Trajectory, b: Trajectory) -> Meeting | None:
    """How two tracklets met."""
    _, mine, theirs = np.intersect1d(a.frames, b.frames, assume_unique=True, return_indices=True)
    if not len(mine):
        return None
    close = iou(a.boxes[mine], b.boxes[theirs]) >= SAME_BODY
    first_ns, last_ns = (int(a.times_ns[mine[end]]) for end in (0, -1))
    return Meeting(len(mine), int(close.sum()), first_ns, last_ns, bool(close[0]), bool(close[-1]))


def one_body(met: Sequence[Meeting], complete_ns: int | None) -> bool:
    """Whether two tracks may be one person all the same, from the meetings of their parts.

    Their boxes lie on each other in half of the frames that have both. Where these frames are over within
    HAND_OVER_S, it is enough that they do in the first or the last of them.

    Args:
        met: one or more.
        complete_ns: before this time no part of a track is missing; None: none is at all.
    """
    if 2 * sum(one.together for one in met) >= sum(one.frames for one in met):
        return True
    first, last = min(met, key=lambda one: one.first_ns), max(met, key=lambda one: one.last_ns)
    over = complete_ns is None or last.last_ns < complete_ns
    brief = over and (last.last_ns - first.first_ns) / 1e9 < HAND_OVER_S
    return brief and (first.begins or last.ends)


def nowhere(_: Sequence[int]) -> dict[int, Trajectory]:
    """The boxes of tracklets that have none: none ever met."""
    return {}

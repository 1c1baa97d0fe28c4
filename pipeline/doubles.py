"""Two tracks on one body: their boxes lie on each other while both are there, or where one hands over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.constraints import Pair
from pipeline.track import iou

SAME_BODY = 0.5
"""Intersection over union from which on two boxes count as one object: what detectors are judged by."""
HAND_OVER_S = 1.0
"""A track that begins on another one's box, or ends on it, may go on where that one was for so long: when two
people meet, boxes change hands."""
READ_AT_ONCE = 64
"""Pairs."""
PATHS_KEPT = 512
"""Tracklets whose boxes are held at a time, about."""


class Path(NamedTuple):
    """Where a tracklet was."""

    frames: NDArray[np.int64]  # (N,) ascending
    times_ns: NDArray[np.int64]  # (N,)
    boxes: NDArray[np.float64]  # (N, 4) xyxy, px


class Doubles:
    """Which pairs of tracklets of one recording may be one person although both are there at once.

    Every pair is decided once.
    """

    def __init__(self, read: Callable[[Sequence[int]], Mapping[int, Path]]) -> None:
        """Nothing is decided yet; `read` gives the boxes of tracklets."""
        self.read = read
        self.decided: dict[Pair, bool] = {}

    def among(self, pairs: Collection[Pair]) -> set[Pair]:
        """Those of some pairs that lie on each other; of others nothing is remembered."""
        known = {pair: self.decided[pair] for pair in pairs if pair in self.decided}
        for (a, b), paths in self.walked(sorted(set(pairs) - known.keys())):
            known[a, b] = a in paths and b in paths and lie_on_each_other(paths[a], paths[b])
        self.decided = known
        return {pair for pair, double in known.items() if double}

    def walked(self, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Mapping[int, Path]]]:
        """Each pair with the boxes of both; pairs near each other in the list share what is read."""
        paths: dict[int, Path] = {}
        for first in range(0, len(pairs), READ_AT_ONCE):
            page = pairs[first : first + READ_AT_ONCE]
            wanted = {tracklet for pair in page for tracklet in pair}
            if len(paths) > PATHS_KEPT:
                paths = {tracklet: paths[tracklet] for tracklet in wanted & paths.keys()}
            paths.update(self.read(sorted(wanted - paths.keys())))
            yield from ((pair, paths) for pair in page)


def lie_on_each_other(a: Path, b: Path) -> bool:
    """Whether half of the boxes that two tracklets have in the same frames overlap by SAME_BODY.

    Where these are within HAND_OVER_S, it is enough that the first or the last of them do.
    """
    _, mine, theirs = np.intersect1d(a.frames, b.frames, assume_unique=True, return_indices=True)
    if not len(mine):
        return False
    overlaps = iou(a.boxes[mine], b.boxes[theirs])
    brief = (a.times_ns[mine[-1]] - a.times_ns[mine[0]]) / 1e9 < HAND_OVER_S
    return bool(np.median(overlaps) >= SAME_BODY or (brief and overlaps[[0, -1]].max() >= SAME_BODY))


def nowhere(_: Sequence[int]) -> dict[int, Path]:
    """The boxes of tracklets that have none: no two lie on each other."""
    return {}

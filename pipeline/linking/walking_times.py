"""How long people take from one camera to the next: told in the configuration, learnt from links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import exp, log, pi, sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.config import TransitConfig

BROAD_S = 60.0
"""Before anything is learnt, a person may appear in any camera within about this time."""
SURPRISE = 0.2
"""Share of people who do not walk straight on, and of links that are wrong."""
PRIOR_LINKS = 3.0
"""Links of two cameras that the broad guess counts for beside those seen."""
SPREAD = 0.25
"""Times of one walk differ by this share (one standard deviation): people walk at 1 to 2 m/s."""
LEAST_SPREAD_S = 1.0
"""Smallest standard deviation: when a tracklet begins and ends is chance."""
LATEST = 200
"""Links of two cameras that are remembered."""
TOLD_LINKS = 10.0
"""Links that a time in the configuration counts for beside those seen."""

Hop = tuple[str, str]
"""A camera and the next one; twice the same one for who comes back."""


@dataclass(frozen=True)
class Told:
    """A walking time that somebody wrote down, with one standard deviation; s."""

    typical_s: float
    spread_s: float


class Usual(msgspec.Struct, frozen=True):
    """What was learnt of one hop, for reports."""

    walks: int
    median_s: float
    quarters_s: tuple[float, float]
    """Half of the walks took between these."""


@dataclass
class Transit:
    """Times between leaving one camera and appearing in the next, s."""

    told: Mapping[Hop, Told] = field(default_factory=dict)
    gaps_s: dict[Hop, list[float]] = field(default_factory=dict)
    kernels: dict[Hop, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)
    """Times seen and their spreads, of hops that were asked for since they were last seen."""

    def learn(self, hop: Hop, gap_s: float) -> None:
        """Remember one walk; the oldest is forgotten."""
        known = self.gaps_s.setdefault(hop, [])
        known.append(gap_s)
        del known[:-LATEST]
        self.kernels.pop(hop, None)

    def log_odds(self, hop: Hop, gap_s: float) -> float:
        """How much a gap speaks for one person: log of its density by what is known over the broad one."""
        gaps = self.gaps_s.get(hop, ())
        told = self.told.get(hop)
        links = len(gaps) + (TOLD_LINKS if told else 0.0)
        if not links:
            return 0.0
        # The floor keeps a long gap from being proof: without it the broad density of an absence of ten
        # minutes is next to nothing, and a time that was seen once would be some thousand times as likely.
        broad = exp(-max(gap_s, 0.0) / BROAD_S) / BROAD_S + 1e-4
        typical, spreads = self.kernels.get(hop) or self.kernels_of(hop)
        seen = float((np.exp(-np.square((gap_s - typical) / spreads) / 2) / (spreads * sqrt(2 * pi))).sum())
        said = TOLD_LINKS * bell(gap_s - told.typical_s, told.spread_s) if told else 0.0
        usual = (1 - SURPRISE) * (seen + said) / links + SURPRISE * broad
        # Few links are chance: they count as far as they outnumber the prior, and none at all is log-odds 0.
        weight = links / (links + PRIOR_LINKS)
        return log((weight * usual + (1 - weight) * broad) / broad)

    def kernels_of(self, hop: Hop) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times seen of a hop, and their spreads; s."""
        typical = np.array(self.gaps_s.get(hop, ()), np.float64)
        self.kernels[hop] = typical, np.maximum(SPREAD * np.abs(typical), LEAST_SPREAD_S)
        return self.kernels[hop]


def bell(off_s: float, spread: float) -> float:
    """Density of a normal distribution, 1/s."""
    return exp(-((off_s / spread) ** 2) / 2) / (spread * sqrt(2 * pi))


def spread_s(typical_s: float) -> float:
    """One standard deviation of a walking time, s."""
    return max(SPREAD * abs(typical_s), LEAST_SPREAD_S)


def told(entries: Iterable[TransitConfig]) -> Transit:
    """What the configuration says, nothing learnt yet."""
    return Transit(
        {(e.leaving, e.entering): Told(e.typical_s, e.spread_s or spread_s(e.typical_s)) for e in entries}
    )


def learnt(walks: Iterable[tuple[Hop, float]], before: Transit | None = None) -> Transit:
    """What these walks teach on top of what was known before."""
    known = before or Transit()
    transit = Transit(known.told, {hop: list(gaps) for hop, gaps in known.gaps_s.items()})
    for hop, gap_s in walks:
        transit.learn(hop, gap_s)
    return transit


def usual(transit: Transit) -> dict[str, Usual]:
    """What was learnt, by 'camera -> camera'; for reports."""
    found = {}
    for (here, there), gaps in sorted(transit.gaps_s.items()):
        low, middle, high = (float(second) for second in np.percentile(gaps, (25, 50, 75)))
        found[f"{here} -> {there}"] = Usual(len(gaps), middle, (low, high))
    return found

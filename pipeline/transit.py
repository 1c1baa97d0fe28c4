"""How long people take from one camera to the next, learnt from links that are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

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

Hop = tuple[str, str]
"""A camera and the next one; twice the same one for who comes back."""


@dataclass
class Transit:
    """Times between leaving one camera and appearing in the next, s."""

    gaps_s: dict[Hop, list[float]] = field(default_factory=dict)

    def learn(self, hop: Hop, gap_s: float) -> None:
        """Remember one walk; the oldest is forgotten."""
        known = self.gaps_s.setdefault(hop, [])
        known.append(gap_s)
        del known[:-LATEST]

    def log_odds(self, hop: Hop, gap_s: float) -> float:
        """How much a gap speaks for one person: log of its density by what was learnt over the broad one."""
        known = np.array(self.gaps_s.get(hop, ()), np.float64)
        if not len(known):
            return 0.0
        broad = np.exp(-max(gap_s, 0.0) / BROAD_S) / BROAD_S + 1e-4
        spread = np.maximum(SPREAD * np.abs(known), LEAST_SPREAD_S)
        kernel = np.exp(-(((gap_s - known) / spread) ** 2) / 2) / (spread * np.sqrt(2 * np.pi))
        weight = len(known) / (len(known) + PRIOR_LINKS)
        usual = (1 - SURPRISE) * float(kernel.mean()) + SURPRISE * broad
        return float(np.log((weight * usual + (1 - weight) * broad) / broad))


def learnt(walks: Iterable[tuple[Hop, float]]) -> Transit:
    """What these walks teach."""
    transit = Transit()
    for hop, gap_s in walks:
        transit.learn(hop, gap_s)
    return transit


def as_table(transit: Transit) -> Mapping[str, tuple[int, float]]:
    """Per hop the number of walks and their median, s; for reports."""
    return {
        f"{here} -> {there}": (len(gaps), float(np.median(gaps)))
        for (here, there), gaps in sorted(transit.gaps_s.items())
    }

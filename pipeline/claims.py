"""What is claimed of a tracklet once groups are made: how well it fits, and who else it could be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.cluster import Evidence
from pipeline.config import MatcherConfig
from pipeline.evidence import NOTHING_SEEN
from pipeline.match import Sighting
from pipeline.rows import StoredTracklet

UNLIKELY = 0.01
"""A runner-up below this probability is none."""


def claims(
    tracklets: Sequence[StoredTracklet],
    identities: Mapping[int, int],
    evidence: Evidence,
    settings: MatcherConfig,
) -> list[Sighting]:
    """One sighting for each tracklet; the first of an identity is `new`."""
    names, owner = np.unique([identities[t.id] for t in tracklets], return_inverse=True)
    odds = identity_odds(owner, len(names), evidence)
    first = set(np.unique(owner, return_index=True)[1].tolist())
    return [
        Sighting(t.id, identities[t.id], "new")
        if row in first
        else claim(t.id, names.tolist(), int(owner[row]), odds[row], settings)
        for row, t in enumerate(tracklets)
    ]


def identity_odds(owner: NDArray[np.intp], count: int, evidence: Evidence) -> NDArray[np.float64]:
    """(T, I) mean log-odds of each tracklet and the others of each identity; -inf where it cannot be there.

    Args:
        owner: (T,) each tracklet's identity, 0..count - 1.
        count: identities.
        evidence: of the tracklets.
    """
    member = np.eye(count)[owner]  # (T, I)
    others = member.sum(0) - member
    looks = evidence.looks - np.diag(np.diag(evidence.looks))
    odds = np.where(others > 0, looks @ member / np.maximum(others, 1), NOTHING_SEEN)
    elsewhere = (evidence.cannot @ member > 0) & (member == 0)
    return np.asarray(np.where(elsewhere, -np.inf, odds))


def claim(
    tracklet: int, names: Sequence[int], mine: int, odds: NDArray[np.float64], settings: MatcherConfig
) -> Sighting:
    """The sighting of a tracklet that is not its identity's first."""
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
        evidence={"looks": round(float(odds[mine]), 2)},
    )


def posterior(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(I,) the probability of each of some people, of whom it is at most one, from log-odds of each alone."""
    weights = np.exp(np.clip(odds, -40, 40))
    return np.asarray(weights / (1 + weights.sum()))

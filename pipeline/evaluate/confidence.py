"""Is a link that says 80% right in 8 cases of 10? Stated probability against the share that is right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.evaluate.found_boxes import Claim
from pipeline.evaluate.linking_score import Piece

BINS = 10
"""Of equal count, as in `reid.calibrate`; fewer where there are fewer than 5 decisions for each."""
LEAST_IN_BIN = 5
DRAWS = 200
"""Of what honest probabilities could have led to."""


@dataclass(frozen=True)
class Decision:
    """One link that was judged."""

    tracklet: int
    state: str
    probability: float
    right: bool
    runner_up_right: bool


class Bin(msgspec.Struct, frozen=True):
    """Decisions of similar stated probability."""

    decisions: int
    stated: float
    """Mean stated probability."""
    right: float
    """Share that is right."""


class Confidence(msgspec.Struct, frozen=True):
    """How honest stated probabilities are."""

    decisions: int
    ece: float | None
    """Expected calibration error: mean distance between stated and right, over bins of equal count."""
    honest_ece: float | None
    """The mean of it if every stated probability were true: what chance adds where decisions are few."""
    brier: float | None
    """Mean squared error of the stated probability."""
    base_brier: float | None
    """The same for always stating the share that is right."""
    bins: tuple[Bin, ...]


class Ambiguous(msgspec.Struct, frozen=True):
    """Links the program said it was unsure of."""

    decisions: int
    """Those that can be judged."""
    right: int
    """Filed under the right person all the same."""
    runner_up_right: int
    """The second choice would have been right."""


def decisions(found: Sequence[Piece], claims: Mapping[int, Claim]) -> list[Decision]:
    """The links that can be judged: piece and identity both show labelled people."""
    held: dict[int, list[Piece]] = defaultdict(list)
    for piece in found:
        held[piece.identity].append(piece)
    made = (decision(piece, held, claims) for piece in found if piece.person is not None)
    return [one for one in made if one is not None]


def decision(
    piece: Piece, held: Mapping[int, Sequence[Piece]], claims: Mapping[int, Claim]
) -> Decision | None:
    """The link of one piece; None where there was none, or it cannot be judged.

    It is right where most labelled boxes of the identity's earlier pieces (of all others, where none is
    earlier) show the piece's person.
    """
    first = next((t for t in piece.tracklets if stated(claims.get(t))), None)
    if first is None:
        return None
    claim = claims[first]
    owner = owner_before(claim.end_ns, piece, held[piece.identity], claims)
    if owner is None or claim.probability is None:
        return None
    rivals = held.get(claim.runner_up, ()) if claim.runner_up is not None else ()
    second = owner_before(claim.end_ns, piece, rivals, claims)
    right, second_right = owner == piece.person, second == piece.person
    return Decision(first, claim.state, claim.probability, right, second_right)


def owner_before(end_ns: int, piece: Piece, held: Sequence[Piece], claims: Mapping[int, Claim]) -> int | None:
    """The person in most boxes of the pieces that ended before a time; of all of them where none did."""
    others = [other for other in held if other is not piece]
    ends = ((other, claims.get(other.tracklets[0])) for other in others)
    earlier = [other for other, claim in ends if claim is not None and claim.end_ns < end_ns]
    shown: Counter[int] = Counter()
    for other in earlier if any(other.shows for other in earlier) else others:
        shown.update(other.shows)
    return owner_of(shown)


def stated(claim: Claim | None) -> bool:
    """Whether a tracklet's claim was decided upon, with a probability, and not repeated from its track."""
    return claim is not None and claim.probability is not None and claim.decided


def owner_of(shown: Counter[int]) -> int | None:
    """The person with most boxes; None for nobody."""
    return max(shown, key=lambda person: (shown[person], -person)) if shown else None


def confidence(made: Sequence[Decision]) -> Confidence:
    """Calibration of decisions, ambiguous ones included."""
    if not made:
        return Confidence(0, None, None, None, None, ())
    ordered = sorted(made, key=lambda decision: (decision.probability, decision.tracklet))
    stated = np.array([decision.probability for decision in ordered])
    right = np.array([decision.right for decision in ordered], np.float64)
    bins = binned(stated, right)
    lucky = np.random.default_rng(0).random((DRAWS, len(stated))) < stated
    honest = float(np.mean([ece(binned(stated, drawn.astype(np.float64))) for drawn in lucky]))
    brier, base = float(np.mean((stated - right) ** 2)), float(np.var(right))
    return Confidence(len(ordered), ece(bins), honest, brier, base, bins)


def binned(stated: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[Bin, ...]:
    """Bins of equal count.

    Args:
        stated: (D,) ascending.
        right: (D,) 1 where the link is right, else 0.
    """
    count = int(np.clip(len(stated) // LEAST_IN_BIN, 1, BINS))
    parts = np.array_split(np.arange(len(stated)), count)
    return tuple(Bin(len(part), float(stated[part].mean()), float(right[part].mean())) for part in parts)


def ece(bins: Sequence[Bin]) -> float:
    """Mean distance between stated and right."""
    return sum(b.decisions * abs(b.stated - b.right) for b in bins) / sum(b.decisions for b in bins)


def ambiguous(made: Sequence[Decision]) -> Ambiguous:
    """What became of the links that were said to be unsure."""
    unsure = [decision for decision in made if decision.state == "ambiguous"]
    right = sum(decision.right for decision in unsure)
    return Ambiguous(len(unsure), right, sum(decision.runner_up_right for decision in unsure))

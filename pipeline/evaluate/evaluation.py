"""A store's newest recordings against truth: each camera, all cameras together, every wrong link."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from pipeline.evaluate.confidence import Ambiguous, Confidence, ambiguous, confidence, decisions, owner_of
from pipeline.evaluate.found_boxes import Claim, FoundBoxes, one_box_each, read_claims, read_found
from pipeline.evaluate.labelled_box import TruthError
from pipeline.evaluate.labels import Labels, Mask, Numbers, matched, overlapping
from pipeline.evaluate.linking_score import (
    IdentityScore,
    Jump,
    Merge,
    PairScore,
    Piece,
    Split,
    filed_pair_score,
    identity_score,
    jumps,
    merges,
    pair_score,
    pieces,
    splits,
)
from pipeline.evaluate.tracking_score import (
    AcrossScore,
    TrackingScore,
    across_idf1,
    across_score,
    tracking_score,
)
from pipeline.evaluate.truth import CameraTruth
from pipeline.store.database import Store
from pipeline.store.lookups import chosen

Coverage = Literal["complete", "partial"]
"""partial: only some people are labelled; what matches no label counts neither for nor against."""


class CameraScore(msgspec.Struct, frozen=True):
    """One camera."""

    camera: str
    tracks: TrackingScore
    """With tracks as ids: what the tracker did."""
    identities: TrackingScore
    """With identities as ids: what linking made of it."""


class Evaluation(msgspec.Struct, frozen=True):
    """Everything the ruler measures."""

    version: int
    coverage: Coverage
    cameras: tuple[CameraScore, ...]
    unlabelled: tuple[str, ...]
    """Cameras of the store that have no truth."""
    across: AcrossScore
    """All cameras together, one identity for one person."""
    idf1_unlinked: float
    """IDF1 across cameras if every track were a person of its own."""
    idf1_perfect: float
    """The same if every track were filed under the person it shows most."""
    pairs: PairScore
    """An ambiguous link claims nothing."""
    pairs_as_filed: PairScore
    """Ambiguous links count as they are filed."""
    identities: IdentityScore
    """Whether identities hold one person each."""
    ambiguous: Ambiguous
    """How often links that the program was not sure of were right."""
    confidence: Confidence
    """How honest the stated probabilities are."""
    splits: tuple[Split, ...]
    merges: tuple[Merge, ...]
    jumps: tuple[Jump, ...]


@dataclass(frozen=True)
class Judged:
    """One camera's boxes, whom they show, and which of them count."""

    camera: str
    truth: Labels
    found: FoundBoxes
    rows: Numbers  # (F,) of the truth that each found box shows, -1 for none
    counts: Mask  # (F,)

    @property
    def tracks(self) -> Labels:
        """The boxes that count, with tracks as ids."""
        return self.found.tracks.where(self.counts)

    @property
    def people(self) -> Labels:
        """The boxes that count, with identities as ids, each at most once in a frame."""
        return one_box_each(self.found.people.where(self.counts))


def evaluate(
    store: Store,
    truth: Mapping[str, CameraTruth],
    *,
    coverage: Coverage = "complete",
    frames: range | None = None,
    version: int | None = None,
) -> Evaluation:
    """Measure what the store says of each camera's newest recording.

    Args:
        store: any open store.
        truth: by camera; cameras without truth are left out.
        coverage: see `Coverage`.
        frames: 0-based; what lies outside does not count. None for all.
        version: an identity version; None for the newest.

    Raises:
        TruthError: the store has none of these cameras.
    """
    found = read_found(store, version)
    if not found.keys() & truth.keys():
        raise TruthError(
            f"no camera of the truth ({', '.join(truth)}) was read (there is: {', '.join(found)})"
        )
    both = sorted(found.keys() & truth.keys())
    judged = [judge(name, found[name], truth[name], coverage, frames) for name in both]
    left = tuple(sorted(found.keys() - truth.keys()))
    return measure(judged, read_claims(store, version), coverage, left, chosen(store, version))


def judge(
    camera: str, found: FoundBoxes, truth: CameraTruth, coverage: Coverage, frames: range | None
) -> Judged:
    """Whom the boxes of one camera show."""
    people = truth.people.where(inside(truth.people, frames))
    found = found.where(inside(found.tracks, frames))
    rows = matched(found.tracks, people)
    counts = rows >= 0
    if coverage == "complete":
        counts |= ~overlapping(found.tracks, truth.ignored)
    return Judged(camera, people, found, rows, counts)


def inside(labels: Labels, frames: range | None) -> Mask:
    """(B,) whether a box lies in these frames."""
    if frames is None:
        return np.ones(len(labels), np.bool_)
    return (labels.frames >= frames.start) & (labels.frames < frames.stop)


def measure(
    judged: Sequence[Judged],
    claims: Mapping[int, Claim],
    coverage: Coverage,
    unlabelled: tuple[str, ...],
    version: int,
) -> Evaluation:
    """All figures, from the boxes that count."""
    found = [piece for one in judged for piece in pieces(one.camera, one.found, one.truth, one.rows, claims)]
    made = decisions(found, claims)
    return Evaluation(
        version=version,
        coverage=coverage,
        cameras=tuple(camera_score(one) for one in judged),
        unlabelled=unlabelled,
        across=across_score([(one.truth, one.people) for one in judged]),
        idf1_unlinked=across_idf1(relabelled(judged, own_names(found))),
        idf1_perfect=across_idf1(relabelled(judged, true_names(found))),
        pairs=pair_score(found),
        pairs_as_filed=filed_pair_score(found),
        identities=identity_score(found),
        ambiguous=ambiguous(made),
        confidence=confidence(made),
        splits=tuple(splits(found)),
        merges=tuple(merges(found)),
        jumps=tuple(jumps(found)),
    )


def camera_score(one: Judged) -> CameraScore:
    """One camera by its tracks and by its identities."""
    people = tracking_score(one.truth, one.people)
    return CameraScore(one.camera, tracking_score(one.truth, one.tracks), people)


def own_names(found: Sequence[Piece]) -> dict[tuple[str, int], int]:
    """A number of its own for every track."""
    return {key: number for number, key in enumerate(sorted({(p.camera, p.track) for p in found}))}


def true_names(found: Sequence[Piece]) -> dict[tuple[str, int], int]:
    """For every track the person in most of its boxes; a negative number of its own where there is none."""
    shows: dict[tuple[str, int], Counter[int]] = defaultdict(Counter)
    for piece in found:
        shows[piece.camera, piece.track].update(piece.shows)
    owners = {key: owner_of(shown) for key, shown in shows.items()}
    own = own_names(found)
    return {key: -1 - own[key] if owner is None else owner for key, owner in owners.items()}


def relabelled(judged: Sequence[Judged], names: Mapping[tuple[str, int], int]) -> list[tuple[Labels, Labels]]:
    """Truth and tracks of every camera with other ids for the tracks."""
    return [(one.truth, one_box_each(renamed(one, names))) for one in judged]


def renamed(one: Judged, names: Mapping[tuple[str, int], int]) -> Labels:
    """A camera's tracks with other ids."""
    ids = [names[one.camera, track] for track in one.tracks.ids.tolist()]
    return one.tracks.named(np.array(ids, np.int64))

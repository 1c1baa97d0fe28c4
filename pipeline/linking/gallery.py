"""The matcher's gallery: exemplars of every identity, compared by FPR set-to-set distance, calibrated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.linking.match import Candidate
from reid.sets.tracklets import Calibration, CropEmbedding, TrackletGallery, compare, probability

STRANGERS = 6
"""People known to be elsewhere who are compared as well: as many as the calibration's features look at."""


class FprGallery:
    """Identities seen with one model; embeddings of another model are never compared with them."""

    def __init__(self, exemplars: int, calibration: Calibration) -> None:
        """Nobody is known yet.

        Args:
            exemplars: crops kept of each identity.
            calibration: of the model whose embeddings will come.
        """
        self.known = TrackletGallery(exemplars=exemplars)
        self.calibration = calibration

    def append(self, identity: int, embeddings: Sequence[CropEmbedding]) -> None:
        """Let an identity's exemplars learn from more crops of the same person."""
        self.known.append(identity, embeddings)

    def remove(self, identity: int) -> None:
        """Forget an identity."""
        self.known.remove(identity)

    def candidates(
        self, embeddings: Sequence[CropEmbedding], allowed: Callable[[int], bool], shortlist: int
    ) -> list[Candidate]:
        """The most likely of the allowed identities, best first.

        Identities that are not allowed (they are elsewhere) still serve as strangers a candidate must beat.
        """
        possible = self.known.shortlist(embeddings, shortlist, allowed)
        if not possible:
            return []
        strangers = self.known.shortlist(embeddings, STRANGERS, lambda identity: not allowed(identity))
        comparison = compare(embeddings, self.known, [*possible, *strangers])
        likely = probability(comparison, self.calibration)
        found = [
            Candidate(identity, float(distance), float(chance))
            for identity, distance, chance in zip(possible, comparison.fpr, likely, strict=False)
        ]
        return sorted(found, key=lambda candidate: (-candidate.probability, candidate.identity))

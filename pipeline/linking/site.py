"""A site: where each recording was made, what operators said, and how looks and times are judged there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.config import MatcherConfig
from pipeline.constraints import Constraints
from pipeline.linking.double_boxes import Doubles, nowhere
from pipeline.records import StoredTracklet
from reid.sets.affinity import PairCalibration


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recording was made, as far as the gates care."""

    camera: str
    clock_known: bool
    overlaps: frozenset[str] = frozenset()
    first_part_ns: int | None = None
    """Length of a presence's first part, where that is shorter than the others: on live cameras."""


@dataclass(frozen=True)
class Site:
    """What grouping tracklets into people depends on besides the tracklets."""

    places: Mapping[int, Place]
    """By recording."""
    said: Constraints
    settings: MatcherConfig
    calibration: PairCalibration
    model: str
    """Whose embeddings are compared; a tracklet embedded by another one looks like nobody."""
    doubles: Doubles = field(default_factory=lambda: Doubles(nowhere))

    def clock_of(self, tracklet: StoredTracklet) -> int:
        """A number that tracklets share whose times can be compared: 0, or a recording without a clock."""
        recording = tracklet.key.recording
        return 0 if self.places[recording].clock_known else recording

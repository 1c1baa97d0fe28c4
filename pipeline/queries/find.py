"""From a photograph to the people in the database it may show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from pipeline.cameras.photographs import read_photograph
from pipeline.config import Config
from pipeline.errors import MendableError
from pipeline.linking.gallery import FprGallery
from pipeline.linking.match import Candidate
from pipeline.queries.filters import EVERYTHING, Filters, check_filters
from pipeline.queries.people import Person, people, seen
from pipeline.queries.recall import has_embedded, other_models, pooled_identities, sightings_of
from pipeline.queries.snapshot import snapshot
from pipeline.reid_weights import embedder_of
from pipeline.store.audit import audit
from pipeline.store.database import Store
from pipeline.store.runs import last_config
from pipeline.store.schema import SightingRow
from pipeline.stored_config import networks_of
from pipeline.tracking.detect import Detector, load_detector
from reid.sets.tracklets import Calibration

Image = NDArray[np.uint8]  # (H, W, 3) RGB
CLEAR_CONFIDENCE = 0.4
"""A box this certain is the person of the photograph; without one, the whole picture is."""
LISTED = 5
"""People that are listed where nobody says how many."""


class OtherWeightsError(MendableError, kind="wrong input"):
    """Everybody in the database was embedded by other weights, which are never compared."""


class Found(msgspec.Struct, frozen=True):
    """One person the photograph may show."""

    person: int
    probability: float
    """Calibrated probability that it is the same person."""
    distance: float
    """FPR distance of sets; small = same."""
    cameras: tuple[str, ...]
    """In order of first appearance."""
    first_ns: int
    last_ns: int
    clock_known: bool


class Meant(msgspec.Struct, frozen=True):
    """Who is meant in a photograph: the largest person who is clearly seen."""

    detected: int
    """People who are clearly seen in it."""
    bbox: tuple[int, int, int, int] | None
    """Left, top, right and bottom, px; null: nobody is clearly seen, all of the picture is meant."""


class Likely(msgspec.Struct, frozen=True):
    """The people a photograph may show."""

    found: tuple[Found, ...]
    """The most likely first."""
    version: int
    """The identity version they are of; 0: there is none yet."""
    meant: Meant
    """Who in the photograph was looked for."""


@dataclass(frozen=True)
class Portrait:
    """A person cut out of a photograph."""

    image: Image
    meant: Meant


class Finder:
    """Looks for people by photographs with networks that are loaded once; a service keeps it."""

    def __init__(self, store: Store, config: Config | None = None) -> None:
        """Load the networks of the database's last run; or those of `config`.

        Raises:
            UnusableWeightsError, DetectorError, ConfigError: they cannot be used, or are not known.
            OtherWeightsError: others made everything that the database holds.
        """
        self.store = store
        self.config = config or networks_of(last_config(store), store.location.name)
        self.embedder = embedder_of(self.config.reid)
        self.calibration = Calibration.from_dict(self.embedder.calibration)
        if not has_embedded(self.store, self.embedder.model_id):
            self.refuse_others()
        self.detector = load_detector(self.config.detector, threads=1)

    def refuse_others(self) -> None:
        """Say that what is there was made by other weights."""
        model, others = self.embedder.model_id, other_models(self.store, self.embedder.model_id)
        if others:
            raise OtherWeightsError(
                f"{self.store.location.name}: made with other weights ({', '.join(others)}), not {model}: "
                "name theirs with --config, or run again with --fresh"
            )

    def find(self, image: Path | Image, filters: Filters = EVERYTHING, *, limit: int = LISTED) -> Likely:
        """The people in the newest identity version that a photograph shows most likely. Audited.

        The largest clear person in the picture is meant; where none is detected, the whole picture.

        Args:
            image: a picture file, or (H, W, 3) uint8 RGB.
            filters: only people who were seen there and then; what is said of them is of what matches.
            limit: at most so many, at least 1.

        Raises:
            PhotographError: not a picture.
            UnknownCameraError, UnknownPersonError: not in the store.
        """
        picture = read_photograph(image) if isinstance(image, Path) else image
        portrait = main_person(picture, self.detector)
        audit(self.store, "find", "image", {"top": limit})
        return self.search(portrait, filters, limit=limit)

    def search(self, portrait: Portrait, filters: Filters = EVERYTHING, *, limit: int = LISTED) -> Likely:
        """The same for a person who is cut out already; not audited."""
        with snapshot(self.store) as at:
            check_filters(at, filters)
            query = seen(select(SightingRow.identity), at.version, filters).distinct()
            there = None if filters == EVERYTHING else list(at.connection.scalars(query))
        candidates = self.candidates(portrait.image, at.version, there, limit) if at.version else []
        those = msgspec.structs.replace(filters, people=tuple(c.identity for c in candidates))
        known = people(self.store, those, version=at.version).people if candidates else ()
        seen_there = {person.person: person for person in known}
        found = [found_person(c, seen_there[c.identity]) for c in candidates if c.identity in seen_there]
        return Likely(tuple(found), at.version, portrait.meant)

    def candidates(
        self, crop: Image, version: int, there: Sequence[int] | None, limit: int
    ) -> list[Candidate]:
        """The most likely people of an identity version; `there` names those who come into question."""
        embeddings = self.embedder.embed([crop])
        known = pooled_identities(self.store, version, self.embedder.model_id)
        if not len(known.identities):
            self.refuse_others()
        known = known if there is None else known.among(there)
        recalled = known.nearest(embeddings[0].pooled, max(limit, self.config.matcher.shortlist))
        gallery = FprGallery(self.config.matcher.exemplars, self.calibration)
        for identity, tracklet in sightings_of(self.store, version, recalled):
            if tracklet.model == self.embedder.model_id:
                gallery.append(identity, tracklet.embeddings)
        return list(gallery.candidates(embeddings, lambda _: True, len(recalled))[:limit])


def found_person(candidate: Candidate, person: Person) -> Found:
    """A candidate with where they were seen."""
    return Found(
        candidate.identity,
        candidate.probability,
        candidate.distance,
        tuple(person.cameras),
        person.first_ns,
        person.last_ns,
        person.clock_known,
    )


def main_person(picture: Image, detector: Detector) -> Portrait:
    """The largest clear person in a picture, cut out; the whole picture where there is none."""
    found = detector.detect([picture])[0]
    boxes = found.boxes[found.confidences >= CLEAR_CONFIDENCE]
    if not len(boxes):
        return Portrait(picture, Meant(0, None))
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    x1, y1, x2, y2 = boxes[int(areas.argmax())].round().astype(int).tolist()
    cut = np.ascontiguousarray(picture[max(0, y1) : y2 + 1, max(0, x1) : x2 + 1])
    return Portrait(cut, Meant(len(boxes), (x1, y1, x2, y2)))
